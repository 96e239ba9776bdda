// simdjson indexes the structure and validates the UTF-8, its on-demand walk pairs brackets, commas
// and colons. What the profile is strict about is decided here, byte by byte: literals, numbers,
// escapes, names and limits. simdjson's checks for misuse are off in every build, because they
// differ between optimised and other builds and the profile may not.
#define SIMDJSON_DEVELOPMENT_CHECKS 0

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include <simdjson.h>

#include "processor/base/check.h"
#include "schemas/json.h"

namespace alertstream::schemas {
namespace {

namespace ondemand = simdjson::ondemand;

// From here on names are sorted to find a duplicate; below, comparing each with each is cheaper.
constexpr std::uint32_t kLinearMembersMax = 16;
// Enough to find the place, short enough for a log line and a dead letter.
constexpr std::size_t kPointerBytesMax = 200;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20; }
bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// The zeros behind the document end a run of digits.
const char* SkipDigits(const char* at) {
  while (IsDigit(*at)) {
    ++at;
  }
  return at;
}

// One bit a byte: 0x80 where a byte of `word` is zero. Exact for the lowest such byte.
std::uint64_t ZeroBytes(std::uint64_t word) {
  return (word - 0x0101010101010101U) & ~word & 0x8080808080808080U;
}

// The first quote or backslash at or after `at`, else `end`. Reads up to 7 bytes past `end`.
char* FindQuoteOrBackslash(char* at, char* end) {
  static_assert(std::endian::native == std::endian::little);
  for (; at < end; at += sizeof(std::uint64_t)) {
    std::uint64_t word;
    std::memcpy(&word, at, sizeof(word));
    const std::uint64_t hits =
        ZeroBytes(word ^ 0x2222222222222222U) | ZeroBytes(word ^ 0x5c5c5c5c5c5c5c5cU);
    if (hits != 0) {
      return std::min(at + std::countr_zero(hits) / 8, end);
    }
  }
  return end;
}

// The bytes of the well-formed UTF-8 character (RFC 3629) that `text` begins with, 0 if none.
std::size_t CharacterBytes(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) {
    return 1;
  }
  const auto size = static_cast<std::size_t>(std::countl_one(static_cast<std::uint8_t>(lead)));
  if (lead < 0xc2 || lead > 0xf4 || size > text.size()) {
    return 0;
  }
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0U) != 0x80) {
      return 0;
    }
  }
  const bool overlong = (lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xf0 && byte(1) < 0x90);
  const bool surrogate = lead == 0xed && byte(1) > 0x9f;
  const bool beyond = lead == 0xf4 && byte(1) > 0x8f;
  return overlong || surrogate || beyond ? 0 : size;
}

std::size_t FirstInvalidUtf8(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t size = CharacterBytes(text.substr(at));
    if (size == 0) {
      return at;
    }
    at += size;
  }
  return at;
}

// The four hex digits at `at` as a number, -1 if they are none.
int HexUnit(const char* at) {
  int unit = 0;
  const auto [end, error] = std::from_chars(at, at + 4, unit, 16);
  // from_chars takes a sign, JSON does not.
  return error == std::errc{} && end == at + 4 && *at != '-' ? unit : -1;
}

char* AppendUtf8(std::uint32_t point, char* to) {
  const auto put = [&to](std::uint32_t byte) { *to++ = static_cast<char>(byte); };
  if (point < 0x80) {
    put(point);
  } else if (point < 0x800) {
    put(0xc0U | (point >> 6U));
    put(0x80U | (point & 0x3fU));
  } else if (point < 0x10000) {
    put(0xe0U | (point >> 12U));
    put(0x80U | ((point >> 6U) & 0x3fU));
    put(0x80U | (point & 0x3fU));
  } else {
    put(0xf0U | (point >> 18U));
    put(0x80U | ((point >> 12U) & 0x3fU));
    put(0x80U | ((point >> 6U) & 0x3fU));
    put(0x80U | (point & 0x3fU));
  }
  return to;
}

// The character that a two-character escape stands for, 0 if there is no such escape.
char SimpleEscape(char c) {
  switch (c) {
    case '"':
    case '\\':
    case '/':
      return c;
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return '\0';
  }
}

