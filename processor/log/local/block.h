// The stored form of records in the local log: a block is what one append put into one partition
// (or about a mebibyte of it), one RocksDB entry. Pure.
//
// Stored; a change of meaning takes a new format version.
//   key    'r', topic u8, partition u32, first offset u64 (big-endian)
//   value  checksum u64 (XXH3 of the rest, seeded by the key), format u8, append time i64,
//          records u32, headers of all records u32 (little-endian), then the body:
//            format 1: each record: key, header count, (name, value)*, value; every length and
//                      count a varint
//            format 2: length u32 of the format 1 body, and that body, LZ4
// Offsets within a partition are dense: a block begins where the one before it ended.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "processor/base/result.h"
#include "processor/base/time.h"
#include "processor/log/event_log.h"

namespace alertstream::log {

// A block is closed when it has grown past this: small enough to check and copy at once, large
// enough that its RocksDB entry costs nothing a record.
inline constexpr std::size_t kBlockBytesMax = 1 << 20;

struct BlockKey {
  TopicPartition where;
  std::int64_t first;  // Offset of the first record.
};

std::string EncodeBlockKey(const BlockKey& key);
// Nothing: not a block key.
std::optional<BlockKey> DecodeBlockKey(std::string_view bytes);

// Collects records; Seal makes the block valid once its place and time are known.
class BlockBuilder {
 public:
  BlockBuilder();
  void Add(const NewRecord& record);
  bool Full() const { return bytes_.size() >= kBlockBytesMax; }
  std::uint32_t records() const { return records_; }
  std::uint32_t headers() const { return headers_; }
  void Seal(const BlockKey& key, LogTime append_time);
  const std::string& bytes() const { return bytes_; }
  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
  std::uint32_t records_ = 0;
  std::uint32_t headers_ = 0;
};

// A sealed block as it is stored: in format 2 if that is shorter. Compressed here, once, the block
// costs the write-ahead log, every merge and every reader's memory only its compressed bytes.
std::string PackBlock(const BlockKey& key, const std::string& sealed);

// What a block's fixed part says.
struct BlockHead {
  LogTime append_time;
  std::uint32_t records;
  std::uint32_t headers;
};

// Checks the whole block, of either format. kCorrupt names topic, partition and offset.
Result<BlockHead> CheckBlock(const BlockKey& key, std::string_view bytes);

// A checked block in format 1, as BlockCursor reads it; its checksum may be the packed one's.
// kCorrupt as above.
Result<std::string> UnpackBlock(const BlockKey& key, std::string_view stored);

// Hands out the records of a checked block, as views into it.
class BlockCursor {
 public:
  // REQUIRES: `bytes` passed CheckBlock with `key`, which gave `head`, and were unpacked.
  BlockCursor(const BlockKey& key, const BlockHead& head, std::shared_ptr<const std::string> bytes);

  std::int64_t next_offset() const { return key_.first + taken_; }
  bool Done() const { return taken_ == head_.records; }
  // Bytes of key and value of the next record, without taking it. REQUIRES: !Done().
  Result<std::size_t> PeekBytes();
  // REQUIRES: PeekBytes was ok.
  RecordView Take();

 private:
  bool Parse();

  BlockKey key_;
  BlockHead head_;
  // Shared with the log's cache of the newest blocks.
  std::shared_ptr<const std::string> bytes_;
  std::vector<Header> headers_;  // Never grows beyond what is reserved: views point into it.
  const char* at_;
  const char* end_;
  std::uint32_t taken_ = 0;
  std::optional<RecordView> next_;
};

}  // namespace alertstream::log
