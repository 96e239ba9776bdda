#include "processor/state/rocksdb/rocksdb_store.h"

#include <vector>

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>
#include <rocksdb/write_buffer_manager.h>

#include "processor/base/check.h"

namespace alertstream::state {
namespace {

// No tenant id is empty, so no state key begins with a NUL.
constexpr std::string_view kMetaKey{"\0meta", 5};

constexpr std::size_t kWriteBufferBytes = 16 << 20;
// Few threads share the cache; small shards would evict what is needed while others stand empty.
constexpr int kCacheShardBits = 3;

rocksdb::Slice ToSlice(std::string_view view) { return {view.data(), view.size()}; }
std::string_view ToView(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

Error ToError(const std::string& directory, const rocksdb::Status& status) {
  const std::string what = "state store " + directory + ": " + status.ToString();
  if (status.IsCorruption()) {
    return Error(ErrorCode::kCorrupt,
                 what +
                     ". The store is a cache of the journal: stop the processor, delete the "
                     "directory and start again; it is rebuilt");
  }
  return Error(ErrorCode::kUnavailable, what);
}

class SharedMemory final : public StoreMemory {
 public:
  explicit SharedMemory(std::size_t bytes)
      : cache(rocksdb::NewLRUCache(bytes / 2, kCacheShardBits)),
        write_buffers(std::make_shared<rocksdb::WriteBufferManager>(bytes / 2)) {}

  std::shared_ptr<rocksdb::Cache> cache;  // Shared with RocksDB.
  std::shared_ptr<rocksdb::WriteBufferManager> write_buffers;
};

rocksdb::Options MakeOptions(const SharedMemory& memory) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.write_buffer_size = kWriteBufferBytes;
  options.max_write_buffer_number = 2;
  options.max_background_jobs = 2;
  options.max_open_files = -1;  // All stay open (64 MiB each): no look-up among open files.
  options.write_buffer_manager = memory.write_buffers;
  options.compression = rocksdb::kLZ4Compression;
  options.allow_concurrent_memtable_write = false;  // One writer: the partition's task.
  options.enable_write_thread_adaptive_yield = false;
  options.max_total_wal_size = 64 << 20;
  options.keep_log_file_num = 2;
  options.max_log_file_size = 4 << 20;
  options.stats_dump_period_sec = 0;
  options.memtable_whole_key_filtering = true;
  options.memtable_prefix_bloom_size_ratio = 0.05;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = memory.cache;
  // Most look-ups are of new keys, which only the filters can answer without a read. They stay in
  // memory, outside the cache: about two bytes a key.
  table.cache_index_and_filter_blocks = false;
  table.data_block_index_type = rocksdb::BlockBasedTableOptions::kDataBlockBinaryAndHash;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.block_size = 8 << 10;
  table.format_version = 5;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

class RocksDbStore final : public StateStore {
 public:
  RocksDbStore(std::string directory, std::shared_ptr<StoreMemory> memory,
               std::unique_ptr<rocksdb::DB> db)
      : directory_(std::move(directory)), memory_(std::move(memory)), db_(std::move(db)) {}

  Result<bool> Get(std::string_view key, std::string* value) override {
    const auto status = db_->Get(read_options_, db_->DefaultColumnFamily(), ToSlice(key), &pinned_);
    if (status.IsNotFound()) {
      return false;
    }
    if (!status.ok()) {
      return ToError(directory_, status);
    }
    value->assign(pinned_.data(), pinned_.size());
    pinned_.Reset();
    return true;
  }

  Status Scan(std::string_view from, std::string_view to, const Visit& visit) override {
    rocksdb::ReadOptions options;
    const rocksdb::Slice upper = ToSlice(to);
    options.iterate_upper_bound = &upper;
    const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options));
    for (it->Seek(ToSlice(from)); it->Valid(); it->Next()) {
      if (!visit(ToView(it->key()), ToView(it->value()))) {
        break;
      }
    }
    return it->status().ok() ? Status::Ok() : Status(ToError(directory_, it->status()));
  }

  Status Apply(std::span<const StateWrite> writes, std::string_view meta) override {
    batch_.Clear();
    for (const auto& write : writes) {
      if (write.value) {
        batch_.Put(ToSlice(write.key), ToSlice(*write.value));
      } else {
        batch_.Delete(ToSlice(write.key));
      }
    }
    batch_.Put(ToSlice(kMetaKey), ToSlice(meta));
    const auto status = db_->Write(write_options_, &batch_);
    return status.ok() ? Status::Ok() : Status(ToError(directory_, status));
  }

  Result<std::optional<std::string>> Meta() override {
    std::string value;
    auto found = Get(kMetaKey, &value);
    if (!found.ok()) {
      return found.error();
    }
    if (!found.value()) {
      return std::optional<std::string>();
    }
    return std::optional<std::string>(std::move(value));
  }

  Status Clear() override {
    const std::string end(1, '\xff');
    auto status = db_->DeleteRange(write_options_, db_->DefaultColumnFamily(), "", end);
    if (status.ok()) {
      status = db_->CompactRange(rocksdb::CompactRangeOptions(), nullptr, nullptr);
    }
    return status.ok() ? Status::Ok() : Status(ToError(directory_, status));
  }

 private:
  std::string directory_;
  std::shared_ptr<StoreMemory> memory_;  // Also owned by the other stores.
  std::unique_ptr<rocksdb::DB> db_;
  rocksdb::ReadOptions read_options_;
  // The WAL is kept but not synced: after a crash of the process nothing is lost, after one of the
  // machine the journal brings back what is.
  rocksdb::WriteOptions write_options_;
  rocksdb::WriteBatch batch_;
  rocksdb::PinnableSlice pinned_;
};

}  // namespace

std::shared_ptr<StoreMemory> StoreMemory::Create(std::size_t bytes) {
  return std::make_shared<SharedMemory>(bytes);
}

Result<std::unique_ptr<StateStore>> OpenRocksDbStore(const std::string& directory,
                                                     std::shared_ptr<StoreMemory> memory) {
  const auto& shared = static_cast<const SharedMemory&>(*memory);
  rocksdb::DB* db = nullptr;
  const auto status = rocksdb::DB::Open(MakeOptions(shared), directory, &db);
  if (!status.ok()) {
    return ToError(directory, status);
  }
  return std::unique_ptr<StateStore>(std::make_unique<RocksDbStore>(
      directory, std::move(memory), std::unique_ptr<rocksdb::DB>(db)));
}

}  // namespace alertstream::state