// A number literal, taken apart as RFC 8259, section 6, spells it.
struct NumberLiteral {
  const char* end = nullptr;    // Null if the literal is malformed.
  bool integral = false;        // Neither fraction nor exponent.
  std::size_t digits = 0;       // Of the integer part.
  std::uint64_t magnitude = 0;  // Of the integer part, while `digits` is at most 19.
};

NumberLiteral ScanNumber(const char* at) {
  NumberLiteral number;
  at += *at == '-' ? 1 : 0;
  const char* const integer = at;
  for (; IsDigit(*at); ++at) {
    number.magnitude = number.magnitude * 10 + static_cast<std::uint64_t>(*at - '0');
  }
  number.digits = static_cast<std::size_t>(at - integer);
  if (number.digits == 0 || (*integer == '0' && number.digits > 1)) {
    return {};
  }
  number.integral = true;
  if (*at == '.') {
    number.integral = false;
    const char* const fraction = ++at;
    at = SkipDigits(at);
    if (at == fraction) {
      return {};
    }
  }
  if (*at == 'e' || *at == 'E') {
    number.integral = false;
    ++at;
    at += *at == '+' || *at == '-' ? 1 : 0;
    const char* const exponent = at;
    at = SkipDigits(at);
    if (at == exponent) {
      return {};
    }
  }
  number.end = at;
  return number;
}

// Whether a well-formed literal outside the range of double is too small for it, not too large.
// Exponents that do not fit are out of range by their sign alone.
bool Underflows(std::string_view literal) {
  const std::size_t e = std::min(literal.find_first_of("eE"), literal.size());
  const std::string_view mantissa = literal.substr(0, e);
  std::int64_t exponent = 0;
  if (e < literal.size()) {
    const std::size_t sign = literal[e + 1] == '+' ? 2 : 1;
    const auto parsed =
        std::from_chars(literal.data() + e + sign, literal.data() + literal.size(), exponent);
    if (parsed.ec != std::errc{}) {
      return literal[e + 1] == '-';
    }
  }
  const std::size_t point = std::min(mantissa.find('.'), mantissa.size());
  const std::size_t first = mantissa.find_first_of("123456789");
  if (first == std::string_view::npos) {
    return true;
  }
  const auto shift = static_cast<std::int64_t>(point) - static_cast<std::int64_t>(first);
  // Both are far from the ends of int64 unless the exponent is, and then its sign decides.
  return exponent < -static_cast<std::int64_t>(kJsonBytesMax) ||
         (exponent < static_cast<std::int64_t>(kJsonBytesMax) && exponent + shift < 0);
}

}  // namespace

// Nodes are in document order, so a container's first child follows it.
// NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): a union has one member at a time.
struct JsonDocument::Node {
  JsonType type = JsonType::kNull;
  std::uint32_t next = 0;  // The next sibling; 0, the root, stands for none.
  std::uint32_t name_at = 0;
  std::uint32_t name_size = 0;
  struct Span {
    std::uint32_t at;
    std::uint32_t size;  // Bytes of a string, children of a container.
  };
  union {
    bool boolean;
    std::int64_t integer = 0;
    double real;
    Span span;
  };
};

struct JsonDocument::Impl {
  // A container that is being read; its last child is the one that is being read.
  struct Frame {
    std::uint32_t container = 0;
    std::uint32_t last_child = 0;
    std::uint64_t seen = 0;  // One bit a hashed name, see IsRepeated.
  };

  struct Fault {
    const char* rule = nullptr;
    std::size_t at = 0;
    std::size_t segments = 0;  // Of the pointer: how many of the open containers it descends into.
  };

  Status Parse(std::string_view bytes);
  std::string_view Text(std::uint32_t at, std::uint32_t text_size) const {
    return {buffer.get() + at, text_size};
  }
  std::string_view Name(std::uint32_t node) const {
    return Text(nodes[node].name_at, nodes[node].name_size);
  }

