// The chain of journal records of one partition: how a record continues the one before it, and the
// stamp that ties an output to its record. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "processor/base/crypto.h"
#include "processor/base/result.h"
#include "processor/base/time.h"
#include "schemas/journal.pb.h"

namespace alertstream::journal {

inline constexpr std::uint32_t kJournalVersion = 1;
inline constexpr std::uint32_t kGeneration = 1;
inline constexpr std::uint32_t kSchemaSet = 1;  // Raised when a message gains a field.
inline constexpr std::size_t kLogIdBytes = 16;
inline constexpr std::size_t kNonceBytes = 16;

// Where a partition's journal stands: its last accepted record. seq 0: nothing was written yet.
struct Tail {
  std::uint64_t seq = 0;
  Digest hash{};             // All zero before the first record.
  std::int64_t offset = -1;  // Of the record, on the journal topic.
  LogTime now{};
  std::uint64_t owner_epoch = 0;
  std::string owner_nonce;
  std::uint32_t engine_version = 0;

  friend bool operator==(const Tail&, const Tail&) = default;
};

// Whether `record`, of these exact `bytes`, may follow `tail`: same log and partition, next seq,
// matching hash, time not going back, an epoch raised by one in a CLAIM and unchanged elsewhere.
// Returns the new tail. kConflict: a record of a superseded owner (a lower epoch) or a duplicate
// (a seq already passed): drop and count it. kCorrupt: anything else; stop the partition.
Result<Tail> Continue(const Tail& tail, const v1::JournalRecord& record, std::string_view bytes,
                      std::int64_t offset, std::string_view log_id, std::uint32_t partition);

// What every output carries in the header kStampHeader: 24 bytes, big endian.
struct Stamp {
  std::uint32_t partition;
  std::uint64_t seq;
  std::uint32_t index;  // Among the outputs of this topic in the batch.
  std::uint64_t owner_epoch;

  friend bool operator==(const Stamp&, const Stamp&) = default;
};

inline constexpr std::size_t kStampBytes = 24;
void AppendStamp(const Stamp& stamp, std::string* bytes);
std::optional<Stamp> DecodeStamp(std::string_view bytes);

// Deterministic bytes of a record; its hash is Sha256::Of of them.
std::string EncodeJournal(const v1::JournalRecord& record);

}  // namespace alertstream::journal
