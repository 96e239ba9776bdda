#include "processor/log/local/block.h"

#include <lz4.h>
#include <xxhash.h>

#include <array>
#include <cstring>
#include <utility>

#include "processor/base/check.h"
#include "schemas/topics.h"

namespace alertstream::log {
namespace {

constexpr char kBlockKeyPrefix = 'r';
constexpr std::size_t kBlockKeyBytes = 1 + 1 + 4 + 8;
constexpr char kPlainFormat = 1;
constexpr char kPackedFormat = 2;
constexpr std::size_t kFormatAt = 8;
constexpr std::size_t kTimeAt = 9;
constexpr std::size_t kRecordsAt = 17;
constexpr std::size_t kHeadersAt = 21;
constexpr std::size_t kHeadBytes = 25;
constexpr std::size_t kPackedHeadBytes = kHeadBytes + sizeof(std::uint32_t);
// One record may be as large as a dead letter, and closes a block that was nearly full.
constexpr std::size_t kBodyBytesMax = std::size_t{64} << 20;

template <typename T>
void StoreLittleEndian(char* at, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    at[i] = static_cast<char>(value >> (8 * i));
  }
}

template <typename T>
T LoadLittleEndian(const char* at) {
  T value = 0;
  for (std::size_t i = sizeof(T); i > 0; --i) {
    value = static_cast<T>(value << 8) | static_cast<unsigned char>(at[i - 1]);
  }
  return value;
}

template <typename T>
void AppendBigEndian(std::string* out, T value) {
  for (std::size_t i = sizeof(T); i > 0; --i) {
    out->push_back(static_cast<char>(value >> (8 * (i - 1))));
  }
}

template <typename T>
T LoadBigEndian(const char* at) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>(value << 8) | static_cast<unsigned char>(at[i]);
  }
  return value;
}

void AppendVarint(std::string* out, std::size_t value) {
  std::array<char, 10> bytes{};
  std::size_t size = 0;
  while (value >= 0x80) {
    bytes[size++] = static_cast<char>((value & 0x7f) | 0x80);
    value >>= 7;
  }
  bytes[size++] = static_cast<char>(value);
  out->append(bytes.data(), size);
}

void AppendText(std::string* out, std::string_view text) {
  AppendVarint(out, text.size());
  out->append(text);
}

bool TakeVarint(const char** at, const char* end, std::size_t* value) {
  *value = 0;
  for (unsigned shift = 0; shift < 63 && *at < end; shift += 7) {
    const auto byte = static_cast<unsigned char>(*(*at)++);
    *value |= std::size_t{byte & 0x7fU} << shift;
    if (byte < 0x80) {
      return true;
    }
  }
  return false;
}

bool TakeText(const char** at, const char* end, std::string_view* text) {
  std::size_t size = 0;
  if (!TakeVarint(at, end, &size) || size > static_cast<std::size_t>(end - *at)) {
    return false;
  }
  *text = {*at, size};
  *at += size;
  return true;
}

// Covers the key too: a block at another block's place is as wrong as a damaged one.
std::uint64_t Checksum(const BlockKey& key, std::string_view bytes) {
  const auto key_bytes = EncodeBlockKey(key);
  const auto seed = XXH3_64bits(key_bytes.data(), key_bytes.size());
  return XXH3_64bits_withSeed(bytes.data() + sizeof(std::uint64_t),
                              bytes.size() - sizeof(std::uint64_t), seed);
}

Error Damaged(const BlockKey& key, const std::string& what) {
  return {ErrorCode::kCorrupt, std::string(schemas::NameOf(key.where.topic)) + " partition " +
                                   std::to_string(key.where.partition) +
                                   ": the block of records at offset " + std::to_string(key.first) +
                                   " is damaged (" + what +
                                   "); restore the log's directory from a backup"};
}

}  // namespace

std::string EncodeBlockKey(const BlockKey& key) {
  std::string bytes;
  bytes.reserve(kBlockKeyBytes);
  bytes.push_back(kBlockKeyPrefix);
  bytes.push_back(static_cast<char>(key.where.topic));
  AppendBigEndian(&bytes, static_cast<std::uint32_t>(key.where.partition));
  AppendBigEndian(&bytes, static_cast<std::uint64_t>(key.first));
  return bytes;
}

std::optional<BlockKey> DecodeBlockKey(std::string_view bytes) {
  if (bytes.size() != kBlockKeyBytes || bytes[0] != kBlockKeyPrefix) {
    return std::nullopt;
  }
  const auto topic = static_cast<unsigned char>(bytes[1]);
  if (topic < 1 || topic > schemas::kTopicCount) {
    return std::nullopt;
  }
  const auto partition = LoadBigEndian<std::uint32_t>(bytes.data() + 2);
  const auto first = LoadBigEndian<std::uint64_t>(bytes.data() + 6);
  return BlockKey{.where = {.topic = static_cast<Topic>(topic),
                            .partition = static_cast<std::int32_t>(partition)},
                  .first = static_cast<std::int64_t>(first)};
}

BlockBuilder::BlockBuilder() : bytes_(kHeadBytes, '\0') { bytes_[kFormatAt] = kPlainFormat; }

void BlockBuilder::Add(const NewRecord& record) {
  AppendText(&bytes_, record.key);
  AppendVarint(&bytes_, record.headers.size());
  for (const auto& header : record.headers) {
    AppendText(&bytes_, header.name);
    AppendText(&bytes_, header.value);
  }
  AppendText(&bytes_, record.value);
  ++records_;
  headers_ += static_cast<std::uint32_t>(record.headers.size());
}

