// The RocksDB side of the local log: opening with its checks, the stored entries, iteration. Used
// by local_log.cc only, which does the locking: Write and CatchUp by one thread at a time, CatchUp
// and the destructor while nobody uses an iterator, the rest from any thread.
//
// Stored entries besides the blocks (block.h), integers little-endian:
//   'm'       format u8, partitions u32              written once, when the topics are created
//   'c'       number u64, records u64                of the newest commit; records of the whole log
//   'x' + id  epoch u64                              of a transactional id
// An entry is never deleted. One commit is one WriteBatch.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/iterator.h>
#include <rocksdb/write_batch.h>

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "processor/base/result.h"
#include "processor/log/local/acknowledged.h"
#include "processor/log/local/block.h"

namespace alertstream::log {

struct CommitMark {
  std::uint64_t number = 0;
  std::uint64_t records = 0;
};

struct PartitionEnd {
  std::int64_t end = 0;
  LogTime last_time{};
};

struct StoreState {
  std::int32_t partitions = 0;  // 0: no topics yet.
  CommitMark commit;
  std::map<std::string, std::uint64_t> epochs;
  std::vector<PartitionEnd> ends;  // By IndexOf.
};

// The place of a partition in vectors over all of them.
inline std::size_t IndexOf(TopicPartition where, std::int32_t partitions) {
  return (static_cast<std::size_t>(where.topic) - 1) * static_cast<std::size_t>(partitions) +
         static_cast<std::size_t>(where.partition);
}

// The blocks of one partition in order, as they were when it was made.
class BlockIterator {
 public:
  BlockIterator(rocksdb::DB& db, TopicPartition where);

  // To the last block that begins at or below `offset`.
  void SeekTo(std::int64_t offset);
  void Next() { iterator_->Next(); }
  bool Valid() const { return iterator_->Valid(); }
  // REQUIRES: Valid().
  std::optional<BlockKey> Key() const;
  std::string_view Value() const { return {iterator_->value().data(), iterator_->value().size()}; }
  // kCorrupt names the partition and what RocksDB says.
  Status status() const;

 private:
  const TopicPartition where_;
  const std::string lower_;
  const std::string upper_;
  const rocksdb::Slice lower_slice_;
  const rocksdb::Slice upper_slice_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
};

class StoreBatch {
 public:
  explicit StoreBatch(std::size_t bytes) : batch_(bytes) {}
  void PutBlock(const BlockKey& key, const std::string& bytes);
  void PutCommit(const CommitMark& commit);
  void PutEpoch(const std::string& id, std::uint64_t epoch);
  void PutPartitions(std::int32_t partitions);
  rocksdb::WriteBatch* get() { return &batch_; }

 private:
  rocksdb::WriteBatch batch_;
};

// The lock on a directory: one owner a machine. The file holds the owner's process id.
class DirectoryLock {
 public:
  // kConflict names the process that has it.
  static Result<std::unique_ptr<DirectoryLock>> Take(const std::string& directory);
  ~DirectoryLock();
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  explicit DirectoryLock(int descriptor) : descriptor_(descriptor) {}
  const int descriptor_;
};

class LocalStore {
 public:
  // Opens for writing; checks first, without changing a byte, that all of the log is there up to
  // the commit `acknowledged_number`. REQUIRES: the directory exists and its lock is held.
  static Result<std::unique_ptr<LocalStore>> OpenWriter(const std::string& directory,
                                                        std::uint64_t acknowledged_number);
  // Follows a directory that may have a writer. kNotFound: there is no log.
  static Result<std::unique_ptr<LocalStore>> OpenFollower(const std::string& directory);
  ~LocalStore();

  // Everything but the records. kCorrupt: something that was committed is missing.
  Result<StoreState> Load() const;
  // Only the partition count; 0 before the topics exist.
  Result<std::int32_t> LoadPartitions() const;
  Result<PartitionEnd> LoadEnd(TopicPartition where) const;
  std::unique_ptr<BlockIterator> Iterate(TopicPartition where) const;

  // kUnknown: it may have been stored; the store must be opened again to know.
  Status Write(StoreBatch* batch, bool sync);
  // Follower: takes in what the writer has written. True if there was anything.
  Result<bool> CatchUp();

 private:
  LocalStore(std::string directory, std::unique_ptr<rocksdb::DB> db, std::string scratch)
      : directory_(std::move(directory)), db_(std::move(db)), scratch_(std::move(scratch)) {}

  const std::string directory_;
  std::unique_ptr<rocksdb::DB> db_;
  const std::string scratch_;  // The follower's own files; removed at the end.
};

}  // namespace alertstream::log
