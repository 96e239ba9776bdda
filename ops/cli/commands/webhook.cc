#include "ops/cli/commands/webhook.h"

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
                                     {.now = options.now, .allow_body_only = true});
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

Result<ExitCode> WebhookSign(const Streams& io, const WebhookOptions& options) {
  std::string value;
  if (options.scheme == WebhookScheme::kTwilio) {
    if (options.url.empty()) {
      return Error(ErrorCode::kInvalid, "--url is missing: Twilio signs it with the fields");
    }
    ALERTSTREAM_ASSIGN_OR_RETURN(const dispatch::Form form, dispatch::DecodeForm(options.body));
    value = dispatch::SignTwilioRequest(options.url, form, options.secret);
  } else {
    value = api::SignRequest(HmacKey(options.secret.Reveal()), ToMicros(options.now) / 1'000'000,
                             options.body);
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