  // The steps of Parse. False: `fault` says why.
  bool Decode(std::string_view bytes);
  bool Root(ondemand::document* json);
  bool Value(ondemand::value json, std::uint32_t node);
  bool Array(ondemand::value json, std::uint32_t node);
  bool Object(ondemand::value json, std::uint32_t node);
  bool Member(ondemand::field json);
  bool Scalar(std::size_t at, std::uint32_t node);
  bool Number(std::size_t at, std::uint32_t node);
  bool Literal(std::size_t at, std::string_view literal);
  bool String(std::size_t at, std::uint32_t* text_at, std::uint32_t* text_size);
  bool Escape(char** from, char** to);
  bool NamesAreUnique(std::uint32_t container);

  bool Open(std::size_t at, std::uint32_t node, JsonType type);
  void Close(ondemand::value json);
  bool AddChild(std::size_t at, std::uint32_t* node);
  bool IsRepeated(Frame* frame);

  void Hold(std::string_view bytes);
  std::size_t Offset(const void* place) const {
    return static_cast<std::size_t>(static_cast<const char*>(place) - buffer.get());
  }
  std::size_t SkipSpace(std::size_t at) const;
  bool IsScalarEnd(std::size_t at) const;
  bool Fail(const char* rule, std::size_t at);
  bool FailHere(const char* rule, std::size_t at);
  bool FailLexically(std::string_view bytes);
  bool FailMember();
  std::string Pointer() const;

  ondemand::parser parser;
  // The document's bytes, then zeros. Strings are unescaped where they stand, so this is also where
  // every text lives; what lies at or after `cursor` is still as it came.
  std::unique_ptr<char[]> buffer;
  std::size_t capacity = 0;
  std::size_t size = 0;
  std::size_t cursor = 0;
  std::vector<Node> nodes;
  std::array<Frame, kJsonDepthMax> frames;
  std::size_t depth = 0;
  std::vector<std::uint32_t> sorted;
  Fault fault;
};

Status JsonDocument::Impl::Parse(std::string_view bytes) {
  nodes.clear();
  fault = {};
  depth = 0;
  cursor = 0;
  size = 0;
  if (Decode(bytes)) [[likely]] {
    return Status::Ok();
  }
  std::string message = "json: " + std::string(fault.rule) + " at byte " + std::to_string(fault.at);
  if (const std::string pointer = Pointer(); !pointer.empty()) {
    message += ", in " + pointer;
  }
  nodes.clear();
  return Error(ErrorCode::kInvalid, std::move(message));
}

bool JsonDocument::Impl::Decode(std::string_view bytes) {
  if (bytes.size() > kJsonBytesMax) {
    return Fail("more than 4 MiB", kJsonBytesMax);
  }
  if (bytes.starts_with("\xef\xbb\xbf")) {
    return Fail("a byte order mark is not allowed", 0);
  }
  Hold(bytes);
  cursor = SkipSpace(0);
  if (cursor == size) {
    return Fail("a value is expected", cursor);
  }
  ondemand::document json;
  const bool indexed =
      parser.iterate(buffer.get(), size, capacity + simdjson::SIMDJSON_PADDING).get(json) ==
      simdjson::SUCCESS;
  return (indexed && Root(&json)) || FailLexically(bytes);
}

// Copies the document to where simdjson may read past its end.
void JsonDocument::Impl::Hold(std::string_view bytes) {
  constexpr std::size_t kCapacityMin = 1024;
  if (buffer == nullptr || bytes.size() > capacity) {
    capacity = std::bit_ceil(std::max(bytes.size(), kCapacityMin));
    buffer = std::make_unique<char[]>(capacity + simdjson::SIMDJSON_PADDING);
    ALERTSTREAM_CHECK(parser.allocate(capacity, kJsonDepthMax) == simdjson::SUCCESS);
  }
  std::copy(bytes.begin(), bytes.end(), buffer.get());
  std::memset(buffer.get() + bytes.size(), 0, simdjson::SIMDJSON_PADDING);
  size = bytes.size();
}

