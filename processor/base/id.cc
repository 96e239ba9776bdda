#include "processor/base/id.h"

#include <algorithm>
#include <cstddef>

namespace alertstream {
namespace {

constexpr std::size_t kTextLength = 26;  // 128 bits, 5 a character.
constexpr std::string_view kAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

struct Prefix {
  IdKind kind;
  std::string_view text;
};

constexpr std::array<Prefix, 7> kPrefixes = {{
    {IdKind::kEvent, "evt_"},
    {IdKind::kNotification, "ntf_"},
    {IdKind::kDecision, "dec_"},
    {IdKind::kTrigger, "trg_"},
    {IdKind::kConsent, "con_"},
    {IdKind::kRecipient, "rcp_"},
    {IdKind::kDeadLetter, "dlq_"},
}};

// Appends to a buffer on the stack; the parts of an id have limits far below its size.
class CauseBytes {
 public:
  void Number(std::uint64_t value, int bytes) {
    for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) {
      Byte(static_cast<std::uint8_t>(value >> shift));
    }
  }
  void Text(std::string_view text) {
    Number(text.size(), 2);
    ALERTSTREAM_CHECK(size_ + text.size() <= buffer_.size());
    std::copy(text.begin(), text.end(), buffer_.begin() + static_cast<std::ptrdiff_t>(size_));
    size_ += text.size();
  }
  std::string_view view() const { return {reinterpret_cast<const char*>(buffer_.data()), size_}; }

 private:
  void Byte(std::uint8_t byte) {
    ALERTSTREAM_CHECK(size_ < buffer_.size());
    buffer_[size_++] = byte;
  }
  std::array<std::uint8_t, 512> buffer_{};
  std::size_t size_ = 0;
};

int ValueOf(char c) {
  const auto at = kAlphabet.find(c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c);
  return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

}  // namespace

std::string_view PrefixOf(IdKind kind) { return kPrefixes[static_cast<std::size_t>(kind)].text; }

IdBytes MakeId(const IdCause& cause) {
  CauseBytes bytes;
  bytes.Text(cause.tenant);
  bytes.Number(cause.topic, 1);
  bytes.Number(cause.partition, 4);
  bytes.Number(static_cast<std::uint64_t>(cause.offset), 8);
  bytes.Text(cause.trigger);
  bytes.Text(cause.recipient_token);
  bytes.Number(cause.channel, 1);
  bytes.Number(cause.n, 4);
  const Digest digest = Sha256::Of(bytes.view());

  IdBytes id;
  const auto ms =
      static_cast<std::uint64_t>(std::max<std::int64_t>(0, ToMicros(cause.append_time) / 1000));
  for (std::size_t i = 0; i < 6; ++i) {
    id[i] = static_cast<std::uint8_t>(ms >> (40 - 8 * i));
  }
  std::copy_n(digest.begin(), 10, id.begin() + 6);
  return id;
}

std::string FormatId(IdKind kind, std::string_view bytes) {
  std::string text(PrefixOf(kind));
  if (bytes.size() != std::tuple_size_v<IdBytes>) {
    return text + "invalid";
  }
  // 130 bits: two zero bits, then the 128 of the id, five a character from the left.
  for (std::size_t i = 0; i < kTextLength; ++i) {
    unsigned value = 0;
    for (std::size_t bit = i * 5; bit < i * 5 + 5; ++bit) {
      value <<= 1;
      if (bit >= 2) {
        const std::size_t position = bit - 2;
        const auto byte = static_cast<unsigned char>(bytes[position / 8]);
        value |= (byte >> (7 - position % 8)) & 1U;
      }
    }
    text.push_back(kAlphabet[value]);
  }
  return text;
}

Result<IdBytes> ParseId(IdKind kind, std::string_view text) {
  const std::string_view prefix = PrefixOf(kind);
  if (!text.starts_with(prefix) || text.size() != prefix.size() + kTextLength) {
    return Error(ErrorCode::kInvalid,
                 "expected an id of the form " + std::string(prefix) + " and 26 characters");
  }
  text.remove_prefix(prefix.size());
  IdBytes id{};
  for (std::size_t i = 0; i < kTextLength; ++i) {
    const int value = ValueOf(text[i]);
    if (value < 0 || (i == 0 && value > 7)) {
      return Error(ErrorCode::kInvalid,
                   "id: character " + std::to_string(i + 1) + " is none of Crockford's base 32");
    }
    for (std::size_t k = 0; k < 5; ++k) {
      const std::size_t bit = i * 5 + k;
      if (bit >= 2 && ((value >> (4 - k)) & 1) != 0) {
        const std::size_t position = bit - 2;
        id[position / 8] = static_cast<std::uint8_t>(id[position / 8] | (0x80 >> (position % 8)));
      }
    }
  }
  return id;
}

std::optional<IdKind> KindOf(std::string_view text) {
  for (const auto& prefix : kPrefixes) {
    if (text.starts_with(prefix.text)) {
      return prefix.kind;
    }
  }
  return std::nullopt;
}

RecipientToken MakeRecipientToken(const HmacKey& token_key, std::string_view tenant,
                                  std::uint8_t address_kind, std::string_view address) {
  const char head[1] = {static_cast<char>(tenant.size())};
  const char kind[1] = {static_cast<char>(address_kind)};
  const Digest mac =
      token_key.Begin().Update({head, 1}).Update(tenant).Update({kind, 1}).Update(address).Final();
  RecipientToken token;
  std::copy_n(mac.begin(), token.size(), token.begin());
  return token;
}

}  // namespace alertstream
