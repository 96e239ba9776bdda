#include "ops/cli/commands/fire.h"

#include <map>
#include <memory>
#include <ostream>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "ops/cli/json_object.h"
#include "schemas/json.h"

namespace alertstream::cli {
namespace {

using schemas::JsonType;
using schemas::JsonValue;

// Beyond the wait that was asked for: the way there and back.
constexpr std::chrono::milliseconds kAnswerSlack{5'000};

// Members of an object, or a value.
struct Node {
  std::string json;  // Of a value; empty: an object.
  std::map<std::string, std::unique_ptr<Node>> members;
};

std::string JsonOf(const Node& node) {
  if (!node.json.empty()) {
    return node.json;
  }
  JsonObject object;
  for (const auto& [name, member] : node.members) {
    object.Raw(name, JsonOf(*member));
  }
  return object.Take();
}

Result<std::string> ValueJson(std::string_view text) {
  schemas::JsonDocument document;
  if (!text.empty() && document.Parse(text).ok()) {
    return std::string(text);
  }
  return JsonText(text);
}

Status Set(std::string_view path, std::string json, Node* root) {
  Node* node = root;
  std::size_t depth = 0;
  for (std::string_view rest = path;;) {
    const std::string name(rest.substr(0, rest.find('.')));
    if (name.empty() || ++depth > kFireDepthMax || !node->json.empty()) {
      return Error(ErrorCode::kInvalid,
                   fmt::format("--set: expected PATH=VALUE with a path such as customer.name, at "
                               "most {} deep, that is no part of another one",
                               kFireDepthMax));
    }
    auto& member = node->members[name];
    if (member == nullptr) {
      member = std::make_unique<Node>();
    }
    node = member.get();
    if (name.size() == rest.size()) {
      break;
    }
    rest.remove_prefix(name.size() + 1);
  }
  if (!node->members.empty() || !node->json.empty()) {
    return Error(ErrorCode::kInvalid, "--set: a path is set twice");
  }
  node->json = std::move(json);
  return Status::Ok();
}

std::string TextOf(const JsonValue& object, std::string_view name) {
  const auto value = object.Find(name);
  return value && value->type() == JsonType::kString ? std::string(value->AsString())
                                                     : std::string();
}

std::string PositionOf(const JsonValue& answer) {
  const auto position = answer.Find("position");
  if (!position) {
    return {};
  }
  const auto partition = position->Find("partition");
  const auto offset = position->Find("offset");
  const bool whole = partition && partition->type() == JsonType::kInt && offset &&
                     offset->type() == JsonType::kInt;
  return whole ? fmt::format("{}@{}:{}", TextOf(*position, "topic"), partition->AsInt(),
                             offset->AsInt())
               : std::string();
}

void PrintDecision(const JsonValue& decision, std::ostream& out) {
  const std::string reason = TextOf(decision, "reason");
  const std::string notification = TextOf(decision, "notification_id");
  out << fmt::format("  {:<9}", TextOf(decision, "outcome"));
  for (const std::string& word : {TextOf(decision, "channel"), TextOf(decision, "trigger"),
                                  TextOf(decision, "recipient"), reason, notification}) {
    if (!word.empty()) {
      out << "  " << word;
    }
  }
  out << "\n";
}

// What the server answered, in words.
Status PrintAnswer(const ApiAnswer& answer, bool waited, const Streams& io) {
  schemas::JsonDocument document;
  if (!document.Parse(answer.body).ok() || document.root().type() != JsonType::kObject) {
    return Error(ErrorCode::kUnavailable, "the server's answer is no JSON object");
  }
  const JsonValue root = document.root();
  io.out << fmt::format("{}  accepted  {}\n", TextOf(root, "id"), PositionOf(root));
  const auto decisions = root.Find("decisions");
  if (decisions) {
    for (auto one = decisions->first_child(); one; one = one->next_sibling()) {
      PrintDecision(*one, io.out);
    }
  } else if (waited) {
    io.err << "not decided in this time; see: alertstream explain last\n";
  }
  return Status::Ok();
}

bool IsJson(const Streams& io) {
  return io.render.format == OutputFormat::kJson || io.render.format == OutputFormat::kJsonLines;
}

}  // namespace

Result<std::string> EventData(const FireOptions& options) {
  Node root;
  if (!options.to.empty()) {
    ALERTSTREAM_RETURN_IF_ERROR(Set("phone", JsonText(options.to), &root));
  }
  for (const std::string& set : options.sets) {
    const std::size_t equals = set.find('=');
    if (equals == std::string::npos) {
      return Error(ErrorCode::kInvalid, "--set: expected PATH=VALUE");
    }
    ALERTSTREAM_ASSIGN_OR_RETURN(std::string json, ValueJson(set.substr(equals + 1)));
    ALERTSTREAM_RETURN_IF_ERROR(Set(set.substr(0, equals), std::move(json), &root));
  }
  return JsonOf(root);
}

Result<ExitCode> Fire(ApiClient& api, const Streams& io, const FireOptions& options) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const std::string data, EventData(options));
  ApiCall call{.method = "POST", .path = "/api/v1/ingest", .auth = ApiAuth::kSigned};
  if (options.wait) {
    call.headers.push_back({"Prefer", fmt::format("wait={}", options.wait->count())});
    call.timeout = *options.wait + kAnswerSlack;
  }
  for (std::uint32_t i = 1; i <= options.count; ++i) {
    JsonObject event;
    event.Text("event_type", options.event_type);
    event.Raw("data", data);
    if (!options.id.empty()) {
      event.Text("id", options.count == 1 ? options.id : fmt::format("{}-{}", options.id, i));
    }
    if (!options.site.empty()) {
      event.Text("site", options.site);
    }
    call.body = event.Take();
    ALERTSTREAM_ASSIGN_OR_RETURN(const ApiAnswer answer, api.Send(call));
    if (IsJson(io)) {
      io.out << answer.body << "\n";
      continue;
    }
    ALERTSTREAM_RETURN_IF_ERROR(PrintAnswer(answer, options.wait.has_value(), io));
  }
  return ExitCode::kOk;
}

Result<ExitCode> SendInbound(ApiClient& api, const Streams& io, const InboundOptions& options) {
  if (api.target().provider_url.empty()) {
    return Error(ErrorCode::kNotFound,
                 "there is no provider simulator: `inbound` speaks to that of a dev "
                 "(--data-dir)");
  }
  JsonObject message;
  message.Text("from", options.from);
  message.Text("to", options.to);
  message.Text("body", options.text);
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const ApiAnswer answer,
      api.SendTo(api.target().provider_url,
                 {.method = "POST", .path = "/inbound", .body = message.Take()}));
  if (IsJson(io)) {
    io.out << answer.body << "\n";
  } else {
    io.out << "delivered to our webhook; see: alertstream tail facts --no-follow\n";
  }
  return ExitCode::kOk;
}

}  // namespace alertstream::cli
