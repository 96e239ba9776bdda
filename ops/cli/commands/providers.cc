#include "ops/cli/commands/providers.h"

#include <ostream>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "ops/cli/json_object.h"
#include "schemas/json.h"

namespace alertstream::cli {
namespace {

using schemas::JsonType;
using schemas::JsonValue;

// The routes of api/providers.
constexpr std::string_view kPath = "/api/v1/control/providers";

bool IsJson(const Streams& io) {
  return io.render.format == OutputFormat::kJson || io.render.format == OutputFormat::kJsonLines;
}

Cell TextCell(const JsonValue& object, std::string_view name, CellStyle style = CellStyle::kPlain) {
  const auto value = object.Find(name);
  if (!value || value->type() != JsonType::kString || value->AsString().empty()) {
    return {Absent{}};
  }
  return {std::string(value->AsString()), style};
}

Cell NumberCell(const JsonValue& object, std::string_view name) {
  const auto value = object.Find(name);
  if (value && value->type() == JsonType::kInt) {
    return {value->AsInt()};
  }
  if (value && value->type() == JsonType::kDouble) {
    return {value->AsDouble()};
  }
  return {Absent{}};
}

bool IsNamed(const JsonValue& object, const std::string& name) {
  const auto value = object.Find("name");
  return name.empty() || (value && value->type() == JsonType::kString && value->AsString() == name);
}

CellStyle StyleOf(const JsonValue& account) {
  const auto breaker = account.Find("breaker");
  if (!breaker || breaker->type() != JsonType::kString) {
    return CellStyle::kPlain;
  }
  const std::string_view word = breaker->AsString();
  if (word == "open" || word == "suspended") {
    return CellStyle::kBad;
  }
  return word == "half_open" ? CellStyle::kWarning : CellStyle::kPlain;
}

// The accounts that the server has; the document keeps them.
Result<std::vector<JsonValue>> Fetch(ApiClient& api, schemas::JsonDocument* document) {
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const ApiAnswer answer,
      api.Send({.method = "GET", .path = std::string(kPath), .auth = ApiAuth::kOperator}));
  const Error strange(ErrorCode::kUnavailable, "the server's answer is no list of providers");
  if (!document->Parse(answer.body).ok() || document->root().type() != JsonType::kObject) {
    return strange;
  }
  const auto providers = document->root().Find("providers");
  if (!providers) {
    return strange;
  }
  std::vector<JsonValue> accounts;
  for (auto one = providers->first_child(); one; one = one->next_sibling()) {
    accounts.push_back(*one);
  }
  return accounts;
}

}  // namespace

Result<ExitCode> ListProviders(ApiClient& api, const Streams& io) {
  schemas::JsonDocument document;
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto accounts, Fetch(api, &document));
  Table table({{.key = "provider"},
               {.key = "name"},
               {.key = "account_sid", .title = "ACCOUNT"},
               {.key = "breaker"},
               {.key = "sends_per_second", .title = "SENDS/S", .right = true},
               {.key = "burst", .right = true},
               {.key = "base_url", .title = "AT"}});
  for (const JsonValue& account : accounts) {
    table.Add({TextCell(account, "provider"), TextCell(account, "name"),
               TextCell(account, "account_sid"), TextCell(account, "breaker", StyleOf(account)),
               NumberCell(account, "sends_per_second"), NumberCell(account, "burst"),
               TextCell(account, "base_url")});
  }
  ALERTSTREAM_RETURN_IF_ERROR(Print(io, table));
  return ExitCode::kOk;
}

Result<ExitCode> ShowBreakers(ApiClient& api, const Streams& io, const std::string& name) {
  schemas::JsonDocument document;
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto accounts, Fetch(api, &document));
  Table table({{.key = "provider"},
               {.key = "name"},
               {.key = "breaker"},
               {.key = "code", .title = "BECAUSE OF"},
               {.key = "probe_in_s", .title = "NEXT PROBE (S)", .right = true}});
  for (const JsonValue& account : accounts) {
    if (IsNamed(account, name)) {
      table.Add({TextCell(account, "provider"), TextCell(account, "name"),
                 TextCell(account, "breaker", StyleOf(account)), TextCell(account, "code"),
                 NumberCell(account, "probe_in_s")});
    }
  }
  if (table.size() == 0 && !name.empty()) {
    return Error(ErrorCode::kNotFound, "the server has no provider account of that name");
  }
  ALERTSTREAM_RETURN_IF_ERROR(Print(io, table));
  return ExitCode::kOk;
}

Result<ExitCode> ResetBreaker(ApiClient& api, const Streams& io, const std::string& provider,
                              const std::string& name) {
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const ApiAnswer answer,
      api.Send({.method = "POST",
                .path = fmt::format("{}/{}/{}/reset", kPath, provider, name),
                .auth = ApiAuth::kOperator}));
  io.out << (IsJson(io) ? answer.body : fmt::format("{}/{}: closed", provider, name)) << "\n";
  return ExitCode::kOk;
}

Result<ExitCode> TestProvider(ApiClient& api, const Streams& io,
                              const ProviderTestOptions& options) {
  JsonObject message;
  message.Text("to", options.to);
  message.Text("from", options.from);
  message.Text("body", options.text);
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const ApiAnswer answer,
      api.Send({.method = "POST",
                .path = fmt::format("{}/{}/{}/test", kPath, options.provider, options.name),
                .body = message.Take(),
                .auth = ApiAuth::kOperator,
                .timeout = std::chrono::seconds(30)}));
  schemas::JsonDocument document;
  if (!document.Parse(answer.body).ok() || document.root().type() != JsonType::kObject) {
    return Error(ErrorCode::kUnavailable, "the server's answer is no JSON object");
  }
  const auto text = [&](std::string_view name) {
    const auto value = document.root().Find(name);
    return value && value->type() == JsonType::kString ? std::string(value->AsString())
                                                       : std::string();
  };
  const std::string result = text("result");
  if (IsJson(io)) {
    io.out << answer.body << "\n";
  } else if (result == "accepted") {
    io.out << "accepted  " << text("provider_message_id") << "\n";
  } else {
    io.out << fmt::format("not taken: {} ({})\n", result, text("code"));
  }
  return result == "accepted" ? ExitCode::kOk : ExitCode::kFailed;
}

}  // namespace alertstream::cli
