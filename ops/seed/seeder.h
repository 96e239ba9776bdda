// The seeder: writes the demo history (demo_history.h) into a log that is new, under a simulated
// clock, through the same fold and the same transactions as live traffic: append times, LogTime,
// cooldowns, caps, quotas and the journal are those of the days that are told. A stand-in for the
// dispatcher answers every command. When it returns the log is closed and whole, and its newest
// record is some minutes old: whoever opens it next goes on with the machine's clock. Used by the
// command line (`seed demo`, `dev --seed demo`); one call a data directory at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "processor/base/clock.h"
#include "processor/base/crypto.h"
#include "processor/base/result.h"
#include "processor/log/event_log.h"
#include "processor/runtime/identity.h"
#include "processor/state/state_store.h"

namespace alertstream::seed {

// A longer history would only be more of the same; the plan of the demo is for a month.
inline constexpr int kDaysMax = 90;
inline constexpr int kDaysDefault = 30;
inline constexpr std::uint64_t kRngSeedDefault = 1;
// What the demo of kDaysDefault promises; other lengths in proportion.
inline constexpr std::size_t kEventsDefault = 20'000;

// A log that holds nothing but its markers, and what a task needs to own its partitions.
struct FreshLog {
  std::unique_ptr<log::EventLog> log;
  runtime::LogIdentity identity;
  HmacKey token_key{""};
  // Holds the state while the history is told: a month of timers that come and go within seconds
  // is more than a store on disk is made for.
  std::unique_ptr<state::StateStore> scratch;
  // Where the state lies afterwards.
  std::function<Result<std::unique_ptr<state::StateStore>>(std::int32_t partition)> open_store;
};

struct SeedProgress {
  std::size_t events = 0;  // So far.
  std::size_t events_total = 0;
  double seconds = 0;
};

struct SeedReport {
  std::size_t events = 0;         // Records on site-events.
  std::size_t notifications = 0;  // Decided to be sent; confirmations are not among them.
  std::size_t decisions = 0;
  int days = 0;
  double seconds = 0;
};

struct SeedOptions {
  // Holds the mark of the seeding; see seeding_mark.h.
  std::string data_dir;
  // Makes the log in `data_dir`, with topics and markers, append times from `clock`. It need not
  // reach the disk before the history is whole.
  std::function<Result<FreshLog>(Clock& clock)> open;
  Clock& clock;  // The machine's: the history ends shortly before its present time.
  std::uint64_t rng_seed = kRngSeedDefault;
  int days = kDaysDefault;
  std::size_t events_min = kEventsDefault;
  // Called about every tenth of the way; may be empty.
  std::function<void(const SeedProgress& progress)> on_progress;
};

// kInvalid: an option is out of its range. kConflict: the log is not new, or an earlier seeding of
// the directory was interrupted.
Result<SeedReport> SeedDemo(const SeedOptions& options);

}  // namespace alertstream::seed
