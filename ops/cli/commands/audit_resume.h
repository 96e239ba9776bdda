// What `audit verify --resume FILE` knows of an audit that is under way: for each partition how far
// it was verified, and what was counted. Written whole and atomically, so that a run that was
// killed goes on from there. AuditBook is thread-safe; the rest is values.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "processor/base/result.h"
#include "processor/base/time.h"
#include "processor/runtime/audit_outputs.h"

namespace alertstream::cli {

// A record of the journal.
struct AuditPlace {
  std::uint64_t seq = 0;
  std::int64_t offset = -1;
  LogTime now{};

  friend bool operator==(const AuditPlace&, const AuditPlace&) = default;
};

// Of what was compared.
struct AuditCounts {
  std::uint64_t batches = 0;
  std::uint64_t records = 0;
  std::uint64_t decisions = 0;

  friend bool operator==(const AuditCounts&, const AuditCounts&) = default;
};

// A point up to which a partition was decided again, and what had been compared by then.
struct AuditCheckpoint {
  AuditPlace reached;
  std::string journal_hash;  // Of that record; both in hexadecimal.
  std::string state_root;
  AuditCounts counts;
  std::optional<AuditPlace> first;  // Of the range; nothing: it was not reached yet.
  std::optional<AuditPlace> last;
  std::optional<runtime::AuditOutputs::Positions> outputs;

  friend bool operator==(const AuditCheckpoint&, const AuditCheckpoint&) = default;
};

struct AuditNote {
  bool done = false;
  std::uint64_t began_seq = 0;  // Of the snapshot that it was begun from; 0: from zero.
  // The newest last. Two, while a scratch state is being written: it then stands at one of them.
  std::vector<AuditCheckpoint> checkpoints;

  friend bool operator==(const AuditNote&, const AuditNote&) = default;
};

// Whose audit it is. A file of another one is refused.
struct AuditIdentity {
  std::string log_id;  // Hexadecimal.
  std::string engine;  // Version and tables of the program that decides again.
  std::string asked;   // Partitions, range and tenant, as text.

  friend bool operator==(const AuditIdentity&, const AuditIdentity&) = default;
};

std::string EncodeAuditFile(const AuditIdentity& identity,
                            const std::map<std::int32_t, AuditNote>& notes);
// kInvalid: not such a file, not whole, or of another audit; which, is in the message.
Result<std::map<std::int32_t, AuditNote>> DecodeAuditFile(std::string_view bytes,
                                                          const AuditIdentity& identity);

class AuditBook {
 public:
  // Reads `path` if it is there. "": nothing is kept. Errors of DecodeAuditFile, with the path.
  static Result<std::unique_ptr<AuditBook>> Open(const std::string& path,
                                                 const AuditIdentity& identity);

  bool keeps() const { return !path_.empty(); }
  const std::string& path() const { return path_; }
  // Nothing: the partition was not begun.
  std::optional<AuditNote> Find(std::int32_t partition) const;
  // On disk when it returns ok.
  Status Put(std::int32_t partition, const AuditNote& note);
  // The audit is over.
  void Remove();

 private:
  AuditBook(std::string path, AuditIdentity identity)
      : path_(std::move(path)), identity_(std::move(identity)) {}

  const std::string path_;
  const AuditIdentity identity_;
  mutable std::mutex mutex_;
  std::map<std::int32_t, AuditNote> notes_;
};

}  // namespace alertstream::cli
