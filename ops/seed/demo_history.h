// The demo's history: what a kitchen that delivers lunch, its customers, its servers and its
// builders would have told AlertStream over some weeks. Pure: the same options give the same bytes.
// Used by the seeder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "processor/base/result.h"
#include "processor/base/time.h"
#include "schemas/topics.h"

namespace alertstream::seed {

inline constexpr std::string_view kTenant = "demo";
inline constexpr std::string_view kSite = "shop";
inline constexpr std::string_view kProvider = "twilio";
inline constexpr std::string_view kAccount = "main";
inline constexpr std::string_view kNumber = "+15005550006";
// Those who gave consent.
inline constexpr std::size_t kCustomers = 200;
// Nothing happens in the last minutes, so that deliveries and retries end before the present.
inline constexpr LogDuration kQuietEnd = std::chrono::minutes{10};

struct HistoryOptions {
  std::uint64_t rng_seed = 0;
  LogTime end;  // The last step lies kQuietEnd before it.
  int days = 0;
  std::size_t events_min = 0;
};

struct Input {
  schemas::Topic topic{};
  std::string bytes;  // An encoded Envelope; its key is kTenant.
};

// What arrives at one time. Each step is later than the one before it.
struct Step {
  LogTime at;
  std::size_t events = 0;  // Of the inputs, those on site-events.
  std::vector<Input> inputs;
};

struct History {
  std::vector<Step> steps;
  std::size_t events = 0;
  // Customers who gave a number that takes no text messages.
  std::vector<std::string> landlines;
};

// The number of a customer; the tests of American fiction have no better ones.
std::string PhoneOf(std::size_t customer);

// kInvalid: the rules of the demo or a record of it are wrong; only a change of the program can
// bring that about.
Result<History> MakeHistory(const HistoryOptions& options);

}  // namespace alertstream::seed