bool JsonDocument::Impl::Root(ondemand::document* json) {
  nodes.emplace_back();
  const char first = buffer[cursor];
  if (first != '[' && first != '{') {
    if (!Scalar(cursor, 0)) {
      return false;
    }
  } else {
    // As a value and not through get_array or get_object of the document: those look at the last
    // bracket first, and would then name the wrong place.
    ondemand::value value;
    if (json->get_value().get(value) != simdjson::SUCCESS) {
      return Fail("a value is expected", cursor);
    }
    if (!Value(value, 0)) {
      return false;
    }
  }
  cursor = SkipSpace(cursor);
  return cursor == size || Fail("bytes follow the value", cursor);
}

bool JsonDocument::Impl::Value(ondemand::value json, std::uint32_t node) {
  const std::size_t at = Offset(json.raw_json_token().data());
  switch (buffer[at]) {
    case '[':
      return Array(json, node);
    case '{':
      return Object(json, node);
    case '"':
      // Takes the token: left to itself, the walk would skip a string and a colon as a member name.
      if (json.get_raw_json_string().error() != simdjson::SUCCESS) {
        return Fail("a value is expected", at);
      }
      return Scalar(at, node);
    default:
      return Scalar(at, node);
  }
}

bool JsonDocument::Impl::Array(ondemand::value json, std::uint32_t node) {
  const std::size_t at = Offset(json.raw_json_token().data());
  ondemand::array array;
  if (!Open(at, node, JsonType::kArray)) {
    return false;
  }
  if (json.get_array().get(array) != simdjson::SUCCESS) {
    return FailHere("malformed array", at);
  }
  for (auto element : array) {
    if (element.error() != simdjson::SUCCESS) {
      return FailHere("',' or ']' is expected", SkipSpace(cursor));
    }
    ondemand::value value = element.value_unsafe();
    std::uint32_t child = 0;
    if (!AddChild(Offset(value.raw_json_token().data()), &child) || !Value(value, child)) {
      return false;
    }
  }
  Close(json);
  return true;
}

bool JsonDocument::Impl::Object(ondemand::value json, std::uint32_t node) {
  const std::size_t at = Offset(json.raw_json_token().data());
  ondemand::object object;
  if (!Open(at, node, JsonType::kObject)) {
    return false;
  }
  if (json.get_object().get(object) != simdjson::SUCCESS) {
    return FailHere("malformed object", at);
  }
  for (auto member : object) {
    if (member.error() != simdjson::SUCCESS) {
      return FailMember();
    }
    if (!Member(member.value_unsafe())) {
      return false;
    }
  }
  if (nodes[node].span.size > kLinearMembersMax && !NamesAreUnique(node)) {
    return false;
  }
  Close(json);
  return true;
}

bool JsonDocument::Impl::Member(ondemand::field json) {
  const std::size_t at = Offset(json.key().raw()) - 1;
  std::uint32_t name_at = 0;
  std::uint32_t name_size = 0;
  if (!String(at, &name_at, &name_size)) {
    return FailHere(fault.rule, fault.at);  // The member has no name yet: name the object.
  }
  std::uint32_t child = 0;
  if (!AddChild(at, &child)) {
    return false;
  }
  nodes[child].name_at = name_at;
  nodes[child].name_size = name_size;
  if (IsRepeated(&frames[depth - 1])) {
    return Fail("duplicate member name", at);
  }
  return Value(json.value(), child);
}

// The first comparison is a bit set of hashed names: most objects never get further.
bool JsonDocument::Impl::IsRepeated(Frame* frame) {
  const std::string_view name = Name(frame->last_child);
  std::size_t hash = name.size();
  if (!name.empty()) {
    hash = hash * 31 + static_cast<unsigned char>(name.front()) * std::size_t{7} +
           static_cast<unsigned char>(name.back());
  }
  const std::uint64_t bit = std::uint64_t{1} << (hash % 64);
  const bool maybe = (frame->seen & bit) != 0;
  frame->seen |= bit;
  if (!maybe || nodes[frame->container].span.size > kLinearMembersMax) {
    return false;
  }
  for (std::uint32_t other = frame->container + 1; other != frame->last_child;
       other = nodes[other].next) {
    if (Name(other) == name) {
      return true;
    }
  }
  return false;
}

