// Records at hand of several partitions, taken in slices. Used by the live collector, by recovery
// and audit, and by readers of outputs. Belongs to one thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "processor/base/result.h"
#include "processor/log/event_log.h"

namespace alertstream::runtime {

class Sources {
 public:
  static Result<Sources> Open(log::EventLog& log, std::vector<log::ReadFrom> from);

  // Fetches until `records_max` records of source `i` are at hand or the log has none ready.
  Status Fill(std::size_t i, std::size_t records_max, std::size_t bytes_max);
  // Fetches until at least `count` records are at hand. kUnavailable after `timeout` without any
  // progress.
  Status FillAtLeast(std::size_t i, std::size_t count, std::chrono::milliseconds timeout);

  // What is at hand; valid until the next Fill of the same source.
  std::span<const log::RecordView> AtHand(std::size_t i) const;
  void Consume(std::size_t i, std::size_t count);

  // Every record below this offset was consumed.
  std::int64_t Passed(std::size_t i) const;

  std::size_t size() const { return buffers_.size(); }
  log::Reader& reader() const { return *reader_; }

 private:
  struct Buffer {
    log::Fetched fetched;
    std::size_t begin = 0;
  };
  std::unique_ptr<log::Reader> reader_;
  std::vector<Buffer> buffers_;
};

}  // namespace alertstream::runtime
