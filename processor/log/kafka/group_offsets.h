// KafkaGroupOffsets: how far inputs were consumed, written as offsets of our group, as a courtesy
// to tools that show lag. Nothing of ours ever reads them: the journal alone says where a partition
// stands. Belongs to one thread. Used by the program's `serve`.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "processor/base/result.h"
#include "processor/log/event_log.h"
#include "processor/log/kafka/kafka_log.h"

namespace alertstream::log {

class KafkaGroupOffsets {
 public:
  static Result<std::unique_ptr<KafkaGroupOffsets>> Open(const KafkaLogOptions& options);
  ~KafkaGroupOffsets();
  KafkaGroupOffsets(const KafkaGroupOffsets&) = delete;
  KafkaGroupOffsets& operator=(const KafkaGroupOffsets&) = delete;

  // Everything below these offsets was consumed. Best effort: sent without waiting for the answer;
  // returns what became of the commits before. kUnavailable, kDenied: the last one failed.
  Status Note(std::span<const ReadFrom> positions);

  // Waits for the answers that are outstanding; the same result.
  Status Finish(std::chrono::milliseconds timeout);

 private:
  struct Impl;
  explicit KafkaGroupOffsets(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace alertstream::log