bool JsonDocument::Impl::NamesAreUnique(std::uint32_t container) {
  sorted.clear();
  for (std::uint32_t child = container + 1; child != 0; child = nodes[child].next) {
    sorted.push_back(child);
  }
  std::sort(sorted.begin(), sorted.end(), [this](std::uint32_t a, std::uint32_t b) {
    const int order = Name(a).compare(Name(b));
    return order != 0 ? order < 0 : a < b;
  });
  std::uint32_t repeated = 0;
  for (std::size_t i = 1; i < sorted.size(); ++i) {
    const bool same = Name(sorted[i - 1]) == Name(sorted[i]);
    if (same && (repeated == 0 || sorted[i] < repeated)) {
      repeated = sorted[i];
    }
  }
  if (repeated == 0) {
    return true;
  }
  frames[depth - 1].last_child = repeated;
  return Fail("duplicate member name", nodes[repeated].name_at - 1);
}

bool JsonDocument::Impl::Scalar(std::size_t at, std::uint32_t node) {
  Node& target = nodes[node];
  switch (buffer[at]) {
    case '"':
      target.type = JsonType::kString;
      target.span = {.at = 0, .size = 0};
      return String(at, &target.span.at, &target.span.size);
    case 't':
    case 'f':
      target.type = JsonType::kBool;
      target.boolean = buffer[at] == 't';
      return Literal(at, target.boolean ? "true" : "false");
    case 'n':
      return Literal(at, "null");
    default:
      return Number(at, node);
  }
}

bool JsonDocument::Impl::Literal(std::size_t at, std::string_view literal) {
  cursor = at + literal.size();
  const bool same = std::string_view(buffer.get() + at, literal.size()) == literal;
  return (same && IsScalarEnd(cursor)) || Fail("a value is expected", at);
}

bool JsonDocument::Impl::Number(std::size_t at, std::uint32_t node) {
  const char* const begin = buffer.get() + at;
  if (*begin != '-' && !IsDigit(*begin)) {
    return Fail("a value is expected", at);
  }
  const NumberLiteral number = ScanNumber(begin);
  if (number.end == nullptr || !IsScalarEnd(Offset(number.end))) {
    return Fail("malformed number", at);
  }
  cursor = Offset(number.end);
  constexpr auto kIntMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  const bool negative = *begin == '-';
  // 19 digits cannot overflow the 64 bits of the magnitude.
  if (number.integral && number.digits <= 19 &&
      number.magnitude <= kIntMax + (negative ? 1U : 0U)) {
    nodes[node].type = JsonType::kInt;
    nodes[node].integer =
        static_cast<std::int64_t>(negative ? 0 - number.magnitude : number.magnitude);
    return true;
  }
  double real = 0;
  const auto [end, error] = std::from_chars(begin, number.end, real);
  if (error == std::errc::result_out_of_range &&
      Underflows({begin, static_cast<std::size_t>(number.end - begin)})) {
    real = negative ? -0.0 : 0.0;
  } else if (error != std::errc{} || end != number.end || !std::isfinite(real)) {
    return Fail("the number is too large for a double", at);
  }
  nodes[node].type = JsonType::kDouble;
  nodes[node].real = real;
  return true;
}

// Control characters and a missing end were found by the index already.
bool JsonDocument::Impl::String(std::size_t at, std::uint32_t* text_at, std::uint32_t* text_size) {
  char* const limit = buffer.get() + size;
  char* const begin = buffer.get() + at + 1;
  char* from = FindQuoteOrBackslash(begin, limit);
  char* to = from;
  while (from < limit && *from == '\\') {
    if (!Escape(&from, &to)) {
      return false;
    }
    char* const next = FindQuoteOrBackslash(from, limit);
    const auto plain = static_cast<std::size_t>(next - from);
    std::memmove(to, from, plain);
    to += plain;
    from = next;
  }
  if (from == limit) {
    return Fail("the string does not end", at);
  }
  cursor = Offset(from) + 1;
  *text_at = static_cast<std::uint32_t>(Offset(begin));
  *text_size = static_cast<std::uint32_t>(to - begin);
  return true;
}

