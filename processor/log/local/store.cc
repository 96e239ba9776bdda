#include "processor/log/local/store.h"

#include <fcntl.h>
#include <rocksdb/cache.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <limits>
#include <system_error>
#include <utility>

#include "processor/base/check.h"
#include "processor/base/clock.h"
#include "schemas/topics.h"

namespace alertstream::log {
namespace {

namespace fs = std::filesystem;

constexpr char kPartitionsKey[] = "m";
constexpr char kCommitKey[] = "c";
constexpr char kEpochPrefix = 'x';
constexpr char kStoreFormat = 1;

// Together with the log's cache of new blocks, and what a compaction reads ahead, under 64 MiB.
constexpr std::size_t kWriteBufferBytes = std::size_t{16} << 20;  // Two of them.
constexpr std::size_t kBlockCacheBytes = std::size_t{8} << 20;
constexpr int kOpenFilesMax = 256;
// Blocks are found by a range of keys and read in order, so many sorted runs cost readers little,
// while each merge rewrites every byte.
constexpr int kSortedRunsMax = 32;
// Of each run at once while they are merged: the system is called less often.
constexpr std::size_t kMergeReadBytes = std::size_t{256} << 10;
constexpr std::uint64_t kWalBytesMax = std::uint64_t{64} << 20;
constexpr std::size_t kInfoLogBytesMax = std::size_t{1} << 20;
// A follower that opens while the writer swaps files tries again.
constexpr int kFollowerOpensMax = 10;

std::string Unsigned64(std::uint64_t value) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) {
    bytes.push_back(static_cast<char>(value >> (8 * i)));
  }
  return bytes;
}

std::uint64_t LoadUnsigned(const char* at, int size) {
  std::uint64_t value = 0;
  for (int i = size - 1; i >= 0; --i) {
    value = (value << 8) | static_cast<unsigned char>(at[i]);
  }
  return value;
}

rocksdb::Options StoreOptions() {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(kBlockCacheBytes);
  table.block_size = 32 << 10;
  table.cache_index_and_filter_blocks = true;
  table.format_version = 5;

  rocksdb::Options options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.write_buffer_size = kWriteBufferBytes;
  options.max_write_buffer_number = 2;
  options.max_total_wal_size = kWalBytesMax;
  options.max_background_jobs = 2;
  options.max_open_files = kOpenFilesMax;
  options.compression = rocksdb::kNoCompression;  // Blocks are compressed already.
  options.compaction_style = rocksdb::kCompactionStyleUniversal;
  options.level0_file_num_compaction_trigger = kSortedRunsMax;
  options.level0_slowdown_writes_trigger = 4 * kSortedRunsMax;
  options.level0_stop_writes_trigger = 8 * kSortedRunsMax;
  // Nothing is ever overwritten, so there is no space to win back by merging everything.
  options.compaction_options_universal.max_size_amplification_percent =
      std::numeric_limits<int>::max();
  options.compaction_readahead_size = kMergeReadBytes;
  options.bytes_per_sync = 1 << 20;
  // Only a torn last record is dropped; Load() and the acknowledged number tell whether that lost
  // anything. Every other damage stops the opening.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  options.track_and_verify_wals_in_manifest = true;
  options.recycle_log_file_num = 0;
  options.allow_concurrent_memtable_write = false;  // There is one writing thread at a time.
  options.enable_write_thread_adaptive_yield = false;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.max_log_file_size = kInfoLogBytesMax;
  options.keep_log_file_num = 2;
  options.info_log_level = rocksdb::WARN_LEVEL;
  return options;
}

std::string WriteAheadFiles(const std::string& directory) {
  std::string names;
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().extension() == ".log") {
      names += (names.empty() ? "" : ", ") + entry->path().filename().string();
    }
  }
  return names.empty() ? "none" : names;
}

bool HoldsStore(const std::string& directory) {
  std::error_code ignored;
  return fs::exists(directory + "/CURRENT", ignored);
}