void BlockBuilder::Seal(const BlockKey& key, LogTime append_time) {
  StoreLittleEndian(bytes_.data() + kTimeAt, static_cast<std::uint64_t>(ToMicros(append_time)));
  StoreLittleEndian(bytes_.data() + kRecordsAt, records_);
  StoreLittleEndian(bytes_.data() + kHeadersAt, headers_);
  StoreLittleEndian(bytes_.data(), Checksum(key, bytes_));
}

std::string PackBlock(const BlockKey& key, const std::string& sealed) {
  const std::string_view body = std::string_view(sealed).substr(kHeadBytes);
  if (body.size() > kBodyBytesMax) {
    return sealed;
  }
  const auto body_bytes = static_cast<int>(body.size());
  std::string packed;
  packed.resize(kPackedHeadBytes + static_cast<std::size_t>(LZ4_compressBound(body_bytes)));
  const int bytes = LZ4_compress_default(body.data(), packed.data() + kPackedHeadBytes, body_bytes,
                                         LZ4_compressBound(body_bytes));
  ALERTSTREAM_CHECK(bytes > 0 || body.empty());
  packed.resize(kPackedHeadBytes + static_cast<std::size_t>(bytes));
  if (packed.size() >= sealed.size()) {
    return sealed;
  }
  std::memcpy(packed.data(), sealed.data(), kHeadBytes);
  packed[kFormatAt] = kPackedFormat;
  StoreLittleEndian(packed.data() + kHeadBytes, static_cast<std::uint32_t>(body.size()));
  StoreLittleEndian(packed.data(), Checksum(key, packed));
  return packed;
}

Result<std::string> UnpackBlock(const BlockKey& key, std::string_view stored) {
  ALERTSTREAM_CHECK(stored.size() >= kHeadBytes);
  if (stored[kFormatAt] == kPlainFormat) {
    return std::string(stored);
  }
  if (stored.size() < kPackedHeadBytes) {
    return Damaged(key, "too short");
  }
  const std::size_t body_bytes = LoadLittleEndian<std::uint32_t>(stored.data() + kHeadBytes);
  if (body_bytes > kBodyBytesMax) {
    return Damaged(key, "longer than any block");
  }
  std::string bytes(kHeadBytes + body_bytes, '\0');
  const std::string_view packed = stored.substr(kPackedHeadBytes);
  const int unpacked =
      LZ4_decompress_safe(packed.data(), bytes.data() + kHeadBytes, static_cast<int>(packed.size()),
                          static_cast<int>(body_bytes));
  if (unpacked < 0 || static_cast<std::size_t>(unpacked) != body_bytes) {
    return Damaged(key, "its compressed body cannot be read");
  }
  std::memcpy(bytes.data(), stored.data(), kHeadBytes);
  bytes[kFormatAt] = kPlainFormat;
  return bytes;
}

Result<BlockHead> CheckBlock(const BlockKey& key, std::string_view bytes) {
  if (bytes.size() < kHeadBytes) {
    return Damaged(key, "too short");
  }
  if (LoadLittleEndian<std::uint64_t>(bytes.data()) != Checksum(key, bytes)) {
    return Damaged(key, "checksum mismatch");
  }
  if (bytes[kFormatAt] != kPlainFormat && bytes[kFormatAt] != kPackedFormat) {
    return Damaged(key, "format " + std::to_string(bytes[kFormatAt]) + " is not known");
  }
  return BlockHead{
      .append_time = FromMicros(
          static_cast<std::int64_t>(LoadLittleEndian<std::uint64_t>(bytes.data() + kTimeAt))),
      .records = LoadLittleEndian<std::uint32_t>(bytes.data() + kRecordsAt),
      .headers = LoadLittleEndian<std::uint32_t>(bytes.data() + kHeadersAt),
  };
}

BlockCursor::BlockCursor(const BlockKey& key, const BlockHead& head,
                         std::shared_ptr<const std::string> bytes)
    : key_(key),
      head_(head),
      bytes_(std::move(bytes)),
      at_(bytes_->data() + kHeadBytes),
      end_(bytes_->data() + bytes_->size()) {
  headers_.reserve(head.headers);
}

bool BlockCursor::Parse() {
  RecordView view{.offset = next_offset(),
                  .append_time = head_.append_time,
                  .key = {},
                  .value = {},
                  .headers = {}};
  std::size_t header_count = 0;
  if (!TakeText(&at_, end_, &view.key) || !TakeVarint(&at_, end_, &header_count) ||
      header_count > head_.headers - headers_.size()) {
    return false;
  }
  const auto first_header = headers_.size();
  for (std::size_t i = 0; i < header_count; ++i) {
    Header header{};
    if (!TakeText(&at_, end_, &header.name) || !TakeText(&at_, end_, &header.value)) {
      return false;
    }
    headers_.push_back(header);
  }
  if (!TakeText(&at_, end_, &view.value)) {
    return false;
  }
  view.headers = {headers_.data() + first_header, header_count};
  next_ = view;
  return true;
}

Result<std::size_t> BlockCursor::PeekBytes() {
  ALERTSTREAM_CHECK(!Done());
  if (!next_.has_value() && !Parse()) {
    return Damaged(key_, "record " + std::to_string(taken_) + " cannot be parsed");
  }
  return next_->key.size() + next_->value.size();
}

RecordView BlockCursor::Take() {
  ALERTSTREAM_CHECK(next_.has_value());
  const RecordView view = *next_;
  next_.reset();
  ++taken_;
  return view;
}

}  // namespace alertstream::log
