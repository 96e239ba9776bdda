#include "processor/state/rocksdb/checkpoint.h"

#include <memory>

#include <rocksdb/utilities/checkpoint.h>

namespace alertstream::state {

rocksdb::Status MakeCheckpoint(rocksdb::DB& db, const std::string& directory) {
  rocksdb::Checkpoint* made = nullptr;
  auto status = rocksdb::Checkpoint::Create(&db, &made);
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
  if (!status.ok()) {
    return status;
  }
  constexpr std::uint64_t kFlushAlways = 0;
  return checkpoint->CreateCheckpoint(directory, kFlushAlways);
}

}  // namespace alertstream::state