Error OpenFailed(const std::string& directory, const rocksdb::Status& status) {
  if (status.IsCorruption()) {
    return {ErrorCode::kCorrupt, "the log in " + directory + " is damaged: " + status.ToString() +
                                     " (write-ahead files: " + WriteAheadFiles(directory) +
                                     "); nothing was changed; restore the directory from a backup"};
  }
  return {ErrorCode::kUnavailable,
          "the log in " + directory + " cannot be opened: " + status.ToString()};
}

Error ReadFailed(const std::string& what, const rocksdb::Status& status) {
  if (status.IsCorruption()) {
    return {ErrorCode::kCorrupt, what + " is damaged: " + status.ToString() +
                                     "; restore the log's directory from a backup"};
  }
  return {ErrorCode::kUnavailable, what + " cannot be read: " + status.ToString()};
}

std::string NameOfPartition(TopicPartition where) {
  return std::string(schemas::NameOf(where.topic)) + " partition " +
         std::to_string(where.partition);
}

// Everything there is, seen without changing a byte.
Status CheckBeforeOpening(const std::string& directory, std::uint64_t acknowledged_number) {
  std::unique_ptr<rocksdb::DB> db;
  rocksdb::DB* opened = nullptr;
  const auto status = rocksdb::DB::OpenForReadOnly(StoreOptions(), directory, &opened);
  if (!status.ok()) {
    return OpenFailed(directory, status);
  }
  db.reset(opened);
  std::string bytes;
  const auto got = db->Get(rocksdb::ReadOptions(), kCommitKey, &bytes);
  if (!got.ok() && !got.IsNotFound()) {
    return ReadFailed("the newest commit", got);
  }
  const std::uint64_t number = bytes.size() == 16 ? LoadUnsigned(bytes.data(), 8) : 0;
  if (number < acknowledged_number) {
    return Error(ErrorCode::kCorrupt,
                 "the log in " + directory + " ends at commit " + std::to_string(number) +
                     ", but commit " + std::to_string(acknowledged_number) +
                     " was acknowledged: the end of its write-ahead log (" +
                     WriteAheadFiles(directory) +
                     ") is damaged or cut off; nothing was changed; restore the directory from a "
                     "backup, or remove the file `acknowledged` to go on without the lost records");
  }
  return Status::Ok();
}

}  // namespace

BlockIterator::BlockIterator(rocksdb::DB& db, TopicPartition where)
    : where_(where),
      lower_(EncodeBlockKey({.where = where, .first = 0})),
      upper_(EncodeBlockKey(
          {.where = {.topic = where.topic, .partition = where.partition + 1}, .first = 0})),
      lower_slice_(lower_),
      upper_slice_(upper_) {
  rocksdb::ReadOptions options;
  options.iterate_lower_bound = &lower_slice_;
  options.iterate_upper_bound = &upper_slice_;
  options.fill_cache = false;
  iterator_.reset(db.NewIterator(options));
}

void BlockIterator::SeekTo(std::int64_t offset) {
  iterator_->SeekForPrev(EncodeBlockKey({.where = where_, .first = offset}));
}

std::optional<BlockKey> BlockIterator::Key() const {
  return DecodeBlockKey({iterator_->key().data(), iterator_->key().size()});
}

Status BlockIterator::status() const {
  const auto status = iterator_->status();
  return status.ok() ? Status::Ok() : Status(ReadFailed(NameOfPartition(where_), status));
}

void StoreBatch::PutBlock(const BlockKey& key, const std::string& bytes) {
  ALERTSTREAM_CHECK(batch_.Put(EncodeBlockKey(key), bytes).ok());
}

void StoreBatch::PutCommit(const CommitMark& commit) {
  ALERTSTREAM_CHECK(
      batch_.Put(kCommitKey, Unsigned64(commit.number) + Unsigned64(commit.records)).ok());
}

void StoreBatch::PutEpoch(const std::string& id, std::uint64_t epoch) {
  ALERTSTREAM_CHECK(batch_.Put(kEpochPrefix + id, Unsigned64(epoch)).ok());
}

