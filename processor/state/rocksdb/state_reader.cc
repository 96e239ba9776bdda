#include "processor/state/rocksdb/state_reader.h"

#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include <rocksdb/db.h>
#include <rocksdb/env.h>

namespace alertstream::state {
namespace {

// As rocksdb_store.cc stores them.
constexpr std::string_view kMetaKey{"\0meta", 5};
constexpr const char* kHistoryFamily = "history";

rocksdb::Slice ToSlice(std::string_view view) { return {view.data(), view.size()}; }
std::string_view ToView(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

Error ToError(const std::string& directory, const rocksdb::Status& status) {
  return Error(status.IsCorruption() || status.IsPathNotFound() ? ErrorCode::kCorrupt
                                                                : ErrorCode::kUnavailable,
               "state in " + directory + ": " + status.ToString());
}

Error ReadOnly() {
  return Error(ErrorCode::kInvalid, "a state that was opened for reading is not written to");
}

// Without one RocksDB would write its own log into the directory.
class NoLogger final : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char* /*format*/, va_list /*arguments*/) override {}
};

class StateReader final : public StateStore {
 public:
  StateReader(std::string directory, IsHistory is_history, std::unique_ptr<rocksdb::DB> db,
              std::vector<rocksdb::ColumnFamilyHandle*> families)
      : directory_(std::move(directory)),
        is_history_(is_history),
        db_(std::move(db)),
        families_(std::move(families)) {}
  ~StateReader() override {
    for (auto* family : families_) {
      static_cast<void>(db_->DestroyColumnFamilyHandle(family));
    }
  }
  StateReader(const StateReader&) = delete;
  StateReader& operator=(const StateReader&) = delete;

  Result<bool> Get(std::string_view key, std::string* value) override {
    auto* family = families_[key == kMetaKey || is_history_(key) ? 1 : 0];
    const auto status = db_->Get(rocksdb::ReadOptions(), family, ToSlice(key), value);
    if (!status.ok() && !status.IsNotFound()) {
      return ToError(directory_, status);
    }
    return status.ok();
  }

  Status Scan(std::string_view from, std::string_view to, const Visit& visit) override {
    rocksdb::ReadOptions options;
    options.fill_cache = false;
    const rocksdb::Slice upper = ToSlice(to);
    options.iterate_upper_bound = &upper;
    std::vector<std::unique_ptr<rocksdb::Iterator>> runs;
    for (auto* family : families_) {
      runs.emplace_back(db_->NewIterator(options, family))->Seek(ToSlice(from));
    }
    while (runs[0]->Valid() || runs[1]->Valid()) {
      const bool first =
          !runs[1]->Valid() || (runs[0]->Valid() && runs[0]->key().compare(runs[1]->key()) < 0);
      rocksdb::Iterator& next = *runs[first ? 0 : 1];
      if (!visit(ToView(next.key()), ToView(next.value()))) {
        break;
      }
      next.Next();
    }
    for (const auto& run : runs) {
      if (!run->status().ok()) {
        return ToError(directory_, run->status());
      }
    }
    return Status::Ok();
  }

  Result<std::optional<std::string>> Meta() override {
    std::string value;
    ALERTSTREAM_ASSIGN_OR_RETURN(const bool found, Get(kMetaKey, &value));
    return found ? std::optional(std::move(value)) : std::nullopt;
  }

  std::uint64_t KeysEstimate() override {
    std::uint64_t keys = 0;
    static_cast<void>(
        db_->GetAggregatedIntProperty(rocksdb::DB::Properties::kEstimateNumKeys, &keys));
    return keys;
  }

  Status Apply(std::span<const StateWrite> /*writes*/, std::string_view /*meta*/) override {
    return ReadOnly();
  }
  Status Clear() override { return ReadOnly(); }

 private:
  const std::string directory_;
  const IsHistory is_history_;
  const std::unique_ptr<rocksdb::DB> db_;
  const std::vector<rocksdb::ColumnFamilyHandle*> families_;
};

}  // namespace

Result<std::unique_ptr<StateStore>> OpenStateReader(const std::string& directory,
                                                    IsHistory is_history) {
  std::error_code code;
  if (!std::filesystem::exists(std::filesystem::path(directory) / "CURRENT", code)) {
    return Error(ErrorCode::kNotFound, "there is no state in " + directory);
  }
  rocksdb::DBOptions options;
  options.info_log = std::make_shared<NoLogger>();
  options.max_open_files = -1;
  const std::vector<rocksdb::ColumnFamilyDescriptor> descriptors = {
      {rocksdb::kDefaultColumnFamilyName, rocksdb::ColumnFamilyOptions()},
      {kHistoryFamily, rocksdb::ColumnFamilyOptions()}};
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  rocksdb::DB* db = nullptr;
  const auto status = rocksdb::DB::OpenForReadOnly(options, directory, descriptors, &families, &db);
  if (!status.ok()) {
    return ToError(directory, status);
  }
  return std::unique_ptr<StateStore>(std::make_unique<StateReader>(
      directory, is_history, std::unique_ptr<rocksdb::DB>(db), std::move(families)));
}

}  // namespace alertstream::state