// Unescapes the escape at `*from` to `*to` and moves both past it. An escape is never shorter than
// what it stands for. The padding's zeros end one that is cut off.
bool JsonDocument::Impl::Escape(char** from, char** to) {
  const char* const escape = *from;
  const std::size_t at = Offset(escape);
  if (escape[1] != 'u') {
    const char plain = SimpleEscape(escape[1]);
    if (plain == '\0') {
      return Fail("unknown escape", at);
    }
    *(*to)++ = plain;
    *from += 2;
    return true;
  }
  const int unit = HexUnit(escape + 2);
  if (unit < 0) {
    return Fail("malformed \\u escape", at);
  }
  if (unit == 0) {
    return Fail("U+0000 is not allowed", at);
  }
  auto point = static_cast<std::uint32_t>(unit);
  *from += 6;
  if (point >= 0xd800 && point <= 0xdfff) {
    const int low = escape[6] == '\\' && escape[7] == 'u' ? HexUnit(escape + 8) : -1;
    if (point > 0xdbff || low < 0xdc00 || low > 0xdfff) {
      return Fail("a lone surrogate is not allowed", at);
    }
    point = 0x10000 + ((point - 0xd800) << 10U) + (static_cast<std::uint32_t>(low) - 0xdc00);
    *from += 6;
  }
  *to = AppendUtf8(point, *to);
  return true;
}

bool JsonDocument::Impl::Open(std::size_t at, std::uint32_t node, JsonType type) {
  if (depth == kJsonDepthMax) {
    return Fail("deeper than 32 levels", at);
  }
  nodes[node].type = type;
  nodes[node].span = {.at = 0, .size = 0};
  frames[depth++] = {.container = node, .last_child = 0, .seen = 0};
  cursor = at + 1;
  return true;
}

// The walk does not tell where a bracket stood; the next token, or the end, lies behind it.
void JsonDocument::Impl::Close(ondemand::value json) {
  const char* next = nullptr;
  const bool more = json.current_location().get(next) == simdjson::SUCCESS;
  cursor = more ? Offset(next) : size;
  --depth;
}

bool JsonDocument::Impl::AddChild(std::size_t at, std::uint32_t* node) {
  if (nodes.size() == kJsonNodesMax) {
    return FailHere("more than 200000 values", at);
  }
  *node = static_cast<std::uint32_t>(nodes.size());
  nodes.emplace_back();
  Frame& frame = frames[depth - 1];
  if (nodes[frame.container].span.size++ != 0) {
    nodes[frame.last_child].next = *node;
  }
  frame.last_child = *node;
  return true;
}

std::size_t JsonDocument::Impl::SkipSpace(std::size_t at) const {
  while (IsSpace(buffer[at])) {
    ++at;
  }
  return at;
}

// Whether a number or a literal may end before `at`: what belongs there is the walk's concern.
bool JsonDocument::Impl::IsScalarEnd(std::size_t at) const {
  switch (buffer[at]) {
    case ',':
    case ':':
    case '[':
    case ']':
    case '{':
    case '}':
      return true;
    default:
      return at == size || IsSpace(buffer[at]);
  }
}

// A fault in the value that is being read.
bool JsonDocument::Impl::Fail(const char* rule, std::size_t at) {
  fault = {.rule = rule, .at = at, .segments = depth};
  return false;
}

// A fault in the innermost container itself.
bool JsonDocument::Impl::FailHere(const char* rule, std::size_t at) {
  fault = {.rule = rule, .at = at, .segments = depth - 1};
  return false;
}