void StoreBatch::PutPartitions(std::int32_t partitions) {
  const auto count = Unsigned64(static_cast<std::uint64_t>(partitions)).substr(0, 4);
  ALERTSTREAM_CHECK(batch_.Put(kPartitionsKey, std::string(1, kStoreFormat) + count).ok());
}

Result<std::unique_ptr<DirectoryLock>> DirectoryLock::Take(const std::string& directory) {
  const auto path = directory + "/owner";
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) {
    return Error(ErrorCode::kUnavailable,
                 path + " cannot be opened: " + std::generic_category().message(errno));
  }
  std::unique_ptr<DirectoryLock> lock(new DirectoryLock(descriptor));
  std::array<char, 24> text{};
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    const auto bytes = ::pread(descriptor, text.data(), text.size() - 1, 0);
    const std::string owner = bytes > 0 ? text.data() : "unknown";
    return Error(ErrorCode::kConflict, "another process (" + owner + ") owns the log directory " +
                                           directory + "; stop it or use --read-only");
  }
  const auto own = std::to_string(::getpid());
  if (::ftruncate(descriptor, 0) != 0 ||
      ::pwrite(descriptor, own.data(), own.size(), 0) != static_cast<ssize_t>(own.size())) {
    return Error(ErrorCode::kUnavailable,
                 path + " cannot be written: " + std::generic_category().message(errno));
  }
  return lock;
}

DirectoryLock::~DirectoryLock() { ::close(descriptor_); }

Result<std::unique_ptr<LocalStore>> LocalStore::OpenWriter(const std::string& directory,
                                                           std::uint64_t acknowledged_number) {
  if (HoldsStore(directory)) {
    ALERTSTREAM_RETURN_IF_ERROR(CheckBeforeOpening(directory, acknowledged_number));
  } else if (acknowledged_number > 0) {
    return Error(ErrorCode::kCorrupt,
                 "the log in " + directory + " is gone (no file CURRENT), but commit " +
                     std::to_string(acknowledged_number) +
                     " was acknowledged; restore the directory from a backup, or empty it");
  }
  auto options = StoreOptions();
  options.create_if_missing = true;
  rocksdb::DB* opened = nullptr;
  const auto status = rocksdb::DB::Open(options, directory, &opened);
  if (!status.ok()) {
    return OpenFailed(directory, status);
  }
  return std::unique_ptr<LocalStore>(
      new LocalStore(directory, std::unique_ptr<rocksdb::DB>(opened), ""));
}

Result<std::unique_ptr<LocalStore>> LocalStore::OpenFollower(const std::string& directory) {
  if (!HoldsStore(directory)) {
    return Error(ErrorCode::kNotFound, "there is no log in " + directory);
  }
  std::error_code error;
  auto scratch = (fs::temp_directory_path(error) / "alertstream-follower-XXXXXX").string();
  if (error || ::mkdtemp(scratch.data()) == nullptr) {
    return Error(ErrorCode::kUnavailable,
                 "no temporary directory can be made for reading " + directory + ": " + scratch);
  }
  auto options = StoreOptions();
  options.max_open_files = -1;  // RocksDB's condition: the writer may delete files that are in use.
  rocksdb::Status status;
  for (int i = 0; i < kFollowerOpensMax; ++i) {
    rocksdb::DB* opened = nullptr;
    status = rocksdb::DB::OpenAsSecondary(options, directory, scratch, &opened);
    if (status.ok()) {
      std::unique_ptr<LocalStore> store(
          new LocalStore(directory, std::unique_ptr<rocksdb::DB>(opened), scratch));
      ALERTSTREAM_RETURN_IF_ERROR(store->CatchUp());
      return store;
    }
    SystemClock().SleepFor(std::chrono::milliseconds(10));
  }
  fs::remove_all(scratch, error);
  return OpenFailed(directory, status);
}

LocalStore::~LocalStore() {
  db_.reset();
  if (!scratch_.empty()) {
    std::error_code ignored;
    fs::remove_all(scratch_, ignored);
  }
}

