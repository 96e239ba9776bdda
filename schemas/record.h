// A record of the log as its readers see it: views only, so that nothing is copied between the log
// and the fold. Pure vocabulary, shared by the log port, the journal and the engine.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "processor/base/time.h"

namespace alertstream::schemas {

struct HeaderView {
  std::string_view name;
  std::string_view value;
};

// The views live as long as whatever fetched the record says.
struct RecordView {
  std::int64_t offset = 0;
  LogTime append_time{};  // Set by the log (Kafka: LogAppendTime, whole milliseconds).
  std::string_view key;
  std::string_view value;
  std::span<const HeaderView> headers;
};

}  // namespace alertstream::schemas
