// Bytes as a connection: the same requests and the same error however the packets are cut, within
// the limits, and every path through the router and every answer through the encoder.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/http/encode.h"
#include "api/http/framing.h"
#include "api/http/router.h"
#include "api/http/uri.h"
#include "processor/base/check.h"

namespace alertstream::http {
namespace {

using State = RequestFramer::State;

constexpr FramingLimits kLimits = {.head_bytes_max = 512, .body_bytes_max = 256, .fields_max = 8};
// A body's buffer grows by doubling.
constexpr std::size_t kBufferedBytesMax =
    kLimits.head_bytes_max + kLimits.fields_max * sizeof(HeaderField) + 2 * kLimits.body_bytes_max;

struct Outcome {
  std::vector<Request> requests;
  std::optional<FramingError> error;
};

Outcome ReadAll(std::string_view bytes, std::size_t step) {
  RequestFramer framer(kLimits);
  Outcome outcome;
  while (!bytes.empty() && framer.state() != State::kFailed) {
    const std::size_t used = framer.Read(bytes.substr(0, step));
    ALERTSTREAM_CHECK(used > 0 || framer.state() == State::kFailed);
    bytes.remove_prefix(used);
    ALERTSTREAM_CHECK(framer.buffered_bytes() <= kBufferedBytesMax);
    framer.TakeContinueWanted();
    if (framer.state() == State::kComplete) {
      outcome.requests.push_back(framer.Take().request);
    }
  }
  if (framer.state() == State::kFailed) {
    outcome.error = framer.error();
  }
  return outcome;
}

void CheckRequest(const Request& request) {
  ALERTSTREAM_CHECK(request.body.size() <= kLimits.body_bytes_max);
  ALERTSTREAM_CHECK(request.headers.fields().size() <= kLimits.fields_max);
  ALERTSTREAM_CHECK(request.headers.Count("Host") <= 1);
  ALERTSTREAM_CHECK(
      request.headers.Count("Content-Length") + request.headers.Count("Transfer-Encoding") <= 1);
  for (const HeaderField& field : request.headers.fields()) {
    ALERTSTREAM_CHECK(field.value.find_first_of(std::string_view("\r\n\0", 3)) ==
                      std::string::npos);
  }
  // Whatever a handler repeats of a request, the answer stays one answer.
  Response response;
  response.headers.Add("X-Path", request.path);
  if (!request.headers.fields().empty()) {
    response.headers.Add("X-Value", request.headers.fields().front().value);
  }
  std::string out;
  AppendResponse(response, {}, &out);
  ALERTSTREAM_CHECK(out.find("\r\n\r\n") == out.size() - 4);
}

void CheckRouting(const Request& request) {
  Router router;
  for (const std::string_view pattern : {"/", "/a", "/a/{b}", "/{a}/b", "/a/{b}/{c}"}) {
    ALERTSTREAM_CHECK(router.Add("GET", pattern).ok());
  }
  const RouteMatch match = router.Match(request.method, request.path);
  ALERTSTREAM_CHECK((match.outcome == RouteOutcome::kMethodNotAllowed) == !match.allow.empty());
  if (const auto parameters = ParseQuery(request.query)) {
    ALERTSTREAM_CHECK(parameters->size() <= kQueryParametersMax);
  }
}

void CheckOne(std::string_view bytes) {
  const Outcome whole = ReadAll(bytes, bytes.size());
  for (const std::size_t step : {std::size_t{1}, std::size_t{7}}) {
    const Outcome cut = ReadAll(bytes, step);
    ALERTSTREAM_CHECK(cut.error == whole.error);
    ALERTSTREAM_CHECK(cut.requests.size() == whole.requests.size());
    for (std::size_t i = 0; i < cut.requests.size(); ++i) {
      ALERTSTREAM_CHECK(cut.requests[i].method == whole.requests[i].method);
      ALERTSTREAM_CHECK(cut.requests[i].path == whole.requests[i].path);
      ALERTSTREAM_CHECK(cut.requests[i].body == whole.requests[i].body);
    }
  }
  for (const Request& request : whole.requests) {
    CheckRequest(request);
    CheckRouting(request);
  }
}

}  // namespace
}  // namespace alertstream::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  alertstream::http::CheckOne({reinterpret_cast<const char*>(data), size});
  return 0;
}
