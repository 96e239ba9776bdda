#include "schemas/decision_text.h"

#include <chrono>

#include <fmt/format.h>

#include "processor/base/duration.h"
#include "schemas/enum_words.h"
#include "schemas/envelope.pb.h"
#include "schemas/topics.h"

namespace alertstream::schemas {
namespace {

std::string Micros(std::int64_t micros) {
  // Whole seconds are what people compare; a few digits below a second are noise.
  const LogDuration whole = std::chrono::floor<std::chrono::seconds>(LogDuration{micros});
  return micros < 1'000'000 ? fmt::format("{} ms", micros / 1000) : FormatDuration(whole);
}

}  // namespace

std::string PositionText(std::uint32_t topic, std::uint32_t partition, std::int64_t offset) {
  if (topic == 0 || topic > kTopicCount) {
    return "";
  }
  return fmt::format("{}@{}:{}", kTopics[topic - 1].name, partition, offset);
}

std::string PositionText(const v1::Position& position) {
  return PositionText(position.topic(), position.partition(), position.offset());
}

std::string GateText(const v1::GateResult& gate) {
  const std::int64_t observed = gate.observed();
  const std::int64_t limit = gate.limit();
  switch (gate.gate()) {
    case v1::GATE_SCHEMA:
      return fmt::format("schema version {} of at most {}", observed, limit);
    case v1::GATE_TENANT:
      return fmt::format("active, version {}", observed);
    case v1::GATE_SITE:
      return observed == 0 ? "none named" : fmt::format("active, version {}", observed);
    case v1::GATE_DEDUPE:
      return observed == 0 ? "not seen within 7 days" : "seen before with the same body";
    case v1::GATE_EXPIRY:
      return fmt::format("{} old, {} allowed", Micros(observed), Micros(limit));
    case v1::GATE_CONDITION:
      return limit == 0 ? std::string("no condition, or it met a value of the wrong type")
                        : fmt::format("cost {} of {}", observed, limit);
    case v1::GATE_COOLDOWN:
      return limit == 0 ? std::string("none set")
             : observed < 0
                 ? fmt::format("never sent before, {} apart", Micros(limit))
                 : fmt::format("last sent {} ago, {} apart", Micros(observed), Micros(limit));
    case v1::GATE_CONSENT:
      return fmt::format("{}, for {} messages",
                         observed == 0 ? std::string("no consent recorded")
                                       : Word(static_cast<v1::ConsentStatus>(observed)),
                         Word(static_cast<v1::MessageClass>(limit)));
    case v1::GATE_OPT_OUT:
      return observed == 0 ? std::string("none")
                           : "opted out by " + Word(static_cast<v1::OptOutBy>(observed));
    case v1::GATE_DAILY_CAP:
      return limit == 0 ? std::string("no cap") : fmt::format("{} of {} in 24 h", observed, limit);
    case v1::GATE_PLAN_QUOTA:
      return limit < 0 ? fmt::format("{} this month, no plan", observed)
                       : fmt::format("{} of {} this month", observed, limit);
    case v1::GATE_TEMPLATE:
      return limit == 0 ? std::string("could not be rendered")
                        : fmt::format("{} of at most {} segments or bytes", observed, limit);
    case v1::GATE_RECIPIENT:
    case v1::GATE_CHANNEL:
    case v1::GATE_THRESHOLD:
    case v1::GATE_SILENCE:
    case v1::GATE_HOURS:
    case v1::GATE_UNSPECIFIED:
    case v1::Gate_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::Gate_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return "";
}

}  // namespace alertstream::schemas
