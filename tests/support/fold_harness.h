// FoldHarness: the real fold over a memory store, driven by readable records. A test adds records,
// moves the time and runs batches; what a batch gave comes back decoded. For tests of the engine;
// belongs to one thread.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "processor/base/crypto.h"
#include "processor/base/id.h"
#include "processor/base/time.h"
#include "processor/engine/fold.h"
#include "processor/state/memory/memory_store.h"
#include "processor/state/state_map.h"
#include "processor/state/state_store.h"
#include "schemas/decision.pb.h"
#include "schemas/output.pb.h"
#include "tests/support/history_json.h"

namespace alertstream::engine {

// 2026-11-20 12:00:00 UTC.
inline constexpr LogTime kNoon = FromMicros(1'795'176'000'000'000);

// What one or several batches gave.
struct Outputs {
  std::vector<v1::NotificationCommand> commands;
  std::vector<v1::DecisionRecord> decisions;
  std::vector<v1::Fact> facts;
  std::vector<v1::DeadLetter> dead_letters;
  std::vector<Reroute> reroutes;
  std::vector<std::string> bytes;  // Of every output record, with its key, in order.
  int batches = 0;
  bool more = false;
};

// A memory store of which reads of some keys can be made to throw, once each.
class FaultyStore final : public state::StateStore {
 public:
  void ThrowOnceAt(std::string_view key) { faults_.emplace(key); }

  Result<bool> Get(std::string_view key, std::string* value) override;
  Status Scan(std::string_view from, std::string_view to, const Visit& visit) override {
    return store_.Scan(from, to, visit);
  }
  Status Apply(std::span<const state::StateWrite> writes, std::string_view meta) override {
    return store_.Apply(writes, meta);
  }
  Result<std::optional<std::string>> Meta() override { return store_.Meta(); }
  std::uint64_t KeysEstimate() override { return store_.KeysEstimate(); }
  Status Clear() override { return store_.Clear(); }

 private:
  state::MemoryStore store_;
  std::set<std::string, std::less<>> faults_;
};

class FoldHarness {
 public:
  struct Options {
    std::int32_t partition = 0;
    std::int32_t partitions = 1;
  };

  FoldHarness() : FoldHarness(Options{}) {}
  explicit FoldHarness(Options options);

  // Puts a record into the next batch and returns its offset. `envelope` is JSON as history_json.h
  // describes it; tenant, routing key, version and trust are filled in unless given. The record is
  // appended at now().
  std::int64_t Add(schemas::Topic topic, std::string_view envelope,
                   std::string_view tenant = "acme");
  // An account change: {"tenant": {...}}, {"trigger": {...}, "expected_version": 1}, ...
  std::int64_t Change(std::string_view change, std::string_view tenant = "acme");
  // An event of type `order` with the data, which is JSON; `more` adds members ("\"id\":\"a\"").
  std::int64_t Event(std::string_view data, std::string_view more = "");
  std::int64_t AddRaw(schemas::Topic topic, std::string_view key, std::string_view value,
                      std::vector<std::pair<std::string, std::string>> headers = {});

  // An active tenant `acme` with the plan `basic` (100 sends), the site `shop` and a default
  // sender.
  void AddTenant();

  void Advance(LogDuration by) { now_ += by; }
  LogTime now() const { return now_; }
  // The records that follow were appended so long before now().
  void set_delay(LogDuration delay) { delay_ = delay; }
  void set_engine_version(std::uint32_t version) { engine_version_ = version; }

  // One batch of everything added; what it does not consume stays.
  Outputs RunBatch();
  // Batches until nothing is left to do now.
  Outputs Run();

  Fold& fold() { return *fold_; }
  state::StateMap& map() { return *map_; }
  std::string RootHex() { return ToHex(map_->root().ToBytes()); }
  // Begins anew with nothing but the store, as after a crash.
  void Restart();
  // Makes the fold throw when it next reads the key, which it does not know by heart any more; and
  // at another one.
  void RestartWithFaultAt(std::string_view key) {
    Restart();
    store_.ThrowOnceAt(key);
  }
  void AddFaultAt(std::string_view key) { store_.ThrowOnceAt(key); }

  RecipientToken TokenOf(std::string_view phone, std::string_view tenant = "acme") const;

 private:
  const Options options_;
  HmacKey key_{"a token key for tests"};
  FaultyStore store_;
  state::StateRoot root_;
  std::optional<state::StateMap> map_;
  std::optional<Fold> fold_;
  LogTime now_ = kNoon;
  LogDuration delay_{};
  std::uint32_t engine_version_ = kEngineVersion;
  std::array<std::vector<history::HistoryRecord>, schemas::kInputTopicCount> pending_;
  std::array<std::int64_t, schemas::kTopicCount + 1> next_offset_{};
};

// The only decision of the only decision record; a failure of the test otherwise.
v1::Decision OnlyDecision(const Outputs& outputs);
// "SEND", "SUPPRESS OPTED_OUT", "FAIL ...", for every decision in order.
std::vector<std::string> Outcomes(const Outputs& outputs);
// "ACCEPTED", "DUPLICATE", ...: of every first part.
std::vector<std::string> Verdicts(const Outputs& outputs);
// "opt_out ACCEPTED", "trigger INVALID_CONDITION": of every fact but usage.
std::vector<std::string> Facts(const Outputs& outputs);
// "SCHEMA MALFORMED_JSON"
std::vector<std::string> DeadLetters(const Outputs& outputs);
// "PASSED"/"STOPPED" of the gate with what it saw; nothing if the decision did not come so far.
std::optional<v1::GateResult> FindGate(const v1::Decision& decision, v1::Gate gate);

}  // namespace alertstream::engine
