// The bodies of requests that change one thing: whatever they hold, they are records that the log
// takes, or faults. The first byte says which body it is.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <variant>

#include "api/resources/resource_request.h"
#include "processor/base/check.h"
#include "schemas/envelope.pb.h"
#include "schemas/envelope_check.h"

namespace {

using namespace alertstream;  // NOLINT(google-build-using-namespace): one file, nothing of its own.

void CheckParse(const api::ResourceParse& parsed) {
  const auto* change = std::get_if<api::ResourceChange>(&parsed);
  if (change == nullptr) {
    const auto& problem = std::get<http::ProblemDetails>(parsed);
    ALERTSTREAM_CHECK(problem.status == 400 || problem.status == 422);
    ALERTSTREAM_CHECK(!problem.errors.empty());
    return;
  }
  v1::Envelope envelope;
  ALERTSTREAM_CHECK(change->record.partition >= 0 && change->record.partition < 3);
  ALERTSTREAM_CHECK(envelope.ParseFromString(change->record.value));
  ALERTSTREAM_CHECK(envelope.tenant() == "acme" && envelope.actor() == "usr_1");
  ALERTSTREAM_CHECK(!schemas::CheckEnvelope(change->record.topic, change->record.key, envelope));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const api::ResourceContext context{.tenant = "acme",
                                     .actor = "usr_1",
                                     .now = FromMicros(1'795'176'000'000'000),
                                     .partitions = 3};
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 't':
      CheckParse(api::ParseTrigger(body, context, {.default_id = "new"}));
      break;
    case 'p':
      CheckParse(api::ParseTrigger(body, context, {.path_id = "one", .expected_version = 3}));
      break;
    case 'v': {
      // A trigger without faults is one that is taken.
      const auto faults = api::FaultsOfTrigger(body);
      const auto* found = std::get_if<std::vector<api::BodyFault>>(&faults);
      const auto parsed = api::ParseTrigger(body, context, {.default_id = "new"});
      ALERTSTREAM_CHECK((found != nullptr && found->empty()) ||
                        !std::holds_alternative<api::ResourceChange>(parsed));
      break;
    }
    case 'c':
      CheckParse(api::ParseConsent(body, context));
      break;
    case 'o':
      CheckParse(api::ParseOptOut(body, context));
      break;
    default: {
      const auto parsed = api::ParseLookup(body);
      if (const auto* phone = std::get_if<Redacted<std::string>>(&parsed)) {
        ALERTSTREAM_CHECK(phone->Reveal().starts_with('+'));
      }
    }
  }
  return 0;
}
