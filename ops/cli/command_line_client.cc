// The commands of a server's clients: fire an event, play the person who answers, look at what was
// sent, make and check signatures.
#include <iostream>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "ops/cli/command_line.h"
#include "ops/cli/commands/fire.h"
#include "ops/cli/commands/notifications.h"
#include "ops/cli/commands/webhook.h"
#include "ops/cli/runs.h"
#include "ops/cli/words.h"
#include "ops/identity/keys_file.h"
#include "ops/seed/demo_history.h"
#include "processor/base/duration.h"
#include "processor/base/rfc3339.h"

namespace alertstream::cli {
namespace {

// Of a request that is signed or checked: what the API takes.
constexpr std::size_t kBodyBytesMax = std::size_t{1} << 20U;

Result<std::string> ReadBody(const std::string& file) {
  if (file.empty()) {
    return std::string();
  }
  std::string bytes;
  if (file == "-") {
    bytes.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else {
    ALERTSTREAM_ASSIGN_OR_RETURN(const auto input, EventsInput::Open(file));
    bytes.assign(std::istreambuf_iterator<char>(input->stream()), {});
  }
  if (bytes.size() > kBodyBytesMax) {
    return Error(ErrorCode::kInvalid, fmt::format("--body: more than {} bytes", kBodyBytesMax));
  }
  return bytes;
}

struct WebhookArguments {
  std::string scheme;
  std::string url;
  std::string request;
  std::string body;
  std::string signature;
  std::string secret_file;
  std::string at;
};

Result<Redacted<std::string>> SecretOf(Program& program, const WebhookArguments& arguments) {
  std::string secret;
  if (arguments.secret_file == "-") {
    std::getline(std::cin, secret);
    return Redacted(std::move(secret));
  }
  if (!arguments.secret_file.empty()) {
    ALERTSTREAM_ASSIGN_OR_RETURN(secret,
                                 identity::ReadPrivateFile(arguments.secret_file, kSecretBytesMax));
    while (secret.ends_with('\n')) {
      secret.pop_back();
    }
    return Redacted(std::move(secret));
  }
  if (const auto& given = program.settings().Secret(Setting::kWebhookSecret)) {
    return *given;
  }
  if (arguments.scheme == "ingest") {
    const auto target = FindApi(program.settings());
    if (target.ok() && !target.value().signing_secret.Reveal().empty()) {
      return target.value().signing_secret;
    }
  }
  return Error(ErrorCode::kInvalid,
               "no secret: set ALERTSTREAM_WEBHOOK_SECRET or ALERTSTREAM_WEBHOOK_SECRET_FILE, or "
               "name a file with --secret-file (- for stdin)");
}

Result<WebhookOptions> WebhookOptionsOf(Program& program, const WebhookArguments& arguments) {
  WebhookOptions options{.url = arguments.url, .signature = arguments.signature};
  ALERTSTREAM_ASSIGN_OR_RETURN(options.scheme, ParseWebhookScheme(arguments.scheme));
  if (arguments.body == "-" && arguments.secret_file == "-") {
    return Error(ErrorCode::kInvalid, "--body and --secret-file cannot both be stdin");
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(options.body, ReadBody(arguments.body));
  ALERTSTREAM_ASSIGN_OR_RETURN(options.secret, SecretOf(program, arguments));
  if (!arguments.request.empty()) {
    ALERTSTREAM_ASSIGN_OR_RETURN(options.target, ParseRequestLine(arguments.request));
  }
  options.now = program.clock().Now();
  if (!arguments.at.empty()) {
    ALERTSTREAM_ASSIGN_OR_RETURN(options.now, ParseRfc3339(arguments.at));
  }
  return options;
}

}  // namespace

void CommandLine::AddClient() {
  struct Values {
    FireOptions options;
    std::string wait;
  };
  auto* fire = Keep(Values{});
  CLI::App* app =
      Add(&app_, "fire", "Send a signed event, as a customer's server would",
          "fire payment.failed --to +254700000001 --set amount=49 --set currency=USD \\\n"
          "    --set order=A-17 --wait",
          [fire](Program& program) -> Result<ExitCode> {
            FireOptions options = fire->options;
            if (!fire->wait.empty()) {
              ALERTSTREAM_ASSIGN_OR_RETURN(const LogDuration wait, ParseDuration(fire->wait));
              options.wait = std::chrono::duration_cast<std::chrono::seconds>(wait);
              if (options.wait->count() < 1 || *options.wait > kFireWaitMax) {
                return program.Refuse(Error(ErrorCode::kInvalid, "--wait: expected 1s to 10s"),
                                      ExitCode::kUsage, "alertstream fire --help");
              }
            }
            return program.Call([&](ApiClient& api) { return Fire(api, program.io(), options); });
          });
  app->add_option("event_type", fire->options.event_type, "such as payment.failed")->required();
  app->add_option("--to", fire->options.to, "becomes data.phone");
  app->add_option("--set", fire->options.sets,
                  "PATH=VALUE of data: amount=49, customer.name=Ann; a value that is JSON is taken "
                  "as such")
      ->allow_extra_args(false);
  app->add_option("--id", fire->options.id, "the event's id; the same again is a duplicate");
  app->add_option("--site", fire->options.site, "the site it comes from");
  app->add_option("--wait", fire->wait, "wait for the decisions, 5s if no time is given")
      ->expected(0, 1)
      ->default_str("5s")
      ->check(Checked(ParseDuration));
  app->add_option("--count", fire->options.count, "send so many, one after the other")
      ->check(CLI::Range(1U, kFireCountMax));

  auto* inbound = Keep(InboundOptions{.to = std::string(seed::kNumber)});
  CLI::App* inbound_app =
      Add(&app_, "inbound", "Let a person answer, through the provider simulator of a dev",
          "inbound --from +254700000001 --text STOP", [inbound](Program& program) {
            return program.Call(
                [&](ApiClient& api) { return SendInbound(api, program.io(), *inbound); });
          });
  inbound_app->add_option("--from", inbound->from, "the person, +254...")->required();
  inbound_app->add_option("--text", inbound->text, "what they write")->required();
  inbound_app->add_option("--to", inbound->to, "our number; without it the demo's");
}

void CommandLine::AddWebhook() {
  auto* values = Keep(WebhookArguments{});
  CLI::App* webhook = Group("webhook", "Signatures of requests");
  const auto common = [values](CLI::App* app) {
    app->add_option("scheme", values->scheme,
                    "ingest (X-Signature of our API) or twilio (X-Twilio-Signature)")
        ->required()
        ->check(Checked(ParseWebhookScheme));
    app->add_option("--body", values->body, "file of the request's body; - for stdin");
    app->add_option("--url", values->url, "twilio: as it was told to call us");
    app->add_option("--request", values->request,
                    "ingest: method and path, which are signed too (v2); what changes a tenant's "
                    "objects takes no other signature")
        ->check(Checked(ParseRequestLine));
    app->add_option("--secret-file", values->secret_file,
                    "file of the secret, mode 0600; - for stdin; without it "
                    "ALERTSTREAM_WEBHOOK_SECRET, for ingest then that of the dev");
    app->add_option("--at", values->at, "the time to sign or check at (RFC 3339)")
        ->check(Checked(ParseRfc3339));
  };
  common(Add(webhook, "sign", "The header for a request",
             "webhook sign ingest --request 'DELETE /api/v1/websites/shop'",
             [values](Program& program) -> Result<ExitCode> {
               ALERTSTREAM_ASSIGN_OR_RETURN(const auto options, WebhookOptionsOf(program, *values));
               return WebhookSign(program.io(), options);
             }));
  CLI::App* verify =
      Add(webhook, "verify", "Whether a request's signature fits; exit 5 if not",
          "webhook verify twilio --url https://alerts.example/webhooks/twilio/main/status \\\n"
          "    --body request.form --signature 'c2lnbmF0dXJl' --secret-file twilio.token",
          [values](Program& program) -> Result<ExitCode> {
            ALERTSTREAM_ASSIGN_OR_RETURN(const auto options, WebhookOptionsOf(program, *values));
            return WebhookVerify(program.io(), options);
          });
  common(verify);
  verify->add_option("--signature", values->signature, "the header's value")->required();
}

void CommandLine::AddNotifications() {
  struct List {
    std::string trigger;
    std::string status;
    std::size_t rows = 50;
  };
  auto* list = Keep(List{});
  CLI::App* notifications = Group("notifications", "What was commanded to be sent");
  CLI::App* list_app =
      Add(notifications, "list", "The newest notifications and their state",
          "notifications list --status failed --limit 20",
          [list](Program& program) -> Result<ExitCode> {
            NotificationsFilter filter{.trigger = list->trigger, .status = std::nullopt};
            if (!list->status.empty()) {
              ALERTSTREAM_ASSIGN_OR_RETURN(
                  filter.status, ParseWord<v1::NotificationStatus>("--status", list->status));
            }
            return program.Read([&](const Session& session) {
              return ListNotifications(session, filter, list->rows);
            });
          });
  list_app->add_option("--trigger", list->trigger, "of this trigger");
  list_app->add_option("--status", list->status, "delivered, failed, unknown_outcome, ...");
  list_app->add_option("--limit", list->rows, "rows");
  struct Get {
    std::string id;
    bool personal = false;
  };
  auto* get = Keep(Get{});
  CLI::App* get_app = Add(notifications, "get", "One notification: its attempts and receipts",
                          "notifications get last", [get](Program& program) {
                            return program.Read([&](const Session& session) {
                              return GetNotification(session, get->id, get->personal);
                            });
                          });
  get_app->add_option("id", get->id, "the beginning of its id, ntf_..., or last")->required();
  get_app->add_flag("--show-personal", get->personal, "address and text as they are");
}

}  // namespace alertstream::cli