Result<std::int32_t> LocalStore::LoadPartitions() const {
  std::string bytes;
  const auto status = db_->Get(rocksdb::ReadOptions(), kPartitionsKey, &bytes);
  if (status.IsNotFound()) {
    return std::int32_t{0};
  }
  if (!status.ok()) {
    return ReadFailed("the format entry of " + directory_, status);
  }
  if (bytes.size() != 5 || bytes[0] != kStoreFormat) {
    return Error(ErrorCode::kCorrupt, "the log in " + directory_ +
                                          " has a format that this program does not know; it was "
                                          "written by a newer version");
  }
  return static_cast<std::int32_t>(LoadUnsigned(bytes.data() + 1, 4));
}

std::unique_ptr<BlockIterator> LocalStore::Iterate(TopicPartition where) const {
  return std::make_unique<BlockIterator>(*db_, where);
}

Result<PartitionEnd> LocalStore::LoadEnd(TopicPartition where) const {
  BlockIterator iterator(*db_, where);
  iterator.SeekTo(std::numeric_limits<std::int64_t>::max());
  ALERTSTREAM_RETURN_IF_ERROR(iterator.status());
  if (!iterator.Valid()) {
    return PartitionEnd{};
  }
  const auto key = iterator.Key();
  if (!key.has_value()) {
    return Error(ErrorCode::kCorrupt, NameOfPartition(where) + " holds an entry that is no block");
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto head, CheckBlock(*key, iterator.Value()));
  return PartitionEnd{.end = key->first + head.records, .last_time = head.append_time};
}

Result<StoreState> LocalStore::Load() const {
  StoreState state;
  ALERTSTREAM_ASSIGN_OR_RETURN(state.partitions, LoadPartitions());
  std::string bytes;
  const auto status = db_->Get(rocksdb::ReadOptions(), kCommitKey, &bytes);
  if (!status.ok() && !status.IsNotFound()) {
    return ReadFailed("the newest commit", status);
  }
  if (bytes.size() == 16) {
    state.commit = {.number = LoadUnsigned(bytes.data(), 8),
                    .records = LoadUnsigned(bytes.data() + 8, 8)};
  }
  std::uint64_t records = 0;
  for (const auto& spec : schemas::kTopics) {
    for (std::int32_t partition = 0; partition < state.partitions; ++partition) {
      ALERTSTREAM_ASSIGN_OR_RETURN(const auto end,
                                   LoadEnd({.topic = spec.topic, .partition = partition}));
      state.ends.push_back(end);
      records += static_cast<std::uint64_t>(end.end);
    }
  }
  if (records != state.commit.records) {
    return Error(ErrorCode::kCorrupt,
                 "the log in " + directory_ + " holds " + std::to_string(records) +
                     " records, but commit " + std::to_string(state.commit.number) + " counted " +
                     std::to_string(state.commit.records) +
                     ": a commit before it is missing; restore the directory from a backup");
  }
  const std::unique_ptr<rocksdb::Iterator> iterator(db_->NewIterator(rocksdb::ReadOptions()));
  for (iterator->Seek(std::string(1, kEpochPrefix));
       iterator->Valid() && iterator->key().starts_with(std::string(1, kEpochPrefix));
       iterator->Next()) {
    if (iterator->value().size() == 8) {
      state.epochs[iterator->key().ToString().substr(1)] =
          LoadUnsigned(iterator->value().data(), 8);
    }
  }
  if (!iterator->status().ok()) {
    return ReadFailed("the transactional ids", iterator->status());
  }
  return state;
}

Status LocalStore::Write(StoreBatch* batch, bool sync) {
  rocksdb::WriteOptions options;
  options.sync = sync;
  const auto status = db_->Write(options, batch->get());
  if (!status.ok()) {
    return Error(ErrorCode::kUnknown,
                 "writing to the log in " + directory_ + " failed: " + status.ToString());
  }
  return Status::Ok();
}

Result<bool> LocalStore::CatchUp() {
  const auto before = db_->GetLatestSequenceNumber();
  const auto status = db_->TryCatchUpWithPrimary();
  if (!status.ok()) {
    return ReadFailed("the log in " + directory_, status);
  }
  return db_->GetLatestSequenceNumber() != before;
}

}  // namespace alertstream::log
