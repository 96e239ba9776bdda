// LogDump: all committed records of a log as values, to be stored, changed, and loaded into a
// memory log with the same offsets and append times. For golden histories and for tests that tamper
// with one. Pure but for Read and Load.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "processor/base/clock.h"
#include "processor/base/result.h"
#include "processor/log/event_log.h"
#include "processor/log/memory/memory_log.h"

namespace alertstream::log {

struct DumpedRecord {
  TopicPartition where;
  std::int64_t offset = 0;
  LogTime append_time{};
  std::string key;
  std::string value;
  std::vector<std::pair<std::string, std::string>> headers;
};

struct LogDump {
  std::int32_t partitions = 0;
  std::vector<DumpedRecord> records;  // By topic, partition, offset.

  // The record at that place, or null.
  DumpedRecord* Find(TopicPartition where, std::int64_t offset);
  void Remove(TopicPartition where, std::int64_t offset);
};

// Every topic but `ownership`, which is no part of history.
Result<LogDump> ReadDump(EventLog& log, std::chrono::milliseconds timeout);

// Offsets that the dump does not name are taken by nothing, as by a transaction's marker.
std::unique_ptr<MemoryEventLog> LoadDump(const LogDump& dump, Clock& clock);

// "ASLOGDMP", version (4), partitions (4), then each record: topic (1), partition (4), offset (8),
// append time µs (8), key, count of headers (4), names and values, value. Numbers are big endian,
// texts preceded by their length (4).
std::string EncodeDump(const LogDump& dump);
// kCorrupt: not a dump, or cut off.
Result<LogDump> DecodeDump(std::string_view bytes);

}  // namespace alertstream::log
