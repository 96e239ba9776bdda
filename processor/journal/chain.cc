#include "processor/journal/chain.h"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include "processor/base/safeguards.h"

namespace alertstream::journal {
namespace {

void AppendBigEndian(std::uint64_t value, int bytes, std::string* out) {
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) {
    out->push_back(static_cast<char>(value >> shift));
  }
}

std::uint64_t ReadBigEndian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (const char c : bytes) {
    value = (value << 8) | static_cast<unsigned char>(c);
  }
  return value;
}

Error Broken(std::uint32_t partition, std::int64_t offset, const std::string& what) {
  return Error(ErrorCode::kCorrupt,
               fmt::format("journal of partition {} at offset {}: {}. The history was changed or "
                           "belongs to another log; restore it, or verify with `audit verify`",
                           partition, offset, what));
}

}  // namespace

Result<Tail> Continue(const Tail& tail, const v1::JournalRecord& record, std::string_view bytes,
                      std::int64_t offset, std::string_view log_id, std::uint32_t partition) {
  if (record.version() != kJournalVersion || record.generation() != kGeneration) {
    return Broken(partition, offset,
                  fmt::format("version {} generation {} is not known to this program",
                              record.version(), record.generation()));
  }
  if (record.log_id() != log_id || record.partition() != partition) {
    return Broken(partition, offset, "the record is of another log or partition");
  }
  if (record.owner_epoch() < tail.owner_epoch) {
    return Error(ErrorCode::kConflict, "journal record of a superseded owner");
  }
  if (record.seq() <= tail.seq) {
    return Error(ErrorCode::kConflict, "journal record that was already passed");
  }
  if (record.seq() != tail.seq + 1) {
    return Broken(partition, offset,
                  fmt::format("seq {} follows {}: records are missing", record.seq(), tail.seq));
  }
  if (Holds(Safeguard::kPrevHash) && record.prev_hash() != AsView(tail.hash)) {
    return Broken(
        partition, offset,
        fmt::format("prev_hash of seq {} does not match the record before it", record.seq()));
  }
  if (FromMicros(record.now_us()) < tail.now) {
    return Broken(partition, offset, fmt::format("time goes back at seq {}", record.seq()));
  }
  const bool claim = record.kind() == v1::JOURNAL_KIND_CLAIM;
  const std::uint64_t epoch = tail.owner_epoch + (claim ? 1 : 0);
  if (record.owner_epoch() != epoch || (!claim && record.owner_nonce() != tail.owner_nonce)) {
    return Broken(partition, offset,
                  fmt::format("owner epoch {} at seq {}, expected {}: two owners wrote",
                              record.owner_epoch(), record.seq(), epoch));
  }
  return Tail{.seq = record.seq(),
              .hash = Sha256::Of(bytes),
              .offset = offset,
              .now = FromMicros(record.now_us()),
              .owner_epoch = record.owner_epoch(),
              .owner_nonce = record.owner_nonce(),
              .engine_version = record.engine_version()};
}

void AppendStamp(const Stamp& stamp, std::string* bytes) {
  AppendBigEndian(stamp.partition, 4, bytes);
  AppendBigEndian(stamp.seq, 8, bytes);
  AppendBigEndian(stamp.index, 4, bytes);
  AppendBigEndian(stamp.owner_epoch, 8, bytes);
}

std::optional<Stamp> DecodeStamp(std::string_view bytes) {
  if (bytes.size() != kStampBytes) {
    return std::nullopt;
  }
  return Stamp{.partition = static_cast<std::uint32_t>(ReadBigEndian(bytes.substr(0, 4))),
               .seq = ReadBigEndian(bytes.substr(4, 8)),
               .index = static_cast<std::uint32_t>(ReadBigEndian(bytes.substr(12, 4))),
               .owner_epoch = ReadBigEndian(bytes.substr(16, 8))};
}

std::string EncodeJournal(const v1::JournalRecord& record) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    ALERTSTREAM_CHECK(record.SerializeToCodedStream(&coded));
  }
  return bytes;
}

}  // namespace alertstream::journal