// The cold path of every refusal. simdjson does not say where it found bad bytes, and its kernels
// (one a kind of processor) differ in whether the index or the walk meets them first. So that a
// refusal reads the same on all of them, a fault of single bytes comes before one of structure.
// What is left, "malformed", is the scalar kernel's, where quotes are glued to other tokens: the
// verdict is the same, the place is missing.
bool JsonDocument::Impl::FailLexically(std::string_view bytes) {
  const Fault walked = fault;
  depth = 0;
  if (const std::size_t at = FirstInvalidUtf8(bytes); at < bytes.size()) {
    return Fail("invalid UTF-8", at);
  }
  bool in_string = false;
  std::size_t string_at = 0;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    const char c = bytes[at];
    if (c == '"') {
      in_string = !in_string;
      string_at = at;
    } else if (c == '\\' && !in_string) {
      return Fail("a backslash outside a string", at);
    } else if (c == '\\' && at + 1 < bytes.size() && !IsControl(bytes[at + 1])) {
      ++at;
    } else if (in_string && IsControl(c)) {
      return Fail("a control character in a string must be escaped", at);
    }
  }
  if (in_string) {
    return Fail("the string does not end", string_at);
  }
  fault = walked.rule != nullptr ? walked : Fault{.rule = "malformed"};
  return false;
}

// The walk found no member where one was due: after `cursor` a comma (unless the object has just
// begun), a name, or a colon is missing.
bool JsonDocument::Impl::FailMember() {
  std::size_t at = SkipSpace(cursor);
  if (nodes[frames[depth - 1].container].span.size > 0) {
    if (buffer[at] != ',') {
      return FailHere("',' or '}' is expected", at);
    }
    at = SkipSpace(at + 1);
  }
  if (buffer[at] != '"') {
    return FailHere("a member name is expected", at);
  }
  ++at;
  while (at < size && buffer[at] != '"') {
    at += buffer[at] == '\\' ? 2 : 1;
  }
  return FailHere("':' is expected", SkipSpace(std::min(at + 1, size)));
}

// The JSON pointer (RFC 6901) of the fault. Control characters, which would break a log line, are
// shown as '?'.
std::string JsonDocument::Impl::Pointer() const {
  std::string pointer;
  for (std::size_t i = 0; i < fault.segments && pointer.size() <= kPointerBytesMax; ++i) {
    const Node& container = nodes[frames[i].container];
    pointer += '/';
    if (container.type == JsonType::kArray) {
      pointer += std::to_string(container.span.size - 1);
      continue;
    }
    for (const char c : Name(frames[i].last_child).substr(0, kPointerBytesMax + 1)) {
      if (c == '~' || c == '/') {
        pointer += c == '~' ? "~0" : "~1";
      } else {
        pointer += IsControl(c) || c == 0x7f ? '?' : c;
      }
    }
  }
  if (pointer.size() > kPointerBytesMax) {
    std::size_t end = kPointerBytesMax;
    while ((static_cast<unsigned char>(pointer[end]) & 0xc0U) == 0x80) {
      --end;
    }
    pointer.resize(end);
    pointer += "...";
  }
  return pointer;
}

JsonDocument::JsonDocument() : impl_(std::make_unique<Impl>()) {
  // Error texts end up in dead letters, which are part of history. The vector kernels agree on
  // every byte of them; the fallback, for processors older than SSE4.2 or NEON, does not.
  static const bool has_vectors = simdjson::get_active_implementation()->name() != "fallback";
  ALERTSTREAM_CHECK(has_vectors && "SSE4.2 or NEON");
}
JsonDocument::~JsonDocument() = default;
JsonDocument::JsonDocument(JsonDocument&&) noexcept = default;
JsonDocument& JsonDocument::operator=(JsonDocument&&) noexcept = default;

Status JsonDocument::Parse(std::string_view bytes) { return impl_->Parse(bytes); }

JsonValue JsonDocument::root() const {
  ALERTSTREAM_CHECK(!impl_->nodes.empty());
  return {this, 0};
}

JsonType JsonValue::type() const { return document_->impl_->nodes[node_].type; }

bool JsonValue::AsBool() const {
  ALERTSTREAM_CHECK(type() == JsonType::kBool);
  return document_->impl_->nodes[node_].boolean;
}

std::int64_t JsonValue::AsInt() const {
  ALERTSTREAM_CHECK(type() == JsonType::kInt);
  return document_->impl_->nodes[node_].integer;
}

double JsonValue::AsDouble() const {
  ALERTSTREAM_CHECK(type() == JsonType::kDouble);
  return document_->impl_->nodes[node_].real;
}

