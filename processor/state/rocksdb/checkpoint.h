// A checkpoint of an open database: its files in another directory, as one point in time. Used by
// rocksdb_store.cc; the caller writes nothing meanwhile.
#pragma once

#include <string>

#include <rocksdb/db.h>

namespace alertstream::state {

// What was written is flushed first, so the checkpoint is made of sorted files only (hard links on
// the same file system) and needs no write-ahead log to hold all of it.
rocksdb::Status MakeCheckpoint(rocksdb::DB& db, const std::string& directory);

}  // namespace alertstream::state
