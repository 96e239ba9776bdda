// Workload: what the outside world appends in one run: events with repeated ids, opt-outs, answers
// of people, consents, records that nobody can decode. It remembers what it appended where, which
// is all that the models believe. Belongs to the world's thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "processor/base/time.h"
#include "schemas/topics.h"
#include "tests/simulation/world.h"
#include "tests/support/runtime_story.h"

namespace alertstream::simulation {

enum class InputKind : std::uint8_t {
  kSetup,
  kEvent,
  kPoison,
  kOptOut,  // Entered as the person's own.
  kStop,
  kStart,
  kRevoke,
  kGrant,
  kNewText,  // The trigger's template changes.
};

struct Input {
  InputKind kind{};
  LogTime at{};
  std::string tenant;
  std::string phone;
  std::string id;    // Of an event.
  std::string body;  // Of an event: what tells two of the same id apart.
};

struct PlaceOf {
  schemas::Topic topic{};
  std::int64_t offset = 0;
  friend auto operator<=>(const PlaceOf&, const PlaceOf&) = default;
};
using Inputs = std::map<PlaceOf, Input>;

// The rules of every run.
inline constexpr std::int64_t kDailyCap = 5;
inline constexpr std::int64_t kQuota = 25;
inline constexpr int kPhones = 5;

class Workload {
 public:
  Workload(World& world, runtime::StoryWriter& writer, std::uint64_t seed);

  // Tenants, plans, triggers.
  void Setup();
  // Appends until `end`; a fiber's body.
  void Run(Micros end);

  const Inputs& inputs() const { return inputs_; }

 private:
  void One();
  void Note(schemas::Topic topic, const log::Appended& appended, Input input);
  void Plan(const std::string& tenant);
  void Rule(const std::string& tenant, const std::string& text);

  World& world_;
  runtime::StoryWriter& writer_;
  Rng rng_;
  double restricting_;
  double duplicates_;
  Micros pause_max_;
  int events_ = 0;
  Inputs inputs_;
};

}  // namespace alertstream::simulation