std::string_view JsonValue::AsString() const {
  ALERTSTREAM_CHECK(type() == JsonType::kString);
  const auto& span = document_->impl_->nodes[node_].span;
  return document_->impl_->Text(span.at, span.size);
}

std::size_t JsonValue::size() const {
  const auto& node = document_->impl_->nodes[node_];
  const bool container = node.type == JsonType::kArray || node.type == JsonType::kObject;
  return container ? node.span.size : 0;
}

std::optional<JsonValue> JsonValue::Find(std::string_view name) const {
  if (type() != JsonType::kObject) {
    return std::nullopt;
  }
  for (auto member = first_child(); member; member = member->next_sibling()) {
    if (member->name() == name) {
      return member;
    }
  }
  return std::nullopt;
}

std::optional<JsonValue> JsonValue::FindPath(std::string_view dotted_path) const {
  std::optional<JsonValue> value = *this;
  while (value) {
    const std::size_t dot = dotted_path.find('.');
    value = value->Find(dotted_path.substr(0, dot));
    if (dot == std::string_view::npos) {
      break;
    }
    dotted_path.remove_prefix(dot + 1);
  }
  return value;
}

std::optional<JsonValue> JsonValue::first_child() const {
  if (size() == 0) {
    return std::nullopt;
  }
  return JsonValue(document_, node_ + 1);
}

std::optional<JsonValue> JsonValue::next_sibling() const {
  const std::uint32_t next = document_->impl_->nodes[node_].next;
  if (next == 0) {
    return std::nullopt;
  }
  return JsonValue(document_, next);
}

std::string_view JsonValue::name() const { return document_->impl_->Name(node_); }

void AppendJsonString(std::string_view text, std::string* out) {
  constexpr std::string_view kHex = "0123456789abcdef";
  constexpr std::string_view kShort = "btn?fr";  // U+0008 to U+000D; U+000B has no short form.
  out->push_back('"');
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20) {
      if (c == '"' || c == '\\') {
        out->push_back('\\');
      }
      out->push_back(c);
    } else if (byte >= 0x08 && byte <= 0x0d && byte != 0x0b) {
      out->push_back('\\');
      out->push_back(kShort[byte - 0x08U]);
    } else {
      out->append("\\u00");
      out->push_back(kHex[byte >> 4U]);
      out->push_back(kHex[byte & 0xfU]);
    }
  }
  out->push_back('"');
}

namespace {

void AppendDouble(double value, std::string* out) {
  std::array<char, 32> digits{};  // The longest shortest form is "-2.2250738585072014e-308".
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  const std::string_view text(digits.data(), static_cast<std::size_t>(end - digits.data()));
  out->append(text);
  if (text.find_first_of(".e") == std::string_view::npos) {
    out->append(".0");
  }
}

void AppendInt(std::int64_t value, std::string* out) {
  std::array<char, 20> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  out->append(digits.data(), end);
}

// Recurses no deeper than kJsonDepthMax: Parse has seen to it.
void AppendContainer(JsonValue value, std::string* out) {
  const bool object = value.type() == JsonType::kObject;
  char separator = object ? '{' : '[';
  for (auto child = value.first_child(); child; child = child->next_sibling()) {
    out->push_back(separator);
    separator = ',';
    if (object) {
      AppendJsonString(child->name(), out);
      out->push_back(':');
    }
    AppendJson(*child, out);
  }
  if (value.size() == 0) {
    out->push_back(separator);
  }
  out->push_back(object ? '}' : ']');
}

}  // namespace

void AppendJson(JsonValue value, std::string* out) {
  switch (value.type()) {
    case JsonType::kNull:
      out->append("null");
      return;
    case JsonType::kBool:
      out->append(value.AsBool() ? "true" : "false");
      return;
    case JsonType::kInt:
      AppendInt(value.AsInt(), out);
      return;
    case JsonType::kDouble:
      AppendDouble(value.AsDouble(), out);
      return;
    case JsonType::kString:
      AppendJsonString(value.AsString(), out);
      return;
    case JsonType::kArray:
    case JsonType::kObject:
      AppendContainer(value, out);
      return;
  }
}

}  // namespace alertstream::schemas
