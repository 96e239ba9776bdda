#include "ops/cli/control_client.h"

#include <utility>

#include <fmt/format.h>

#include "ops/cli/dev_file.h"
#include "schemas/json.h"
#include "schemas/topics.h"

namespace alertstream::cli {
namespace {

using schemas::JsonType;
using schemas::JsonValue;

constexpr std::string_view kPath = "/api/v1/control/events";
constexpr std::size_t kGroupDocumentsMax = 1000;
// The endpoint takes 1 MiB; one document may be as large, so a group ends before it is full.
constexpr std::size_t kGroupBytesMax = std::size_t{768} << 10U;

std::string TextOf(JsonValue object, std::string_view name) {
  const auto value = object.Find(name);
  return value && value->type() == JsonType::kString ? std::string(value->AsString())
                                                     : std::string();
}

std::int64_t NumberOf(JsonValue object, std::string_view name) {
  const auto value = object.Find(name);
  return value && value->type() == JsonType::kInt ? value->AsInt() : 0;
}

ControlResult ResultOf(JsonValue object) {
  ControlResult result{.status = TextOf(object, "status"),
                       .id = TextOf(object, "id"),
                       .version = static_cast<std::uint64_t>(NumberOf(object, "version")),
                       .reason = TextOf(object, "reason"),
                       .detail = TextOf(object, "detail"),
                       .position = {}};
  const auto position = object.Find("position");
  if (!position || position->type() != JsonType::kObject) {
    return result;
  }
  if (const auto topic = schemas::TopicByName(TextOf(*position, "topic"))) {
    result.position.set_topic(static_cast<std::uint32_t>(*topic));
    result.position.set_partition(static_cast<std::uint32_t>(NumberOf(*position, "partition")));
    result.position.set_offset(NumberOf(*position, "offset"));
  }
  return result;
}

}  // namespace

Result<std::optional<ApiTarget>> FindControl(const Settings& settings) {
  if (settings.Text(Setting::kApiUrl).empty()) {
    const auto dev = ReadDevFile(settings.Text(Setting::kDataDir));
    const bool none = !dev.ok() && dev.error().code() == ErrorCode::kNotFound;
    if (none || (dev.ok() && dev.value().log != settings.Text(Setting::kLog))) {
      return std::optional<ApiTarget>();
    }
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(ApiTarget target, FindApi(settings));
  return std::optional(std::move(target));
}

Result<std::vector<ControlResult>> ParseControlAnswer(std::string_view body) {
  schemas::JsonDocument document;
  const bool parsed = document.Parse(body).ok() && document.root().type() == JsonType::kObject;
  const auto list = parsed ? document.root().Find("results") : std::nullopt;
  if (!list || list->type() != JsonType::kArray) {
    return Error(ErrorCode::kUnavailable, "the server's answer is not one of the control endpoint");
  }
  std::vector<ControlResult> results;
  for (auto each = list->first_child(); each; each = each->next_sibling()) {
    results.push_back(ResultOf(*each));
  }
  return results;
}

Result<std::vector<ControlResult>> ControlClient::Send(std::string_view tenant,
                                                       const std::vector<std::string>& documents,
                                                       Wait wait) {
  std::string head = "{";
  if (!tenant.empty()) {
    head += "\"tenant\":";
    schemas::AppendJsonString(tenant, &head);
    head += ",";
  }
  head += "\"events\":[";
  std::vector<ControlResult> results;
  for (std::size_t begin = 0; begin < documents.size();) {
    std::string body = head;
    std::size_t end = begin;
    while (end < documents.size() && end - begin < kGroupDocumentsMax &&
           (end == begin || body.size() + documents[end].size() < kGroupBytesMax)) {
      body += end == begin ? "" : ",";
      body += documents[end++];
    }
    const Status sent = SendGroup(body + "]}", end - begin, wait, &results);
    if (!sent.ok() && begin == 0) {
      return sent.error();
    }
    if (!sent.ok()) {
      const std::string why = fmt::format("{} of {} changes were answered, then: {}", begin,
                                          documents.size(), sent.error().message());
      results.resize(documents.size(), ControlResult{.status = std::string(kUnsent),
                                                     .id = {},
                                                     .reason = {},
                                                     .detail = why,
                                                     .position = {}});
      return results;
    }
    begin = end;
  }
  return results;
}

Status ControlClient::SendGroup(const std::string& body, std::size_t documents, Wait wait,
                                std::vector<ControlResult>* results) {
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const ApiAnswer answer,
      api_->Send({.method = "POST",
                  .path = std::string(kPath),
                  .body = body,
                  .headers = {{"X-Actor", actor_},
                              {"Prefer", wait == Wait::kForVerdicts ? "wait=10" : "wait=0"}},
                  .auth = ApiAuth::kOperator}));
  ALERTSTREAM_ASSIGN_OR_RETURN(auto group, ParseControlAnswer(answer.body));
  if (group.size() != documents) {
    return Error(ErrorCode::kUnavailable,
                 fmt::format("the server answered {} of {} changes", group.size(), documents));
  }
  results->insert(results->end(), std::make_move_iterator(group.begin()),
                  std::make_move_iterator(group.end()));
  return Status::Ok();
}

}  // namespace alertstream::cli
