#include "ops/cli/commands/webhook.h"

#include <algorithm>
#include <array>
#include <ostream>

#include <fmt/format.h>

#include "api/auth/request_signature.h"
#include "ops/cli/json_object.h"
#include "processor/base/crypto.h"
#include "processor/dispatch/providers/twilio_webhook.h"

namespace alertstream::cli {
namespace {

constexpr std::string_view kIngestHeader = "X-Signature";
constexpr std::string_view kTwilioHeader = "X-Twilio-Signature";

bool IsJson(const Streams& io) {
  return io.render.format == OutputFormat::kJson || io.render.format == OutputFormat::kJsonLines;
}

Status Verify(const WebhookOptions& options) {
  if (options.scheme == WebhookScheme::kTwilio) {
    const std::array tokens{options.secret};
    const auto form = dispatch::VerifyTwilioRequest(
        {.url = options.url, .body = options.body, .signature = options.signature}, tokens);
    return form.ok() ? Status::Ok() : Status(form.error());
  }
  const std::array keys{HmacKey(options.secret.Reveal())};
  return api::VerifyRequestSignature(options.signature, options.body, keys,
                                     {.now = options.now,
                                      .allow_body_only = true,
                                      .target = options.target,
                                      .bound_only = !options.target.empty()});
}

}  // namespace

Result<WebhookScheme> ParseWebhookScheme(std::string_view text) {
  if (text == "ingest") {
    return WebhookScheme::kIngest;
  }
  if (text == "twilio") {
    return WebhookScheme::kTwilio;
  }
  return Error(ErrorCode::kInvalid, "expected ingest or twilio");
}

Result<std::string> ParseRequestLine(std::string_view text) {
  const std::size_t space = text.find(' ');
  const std::string_view path = text.substr(std::min(space, text.size() - 1) + 1);
  if (space == 0 || space == std::string_view::npos || !path.starts_with('/') ||
      path.find(' ') != std::string_view::npos) {
    return Error(ErrorCode::kInvalid, "expected METHOD /path, as in: DELETE /api/v1/websites/shop");
  }
  return api::SignedTarget(text.substr(0, space), path, "");
}

Result<ExitCode> WebhookSign(const Streams& io, const WebhookOptions& options) {
  std::string value;
  if (options.scheme == WebhookScheme::kTwilio) {
    if (options.url.empty()) {
      return Error(ErrorCode::kInvalid, "--url is missing: Twilio signs it with the fields");
    }
    ALERTSTREAM_ASSIGN_OR_RETURN(const dispatch::Form form, dispatch::DecodeForm(options.body));
    value = dispatch::SignTwilioRequest(options.url, form, options.secret);
  } else {
    const HmacKey key(options.secret.Reveal());
    const std::int64_t signed_at_s = ToMicros(options.now) / 1'000'000;
    value = options.target.empty()
                ? api::SignRequest(key, signed_at_s, options.body)
                : api::SignBoundRequest(key, signed_at_s, options.target, options.body);
  }
  const auto header = options.scheme == WebhookScheme::kTwilio ? kTwilioHeader : kIngestHeader;
  if (IsJson(io)) {
    JsonObject object;
    object.Text("header", header);
    object.Text("value", value);
    io.out << object.Take() << "\n";
  } else {
    io.out << header << ": " << value << "\n";
  }
  return ExitCode::kOk;
}

Result<ExitCode> WebhookVerify(const Streams& io, const WebhookOptions& options) {
  const Status status = Verify(options);
  if (IsJson(io)) {
    JsonObject object;
    object.Bool("valid", status.ok());
    if (!status.ok()) {
      object.Text("reason", status.error().message());
    }
    io.out << object.Take() << "\n";
  } else {
    io.out << (status.ok() ? std::string("valid")
                           : fmt::format("not valid: {}", status.error().message()))
           << "\n";
  }
  return status.ok() ? ExitCode::kOk : ExitCodeOf(status.error().code());
}

}  // namespace alertstream::cli
