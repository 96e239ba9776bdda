// What every adapter of the log refuses before it appends anything. Pure; used by the adapters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "processor/base/result.h"
#include "processor/log/event_log.h"
#include "schemas/topics.h"

namespace alertstream::log {

// Key and headers of one record together. A dead letter carries those of its input record besides
// the value, and must still fit (schemas/topics.h).
inline constexpr std::size_t kKeyAndHeadersBytesMax = 1 << 18;

// One append or transaction; bounds what a log must hold in memory at once. The task's own limit on
// the effects of a batch is a quarter of it.
inline constexpr std::size_t kAppendBytesMax = 32 << 20;

// One topic may hold many partitions, but every one costs readers a position.
inline constexpr std::int32_t kPartitionsMax = 1024;

inline std::size_t KeyAndHeadersBytes(const NewRecord& record) {
  std::size_t bytes = record.key.size();
  for (const auto& header : record.headers) {
    bytes += header.name.size() + header.value.size();
  }
  return bytes;
}

// kInvalid names the topic, the record's place among `records` and the limit.
inline Status CheckRecords(std::span<const NewRecord> records, std::int32_t partitions) {
  std::size_t total = 0;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const auto& record = records[i];
    const auto& spec = schemas::SpecOf(record.topic);
    const auto name = [&] { return std::string(spec.name) + ", record " + std::to_string(i); };
    if (record.partition < 0 || record.partition >= partitions) {
      return Error(ErrorCode::kInvalid, name() + ": partition " + std::to_string(record.partition) +
                                            " does not exist; there are " +
                                            std::to_string(partitions));
    }
    if (record.value.size() > static_cast<std::size_t>(spec.value_bytes_max)) {
      return Error(ErrorCode::kInvalid,
                   name() + ": the value has " + std::to_string(record.value.size()) +
                       " bytes, the limit is " + std::to_string(spec.value_bytes_max));
    }
    const auto meta_bytes = KeyAndHeadersBytes(record);
    if (meta_bytes > kKeyAndHeadersBytesMax) {
      return Error(ErrorCode::kInvalid, name() + ": key and headers have " +
                                            std::to_string(meta_bytes) + " bytes, the limit is " +
                                            std::to_string(kKeyAndHeadersBytesMax));
    }
    total += record.value.size() + meta_bytes;
  }
  if (total > kAppendBytesMax) {
    return Error(ErrorCode::kInvalid, "an append of " + std::to_string(total) +
                                          " bytes is too large, the limit is " +
                                          std::to_string(kAppendBytesMax));
  }
  return Status::Ok();
}

}  // namespace alertstream::log
