// The bodies of identity's requests: whatever they hold, they are asked within the limits, or
// faults. The first byte says which body it is.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <variant>

#include "api/identity/request_bodies.h"
#include "processor/base/check.h"
#include "schemas/text.h"

namespace {

using namespace alertstream;  // NOLINT(google-build-using-namespace): one file, nothing of its own.

constexpr LogTime kNow = FromMicros(1'795'176'000'000'000);

// What is asked; null for faults.
template <typename T>
const T* Asked(const api::Parsed<T>& parsed) {
  if (const auto* ask = std::get_if<T>(&parsed)) {
    return ask;
  }
  const auto& problem = std::get<http::ProblemDetails>(parsed);
  ALERTSTREAM_CHECK(problem.status == 400 || problem.status == 422);
  ALERTSTREAM_CHECK(!problem.errors.empty());
  return nullptr;
}

void CheckEmail(const Redacted<std::string>& email) {
  ALERTSTREAM_CHECK(api::NormalEmail(email.Reveal()) == email.Reveal());
}

void CheckKey(std::string_view body) {
  const auto parsed = api::ParseKey(body, kNow);
  const auto* ask = Asked(parsed);
  if (ask == nullptr) {
    return;
  }
  ALERTSTREAM_CHECK(ask->kind != api::KeyKind::kOperator);
  ALERTSTREAM_CHECK(ask->networks.size() <= api::kNetworksPerKeyMax);
  ALERTSTREAM_CHECK(!ask->expires_at || *ask->expires_at > kNow);
  ALERTSTREAM_CHECK(std::all_of(
      ask->origins.begin(), ask->origins.end(),
      [](const std::string& origin) { return origin.find('\n') == std::string::npos; }));
  for (const api::Network& network : ask->networks) {
    ALERTSTREAM_CHECK(api::ParseNetwork(api::FormatNetwork(network)).value() == network);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 'r': {
      const auto parsed = api::ParseRegister(body);
      if (const auto* ask = Asked(parsed)) {
        CheckEmail(ask->email);
        ALERTSTREAM_CHECK(ask->password.Reveal().size() >= api::kPasswordCharactersMin);
      }
      break;
    }
    case 'l': {
      const auto parsed = api::ParseLogin(body);
      if (const auto* ask = Asked(parsed)) {
        CheckEmail(ask->email);
        ALERTSTREAM_CHECK(ask->password.Reveal().size() <= kPasswordBytesMax);
      }
      break;
    }
    case 'f': {
      const auto parsed = api::ParseRefresh(body);
      if (const auto* ask = Asked(parsed)) {
        ALERTSTREAM_CHECK(ask->token.Reveal().starts_with(api::kRefreshPrefix));
      }
      break;
    }
    case 'o': {
      const auto parsed = api::ParseLogout(body);
      if (const auto* ask = Asked(parsed)) {
        ALERTSTREAM_CHECK(ask->tenant.empty());
      }
      break;
    }
    case 'w': {
      const auto parsed = api::ParseWebsite(body);
      if (const auto* ask = Asked(parsed)) {
        ALERTSTREAM_CHECK(schemas::IsSiteId(ask->id) && !ask->name.empty());
      }
      break;
    }
    case 'k':
      CheckKey(body);
      break;
    default: {
      const auto parsed = api::ParseRotate(body);
      if (const auto* ask = Asked(parsed)) {
        ALERTSTREAM_CHECK(ask->overlap <= api::kRotationOverlapMax);
      }
    }
  }
  return 0;
}
