// Readable histories for tests: records written as JSON become the records of an input topic. An
// Envelope is given in protobuf's JSON mapping with the fields' own names, except that personal
// data is text ({"plain": "..."}), where the mapping wants base64. Used by history_runner.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "processor/base/result.h"
#include "schemas/envelope.pb.h"
#include "schemas/json.h"
#include "schemas/topics.h"

namespace alertstream::history {

struct HistoryRecord {
  schemas::Topic topic = schemas::Topic::kSiteEvents;
  std::int64_t offset = 0;
  std::int64_t append_time_us = 0;
  std::string key;
  std::string value;
  std::vector<std::pair<std::string, std::string>> headers;
};

// kInvalid says what protobuf did not understand.
Result<v1::Envelope> EnvelopeFromJson(schemas::JsonValue json);

// `json`: {"topic","offset","append_time_us","key","as","envelope"|"value"}. `as` says how an event
// is written: "envelope", "structured" or "binary" (CloudEvents), or "raw": `value` as it is.
Result<HistoryRecord> RecordFromJson(schemas::JsonValue json);

}  // namespace alertstream::history
