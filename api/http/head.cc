#include "api/http/head.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace alertstream::http {
namespace {

using Failure = std::optional<FramingError>;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

bool IsAlphanumeric(char c) {
  return IsDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// RFC 9110 section 5.6.2.
bool IsToken(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return IsAlphanumeric(c) || kMarks.find(c) != std::string_view::npos;
  });
}

// A name, an IPv4 or a bracketed IPv6 address, and a port: no user, path or list.
bool IsHost(std::string_view text) {
  constexpr std::string_view kMarks = "-._~:[]%";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return IsAlphanumeric(c) || kMarks.find(c) != std::string_view::npos;
  });
}

bool IsVisible(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7F; });
}

std::string_view WithoutBlanks(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) {
    return {};
  }
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// The next line without its CRLF.
std::string_view TakeLine(std::string_view* text) {
  const std::size_t end = std::min(text->find("\r\n"), text->size());
  const std::string_view line = text->substr(0, end);
  text->remove_prefix(std::min(end + 2, text->size()));
  return line;
}

class HeadParser {
 public:
  explicit HeadParser(const FramingLimits& limits) : limits_(limits) {}

  Failure Parse(std::string_view text) {
    if (auto failure = ParseRequestLine(TakeLine(&text))) {
      return failure;
    }
    while (!text.starts_with("\r\n")) {
      if (auto failure = ParseField(TakeLine(&text))) {
        return failure;
      }
    }
    if (auto failure = CheckHost()) {
      return failure;
    }
    if (auto failure = CheckLength()) {
      return failure;
    }
    return CheckConnection();
  }

  Head head;

 private:
  Failure ParseRequestLine(std::string_view line) {
    const std::size_t first = line.find(' ');
    const std::size_t last = line.rfind(' ');
    if (first == std::string_view::npos || first == last) {
      return FramingError::kSyntax;
    }
    const std::string_view method = line.substr(0, first);
    const std::string_view target = line.substr(first + 1, last - first - 1);
    const std::string_view version = line.substr(last + 1);
    if (!IsToken(method) || method.size() > kMethodBytesMax || !IsVisible(target) ||
        version.size() != 8 || !version.starts_with("HTTP/") || !IsDigit(version[5]) ||
        version[6] != '.' || !IsDigit(version[7])) {
      return FramingError::kSyntax;
    }
    if (version != "HTTP/1.1" && version != "HTTP/1.0") {
      return FramingError::kVersion;
    }
    is_1_0_ = version.back() == '0';
    head.request.method = method;
    return ParseTarget(target);
  }

  Failure ParseTarget(std::string_view target) {
    if (target.size() > kTargetBytesMax) {
      return FramingError::kTargetTooLong;
    }
    for (const std::string_view scheme : {"http://", "https://"}) {
      if (target.starts_with(scheme)) {  // A proxy's form; CheckHost compares the authority.
        target.remove_prefix(scheme.size());
        const std::size_t end = std::min(target.find_first_of("/?"), target.size());
        authority_ = target.substr(0, end);
        target.remove_prefix(end);
        if (!target.starts_with('/')) {
          return FramingError::kSyntax;
        }
      }
    }
    const bool whole_server = target == "*" && head.request.method == "OPTIONS";
    if ((!target.starts_with('/') && !whole_server) || target.find('#') != std::string_view::npos) {
      return FramingError::kSyntax;
    }
    const std::size_t mark = std::min(target.find('?'), target.size());
    head.request.path = target.substr(0, mark);
    head.request.query = target.substr(std::min(mark + 1, target.size()));
    return std::nullopt;
  }

  Failure ParseField(std::string_view line) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || !IsToken(line.substr(0, colon))) {
      return FramingError::kSyntax;  // Folded lines end here too: a blank is in no token.
    }
    if (head.request.headers.fields().size() == limits_.fields_max) {
      return FramingError::kHeadTooLarge;
    }
    head.request.headers.Add(line.substr(0, colon), WithoutBlanks(line.substr(colon + 1)));
    return std::nullopt;
  }

  Failure CheckHost() const {
    const std::size_t count = head.request.headers.Count("Host");
    if (count == 0 && is_1_0_ && !authority_) {
      return std::nullopt;
    }
    const auto host = head.request.headers.Find("Host");
    if (count != 1 || !IsHost(*host) || (authority_ && *authority_ != *host)) {
      return FramingError::kHost;
    }
    return std::nullopt;
  }

  Failure CheckLength() {
    const Headers& headers = head.request.headers;
    const std::size_t lengths = headers.Count("Content-Length");
    const std::size_t codings = headers.Count("Transfer-Encoding");
    if (lengths + codings > 1 || (codings == 1 && is_1_0_)) {
      return FramingError::kAmbiguousLength;
    }
    if (codings == 1) {
      head.chunked = true;
      return EqualsIgnoringCase(*headers.Find("Transfer-Encoding"), "chunked")
                 ? std::nullopt
                 : Failure(FramingError::kTransferCoding);
    }
    if (lengths == 0) {
      return std::nullopt;
    }
    const std::string_view digits = *headers.Find("Content-Length");
    if (digits.empty() || !std::all_of(digits.begin(), digits.end(), IsDigit)) {
      return FramingError::kSyntax;
    }
    for (const char c : digits) {
      head.content_length = head.content_length * 10 + static_cast<std::uint64_t>(c - '0');
      if (head.content_length > limits_.body_bytes_max) {
        return FramingError::kBodyTooLarge;
      }
    }
    return std::nullopt;
  }

  Failure CheckConnection() {
    const Headers& headers = head.request.headers;
    bool close = false;
    bool keep_alive = false;
    for (const HeaderField& field : headers.fields()) {
      if (EqualsIgnoringCase(field.name, "Connection")) {
        close = close || HasToken(field.value, "close");
        keep_alive = keep_alive || HasToken(field.value, "keep-alive");
      }
    }
    head.keep_alive = !close && (!is_1_0_ || keep_alive);
    const auto expectation = headers.Find("Expect");
    if (!expectation || is_1_0_) {
      return std::nullopt;
    }
    if (headers.Count("Expect") != 1 || !EqualsIgnoringCase(*expectation, "100-continue")) {
      return FramingError::kExpectation;
    }
    head.expects_continue = true;
    return std::nullopt;
  }

  const FramingLimits& limits_;
  bool is_1_0_ = false;
  std::optional<std::string_view> authority_;  // Of the target, where it names one.
};

}  // namespace

std::variant<Head, FramingError> ParseHead(std::string_view head, const FramingLimits& limits) {
  HeadParser parser(limits);
  if (const auto failure = parser.Parse(head)) {
    return *failure;
  }
  return std::move(parser.head);
}

}  // namespace alertstream::http
