// Where `audit verify` keeps its scratch states: a temporary directory that is removed with this
// object, or, with --resume FILE, FILE.state, which outlives a run that was stopped. Thread-safe
// for different partitions. Used by the command line.
#pragma once

#include <memory>
#include <string>

#include "ops/cli/commands/audit_partition.h"
#include "processor/state/snapshot_store.h"

namespace alertstream::cli {

class AuditDirectory {
 public:
  struct Options {
    std::string resume;     // The progress file; "": there is none.
    std::string snapshots;  // To begin from; "": none.
  };
  // kConflict: another run has the same progress file.
  static Result<std::unique_ptr<AuditDirectory>> Create(const Options& options);
  ~AuditDirectory();
  AuditDirectory(const AuditDirectory&) = delete;
  AuditDirectory& operator=(const AuditDirectory&) = delete;

  const std::string& path() const { return path_; }
  // Valid while this object lives.
  AuditStates states();

 private:
  AuditDirectory(std::string path, bool lasts) : path_(std::move(path)), lasts_(lasts) {}
  Status Lock();
  Status Clear(std::int32_t partition) const;

  const std::string path_;
  const bool lasts_;
  int lock_ = -1;  // Descriptor of the directory, locked while this object lives.
  std::unique_ptr<state::SnapshotStore> snapshots_;
};

}  // namespace alertstream::cli
