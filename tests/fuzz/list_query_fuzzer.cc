// The query of a list: whatever it holds, it is refused with a problem that repeats none of its
// values, or every filter, time and size of it is within its bounds.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <variant>

#include "api/query/list_query.h"
#include "processor/base/check.h"
#include "schemas/output.pb.h"
#include "schemas/text.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace alertstream;
  using api::FilterKind;
  static constexpr std::array<api::FilterSpec, 5> kFilters = {
      {{.name = "status", .kind = FilterKind::kWord, .words = v1::NotificationStatus_descriptor},
       {.name = "trigger", .kind = FilterKind::kEntityId},
       {.name = "event", .kind = FilterKind::kId, .id_kind = IdKind::kEvent},
       {.name = "type", .kind = FilterKind::kEventType},
       {.name = "actor", .kind = FilterKind::kActor}}};
  const auto parsed =
      api::ParseListQuery({reinterpret_cast<const char*>(data), size}, {.filters = kFilters});
  if (const auto* problem = std::get_if<http::ProblemDetails>(&parsed)) {
    ALERTSTREAM_CHECK(problem->status == 400 && !problem->detail.empty());
    ALERTSTREAM_CHECK(schemas::IsUtf8(problem->detail));
    return 0;
  }
  const auto& query = std::get<api::ListQuery>(parsed);
  ALERTSTREAM_CHECK(query.limit.value_or(1) >= 1 && query.limit.value_or(1) <= api::kListLimitMax);
  ALERTSTREAM_CHECK(query.since <= query.until);
  ALERTSTREAM_CHECK(!(query.starting_after && query.ending_before));
  for (const auto& [name, value] : query.filters) {
    // What reaches the database.
    ALERTSTREAM_CHECK(!value.empty() && value.size() <= api::kFilterBytesMax);
    ALERTSTREAM_CHECK(schemas::IsUtf8(value) && schemas::HasNoControls(value));
  }
  return 0;
}
