// Records as they lie in a partition, without the journal's word on them: for inputs, the journal
// itself and leases. Used by commands that look; belongs to one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ops/cli/commands/session.h"

namespace alertstream::cli {

// Calls `visit` for the committed records from `offset` to the end as of the call; it returns false
// to stop. The views end with the call.
using VisitRecord = std::function<Result<bool>(const log::RecordView& record)>;
Status ForEachRecord(const Session& session, log::TopicPartition where, std::int64_t offset,
                     const VisitRecord& visit);

// One record with its own bytes.
struct OwnedRecord {
  std::int64_t offset = 0;
  LogTime append_time{};
  std::string key;
  std::string value;
  std::vector<std::pair<std::string, std::string>> headers;

  // Valid as long as this and `buffer`.
  log::RecordView View(std::vector<log::Header>* buffer) const;
};

// kNotFound: there is no record at that offset.
Result<OwnedRecord> ReadRecord(const Session& session, log::TopicPartition where,
                               std::int64_t offset);

struct LastRecords {
  std::int64_t end = 0;
  std::vector<OwnedRecord> records;  // Ascending; fewer than asked for at the beginning of a topic.
};
// The last `count` records; where transaction markers lie between them, at least one if there is
// one within a few hundred offsets of the end.
Result<LastRecords> ReadLast(const Session& session, log::TopicPartition where, std::size_t count);

}  // namespace alertstream::cli
