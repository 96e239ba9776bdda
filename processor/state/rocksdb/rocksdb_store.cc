#include "processor/state/rocksdb/rocksdb_store.h"

#include <cerrno>
#include <system_error>
#include <vector>

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>
#include <rocksdb/write_buffer_manager.h>

#include "processor/base/check.h"
#include "processor/state/rocksdb/checkpoint.h"

namespace alertstream::state {
namespace {

// No tenant id is empty, so no state key begins with a NUL. It changes with every write, as history
// does: what lasts is to be left alone.
constexpr std::string_view kMetaKey{"\0meta", 5};

// From here on a batch becomes a file of each family: it is in key order already, so that neither
// the write-ahead log nor the memtable, both of which cost more than the file, would do anything
// for it. Smaller batches would make too many files.
constexpr std::size_t kFileWritesMin = 4096;

constexpr std::size_t kWriteBufferBytes = 4 << 20;
// Files that a look-up has to ask (each has a filter) before they are merged, which rewrites every
// byte. What is looked up for every event lies in few; history, where most look-ups are of keys
// that are nowhere and are answered by the map's own filter, in many.
constexpr int kLastingRunsMax = 4;
constexpr int kHistoryRunsMax = 24;
// Of each file at once while they are merged: the system is called less often.
constexpr std::size_t kMergeReadBytes = 128 << 10;
// What history holds of keys that were written again or erased, in percent of the rest, before all
// of it is rewritten: every key is once, and erased once after days.
constexpr unsigned int kHistoryAmplificationMax = 400;
constexpr const char* kHistoryFamily = "history";

// Few threads share the cache; small shards would evict what is needed while others stand empty.
constexpr int kCacheShardBits = 3;

rocksdb::Slice ToSlice(std::string_view view) { return {view.data(), view.size()}; }
std::string_view ToView(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

enum class During : std::uint8_t { kRead, kOther };

// Whether a file is there but the disk does not give its bytes back. What was not a read may have
// failed for other reasons (a lock, a full disk, rights); there RocksDB says it in words only.
bool IsUnreadable(const rocksdb::Status& status, During during) {
  if (!status.IsIOError() || status.IsNoSpace()) {
    return false;
  }
  if (during == During::kRead) {
    return true;
  }
  const std::string text = status.ToString();
  const auto says = [&](const std::string& word) { return text.find(word) != std::string::npos; };
  const auto named = [&](int code) { return says(std::generic_category().message(code)); };
  return says("read") && (named(EIO) || named(EUCLEAN) || named(EBADMSG));
}

Error ToError(const std::string& directory, const rocksdb::Status& status,
              During during = During::kOther) {
  const std::string what = "state store " + directory + ": " + status.ToString();
  // A file that is missing is damage too: nobody but RocksDB deletes any.
  if (status.IsCorruption() || status.IsPathNotFound() || IsUnreadable(status, during)) {
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
      : cache(rocksdb::NewLRUCache(bytes - bytes / 4, kCacheShardBits)),
        write_buffers(std::make_shared<rocksdb::WriteBufferManager>(bytes / 4)) {}

  std::shared_ptr<rocksdb::Cache> cache;  // Shared with RocksDB.
  std::shared_ptr<rocksdb::WriteBufferManager> write_buffers;
};

rocksdb::DBOptions DatabaseOptions(const SharedMemory& memory) {
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.max_background_jobs = 2;
  options.max_open_files = -1;  // Few and large.
  options.compaction_readahead_size = kMergeReadBytes;
  options.write_buffer_manager = memory.write_buffers;
  options.allow_concurrent_memtable_write = false;  // One writer: the partition's task.
  options.enable_write_thread_adaptive_yield = false;
  options.max_total_wal_size = 16 << 20;
  options.keep_log_file_num = 2;
  options.max_log_file_size = 4 << 20;
  options.stats_dump_period_sec = 0;
  return options;
}

enum class Family : std::uint8_t { kLasting, kHistory };

rocksdb::ColumnFamilyOptions FamilyOptions(const SharedMemory& memory, Family family) {
  const int runs_max = family == Family::kLasting ? kLastingRunsMax : kHistoryRunsMax;
  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = kWriteBufferBytes;
  options.max_write_buffer_number = 2;
  // The values are small and mostly random bytes (ids, tokens, times): compressing them again at
  // every merge costs more than the part of the disk that it saves.
  options.compression = rocksdb::kNoCompression;
  options.compaction_style = rocksdb::kCompactionStyleUniversal;
  options.level0_file_num_compaction_trigger = runs_max;
  options.level0_slowdown_writes_trigger = runs_max * 3;
  options.level0_stop_writes_trigger = runs_max * 5;
  options.memtable_whole_key_filtering = true;
  options.memtable_prefix_bloom_size_ratio = 0.05;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = memory.cache;
  if (family == Family::kHistory) {
    // It grows without end: what is needed of its filters and indices competes for the cache.
    table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
    table.partition_filters = true;
    table.cache_index_and_filter_blocks = true;
    options.compaction_options_universal.max_size_amplification_percent = kHistoryAmplificationMax;
  } else {
    // About two bytes a person, outside the cache.
    table.cache_index_and_filter_blocks = false;
    table.data_block_index_type = rocksdb::BlockBasedTableOptions::kDataBlockBinaryAndHash;
  }
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.block_size = 4 << 10;
  table.format_version = 5;
  table.checksum = rocksdb::kXXH3;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

// The keys of one family that a batch writes, as a file. In key order.
class FamilyFile {
 public:
  FamilyFile(rocksdb::ColumnFamilyHandle* family, const rocksdb::Options& options, std::string path)
      : family_(family), path_(std::move(path)), writer_(rocksdb::EnvOptions(), options, family) {}

  rocksdb::Status Add(std::string_view key, const std::optional<std::string_view>& value) {
    if (!opened_) {
      auto opened = writer_.Open(path_);
      if (!opened.ok()) {
        return opened;
      }
      opened_ = true;
    }
    return value ? writer_.Put(ToSlice(key), ToSlice(*value)) : writer_.Delete(ToSlice(key));
  }

  // Adds what makes the file part of the store to `out`; nothing without keys.
  rocksdb::Status Finish(std::vector<rocksdb::IngestExternalFileArg>* out) {
    if (!opened_) {
      return rocksdb::Status::OK();
    }
    rocksdb::IngestExternalFileArg ingest;
    ingest.column_family = family_;
    ingest.external_files = {path_};
    ingest.options.move_files = true;
    ingest.options.snapshot_consistency = false;  // Nobody holds a snapshot.
    ingest.options.write_global_seqno = false;
    out->push_back(std::move(ingest));
    return writer_.Finish();
  }

 private:
  rocksdb::ColumnFamilyHandle* family_;
  std::string path_;
  rocksdb::SstFileWriter writer_;
  bool opened_ = false;
};

class RocksDbStore final : public StateStore {
 public:
  RocksDbStore(std::string directory, IsHistory is_history, std::shared_ptr<StoreMemory> memory,
               std::unique_ptr<rocksdb::DB> db, std::vector<rocksdb::ColumnFamilyHandle*> families)
      : directory_(std::move(directory)),
        is_history_(is_history),
        memory_(std::move(memory)),
        db_(std::move(db)),
        families_(std::move(families)) {
    ALERTSTREAM_CHECK(families_.size() == 2);
  }

  ~RocksDbStore() override {
    for (auto* family : families_) {
      static_cast<void>(db_->DestroyColumnFamilyHandle(family));
    }
  }
  RocksDbStore(const RocksDbStore&) = delete;
  RocksDbStore& operator=(const RocksDbStore&) = delete;

  Result<bool> Get(std::string_view key, std::string* value) override {
    const auto status = db_->Get(read_options_, FamilyOf(key), ToSlice(key), &pinned_);
    if (status.IsNotFound()) {
      return false;
    }
    if (!status.ok()) {
      return ToError(directory_, status, During::kRead);
    }
    value->assign(pinned_.data(), pinned_.size());
    pinned_.Reset();
    return true;
  }

  Status Scan(std::string_view from, std::string_view to, const Visit& visit) override {
    rocksdb::ReadOptions options;
    options.fill_cache = false;
    const rocksdb::Slice upper = ToSlice(to);
    options.iterate_upper_bound = &upper;
    const std::unique_ptr<rocksdb::Iterator> lasting(db_->NewIterator(options, families_[0]));
    const std::unique_ptr<rocksdb::Iterator> history(db_->NewIterator(options, families_[1]));
    lasting->Seek(ToSlice(from));
    history->Seek(ToSlice(from));
    while (lasting->Valid() || history->Valid()) {
      const bool first =
          !history->Valid() || (lasting->Valid() && lasting->key().compare(history->key()) < 0);
      rocksdb::Iterator& next = first ? *lasting : *history;
      if (!visit(ToView(next.key()), ToView(next.value()))) {
        break;
      }
      next.Next();
    }
    const auto status = lasting->status().ok() ? history->status() : lasting->status();
    return status.ok() ? Status::Ok() : Status(ToError(directory_, status, During::kRead));
  }

  Status Apply(std::span<const StateWrite> writes, std::string_view meta) override {
    const auto status =
        writes.size() < kFileWritesMin ? ApplyBatch(writes, meta) : ApplyFiles(writes, meta);
    return status.ok() ? Status::Ok() : Status(ToError(directory_, status));
  }

  std::uint64_t KeysEstimate() override {
    std::uint64_t keys = 0;
    static_cast<void>(
        db_->GetAggregatedIntProperty(rocksdb::DB::Properties::kEstimateNumKeys, &keys));
    return keys;
  }

  Result<std::optional<std::string>> Meta() override {
    // Before there were families it lay in what is now the other one: its reader refuses that form,
    // while a store that seemed new would mix it with another point of history.
    for (auto* family : {families_[1], families_[0]}) {
      std::string value;
      const auto status = db_->Get(read_options_, family, ToSlice(kMetaKey), &value);
      if (status.ok()) {
        return std::optional<std::string>(std::move(value));
      }
      if (!status.IsNotFound()) {
        return ToError(directory_, status, During::kRead);
      }
    }
    return std::optional<std::string>();
  }

  Status CheckpointTo(const std::string& directory) override {
    const auto status = MakeCheckpoint(*db_, directory);
    return status.ok() ? Status::Ok() : Status(ToError(directory, status));
  }

  Status Clear() override {
    const std::string end(1, '\xff');
    rocksdb::Status status;
    for (auto* family : families_) {
      if (status.ok()) {
        status = db_->DeleteRange(write_options_, family, "", end);
      }
      if (status.ok()) {
        status = db_->CompactRange(rocksdb::CompactRangeOptions(), family, nullptr, nullptr);
      }
    }
    return status.ok() ? Status::Ok() : Status(ToError(directory_, status));
  }

 private:
  rocksdb::ColumnFamilyHandle* FamilyOf(std::string_view key) const {
    return families_[key == kMetaKey || is_history_(key) ? 1 : 0];
  }

  rocksdb::Status ApplyBatch(std::span<const StateWrite> writes, std::string_view meta) {
    batch_.Clear();
    rocksdb::Status status = batch_.Put(families_[1], ToSlice(kMetaKey), ToSlice(meta));
    for (const auto& write : writes) {
      if (!status.ok()) {
        return status;
      }
      status = write.value
                   ? batch_.Put(FamilyOf(write.key), ToSlice(write.key), ToSlice(*write.value))
                   : batch_.Delete(FamilyOf(write.key), ToSlice(write.key));
    }
    wal_synced_ = false;
    return status.ok() ? db_->Write(write_options_, &batch_) : status;
  }

  // The files and the meta become visible together, and are on disk when this returns: so must be
  // every batch before them, or a crash of the machine would leave a state with a hole.
  rocksdb::Status ApplyFiles(std::span<const StateWrite> writes, std::string_view meta) {
    FamilyFile lasting(families_[0], db_->GetOptions(families_[0]), directory_ + "/lasting.sst");
    FamilyFile history(families_[1], db_->GetOptions(families_[1]), directory_ + "/history.sst");
    auto status = history.Add(kMetaKey, meta);  // Before every other key.
    for (const auto& write : writes) {
      if (!status.ok()) {
        return status;
      }
      status = (is_history_(write.key) ? history : lasting).Add(write.key, write.value);
    }
    std::vector<rocksdb::IngestExternalFileArg> files;
    if (status.ok()) {
      status = lasting.Finish(&files);
    }
    if (status.ok()) {
      status = history.Finish(&files);
    }
    if (status.ok() && !wal_synced_) {
      status = db_->SyncWAL();
      wal_synced_ = status.ok();
    }
    return status.ok() ? db_->IngestExternalFiles(files) : status;
  }

  std::string directory_;
  IsHistory is_history_;
  std::shared_ptr<StoreMemory> memory_;  // Also owned by the other stores.
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> families_;  // Lasting, history.
  rocksdb::ReadOptions read_options_;
  // The WAL is kept but not synced: after a crash of the process nothing is lost, after one of the
  // machine the journal brings back what is.
  rocksdb::WriteOptions write_options_;
  bool wal_synced_ = true;
  rocksdb::WriteBatch batch_;
  rocksdb::PinnableSlice pinned_;
};

}  // namespace

std::shared_ptr<StoreMemory> StoreMemory::Create(std::size_t bytes) {
  return std::make_shared<SharedMemory>(bytes);
}

Result<std::unique_ptr<StateStore>> OpenRocksDbStore(const std::string& directory,
                                                     IsHistory is_history,
                                                     std::shared_ptr<StoreMemory> memory) {
  const auto& shared = static_cast<const SharedMemory&>(*memory);
  const std::vector<rocksdb::ColumnFamilyDescriptor> families = {
      {rocksdb::kDefaultColumnFamilyName, FamilyOptions(shared, Family::kLasting)},
      {kHistoryFamily, FamilyOptions(shared, Family::kHistory)}};
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const auto status =
      rocksdb::DB::Open(DatabaseOptions(shared), directory, families, &handles, &db);
  if (!status.ok()) {
    return ToError(directory, status);
  }
  return std::unique_ptr<StateStore>(
      std::make_unique<RocksDbStore>(directory, is_history, std::move(memory),
                                     std::unique_ptr<rocksdb::DB>(db), std::move(handles)));
}

}  // namespace alertstream::state
