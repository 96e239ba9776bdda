// Records at hand of several partitions, taken in slices. Used by the live collector, by recovery
// and audit, and by readers of outputs. Belongs to one thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
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

  // Waits a moment for something new, at most `timeout`. Never returns at once: the reader does
  // when any source has records ready, also one whose records nobody takes yet.
  void Pause(std::chrono::milliseconds timeout);

  // What is at hand; valid until the next Fill of the same source.
  std::span<const log::RecordView> AtHand(std::size_t i) const;
  void Consume(std::size_t i, std::size_t count);

  // Every record below this offset was consumed.
  std::int64_t Passed(std::size_t i) const;

  std::size_t size() const { return buffers_.size(); }
  log::Reader& reader() const { return *reader_; }

 private:
  // What one Fetch brought: its bytes are let go when all its records were consumed.
  struct Chunk {
    std::size_t records;  // Not yet released.
    std::vector<std::shared_ptr<const void>> owners;
  };
  struct Buffer {
    std::vector<log::RecordView> records;
    std::size_t begin = 0;  // Those before it were consumed.
    std::deque<Chunk> chunks;
  };
  static void ReleaseConsumed(Buffer& buffer);

  std::unique_ptr<log::Reader> reader_;
  std::vector<Buffer> buffers_;
  log::Fetched fetched_;  // Scratch of Fill.
};

}  // namespace alertstream::runtime
