#include "api/query/event_at.h"

#include <optional>
#include <string>

#include "schemas/input_codec.h"
#include "schemas/personal.h"

namespace alertstream::api {
namespace {

constexpr std::chrono::milliseconds kStep{20};
constexpr log::FetchLimits kOne{.records_max = 1, .bytes_max = 1};

// kNotFound: the offset holds no record of the tenant's.
Status Decode(const log::RecordView& record, const EventPlace& place, EventAt* event) {
  if (record.offset != place.offset || record.key != place.tenant) {
    return Error(ErrorCode::kNotFound, "The log holds no event there.");
  }
  if (schemas::DecodeInput(schemas::Topic::kSiteEvents, record, &event->envelope)) {
    return Error(ErrorCode::kCorrupt, "The event's record cannot be decoded.");
  }
  event->append_time = record.append_time;
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto data,
                               schemas::Unseal(event->envelope.site_event().data()));
  event->has_data = !data.empty();
  return event->has_data ? event->data.Parse(data) : Status::Ok();
}

}  // namespace

engine::ConditionEvent EventAt::View() const {
  return {
      .id = envelope.id(),
      .type = envelope.type(),
      .source = envelope.source(),
      .time = envelope.event_time_us() == 0 ? append_time : FromMicros(envelope.event_time_us()),
      .data = has_data ? std::optional(data.root()) : std::nullopt};
}

Status ReadEventAt(log::EventLog& log, const EventPlace& place, std::chrono::milliseconds timeout,
                   EventAt* event) {
  const log::ReadFrom from{{schemas::Topic::kSiteEvents, place.partition}, place.offset};
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto reader, log.OpenReader(std::span(&from, 1)));
  for (std::chrono::milliseconds waited{0}; waited < timeout; waited += kStep) {
    log::Fetched fetched;
    ALERTSTREAM_RETURN_IF_ERROR(reader->Fetch(0, kOne, &fetched));
    if (!fetched.records.empty()) {
      return Decode(fetched.records.front(), place, event);
    }
    if (reader->Position(0) > place.offset) {
      return Error(ErrorCode::kNotFound, "The log holds no event there.");
    }
    reader->Wait(kStep);
  }
  return Error(ErrorCode::kUnavailable, "The log could not be read in time.");
}

}  // namespace alertstream::api
