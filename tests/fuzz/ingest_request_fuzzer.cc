// An ingest request, fields and body: refused with problems that can be sent, or records that the
// fold accepts. The input is header lines, an empty line, the body; a first line `site` belongs to
// a key of one site.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "api/ingest/ingest_request.h"
#include "processor/base/check.h"
#include "schemas/json.h"
#include "schemas/text.h"
#include "tests/fuzz/codec_roundtrip.h"
#include "tests/support/manual_clock.h"

namespace alertstream::api {
namespace {

// What the framing lets pass: a name of letters and dashes, a line without controls.
bool IsFraming(std::string_view name, std::string_view line) {
  return std::all_of(
             name.begin(), name.end(),
             [](char c) { return c == '-' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }) &&
         schemas::HasNoControls(line);
}

void CheckProblem(const http::ProblemDetails& problem) {
  ALERTSTREAM_CHECK(problem.status >= 400 && problem.status < 500);
  ALERTSTREAM_CHECK(!problem.code.empty() && !problem.detail.empty());
  std::string text;
  http::AppendProblem(problem, &text);
  schemas::JsonDocument document;
  ALERTSTREAM_CHECK(document.Parse(text).ok());
}

void CheckEvent(const ApiKey& key, const IngestEvent& event) {
  if (event.problem) {
    CheckProblem(*event.problem);
    return;
  }
  v1::Envelope envelope;
  ALERTSTREAM_CHECK(envelope.ParseFromString(event.value));
  ALERTSTREAM_CHECK(envelope.tenant() == key.tenant && envelope.trust() == v1::TRUST_PUBLISHABLE);
  ALERTSTREAM_CHECK(key.site.empty() || envelope.site() == key.site);
  ALERTSTREAM_CHECK(!envelope.id().empty());
  ALERTSTREAM_CHECK(!event.hash || IdempotencyKeyOf(envelope));
  const std::string& data = envelope.site_event().data().plain();
  ALERTSTREAM_CHECK(AsView(BodyDigest(envelope.type(), data)) == envelope.body_sha256());
  schemas::JsonDocument document;
  ALERTSTREAM_CHECK(data.empty() || document.Parse(data).ok());
  schemas::CheckRoundTrip(schemas::Topic::kSiteEvents, key.tenant, envelope);
}

void CheckOne(std::string_view text) {
  http::Request request;
  ApiKey key = {.id = "k", .kind = KeyKind::kPublishable, .tenant = "acme"};
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty()) {
      break;
    }
    if (line == "site") {
      key.site = "shop";
    }
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos && IsFraming(line.substr(0, colon), line)) {
      std::string_view value = line.substr(colon + 1);
      value.remove_prefix(value.starts_with(' ') ? 1 : 0);
      request.headers.Add(line.substr(0, colon), value);
    }
  }
  request.body = text;
  const ManualClock clock;
  http::RequestIds ids(clock);
  const auto parsed = ParseIngest(request, {.key = key, .now = clock.Now(), .ids = ids});
  if (const auto* problem = std::get_if<http::ProblemDetails>(&parsed)) {
    CheckProblem(*problem);
    return;
  }
  const auto& body = *std::get_if<IngestBody>(&parsed);
  ALERTSTREAM_CHECK(body.is_batch ? body.events.size() <= kBatchEventsMax
                                  : body.events.size() == 1);
  for (const IngestEvent& event : body.events) {
    CheckEvent(key, event);
  }
}

}  // namespace
}  // namespace alertstream::api

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  alertstream::api::CheckOne({reinterpret_cast<const char*>(data), size});
  return 0;
}
