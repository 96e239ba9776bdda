#include "processor/dispatch/providers/twilio_sms.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "processor/base/base64.h"
#include "processor/base/id.h"
#include "processor/dispatch/providers/form.h"
#include "processor/dispatch/providers/twilio_codes.h"
#include "processor/dispatch/providers/twilio_urls.h"
#include "processor/dispatch/retry_after.h"
#include "schemas/json.h"
#include "schemas/limits.h"
#include "schemas/text.h"

namespace alertstream::dispatch {
namespace {

using schemas::JsonType;
using schemas::JsonValue;

constexpr std::size_t kSecretBytesMax = 256;     // Tokens have 32 characters.
constexpr std::size_t kPublicUrlBytesMax = 512;  // Leaves room for the path below it.

Error Invalid(std::string_view what, std::string_view expected) {
  return Error(ErrorCode::kInvalid, fmt::format("twilio: {}: {}", what, expected));
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsHexDigit(char c) { return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool IsPrintable(char c) { return c > ' ' && c <= '~'; }

// Two letters that say what it is, and 32 hexadecimal digits.
bool IsSid(std::string_view text, std::string_view prefix) {
  constexpr std::size_t kSidBytes = 34;
  return text.size() == kSidBytes && text.starts_with(prefix) &&
         std::all_of(text.begin() + 2, text.end(), IsHexDigit);
}

bool IsE164(std::string_view text) {
  constexpr std::size_t kDigitsMax = 15;
  return text.size() >= 2 && text.size() <= 1 + kDigitsMax && text[0] == '+' && text[1] != '0' &&
         std::all_of(text.begin() + 1, text.end(), IsDigit);
}

bool IsHostCharacter(char c) {
  return IsDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' ||
         c == ':' || c == '[' || c == ']';
}

// Without a slash at the end.
Result<std::string> CheckPublicUrl(std::string_view url) {
  constexpr std::string_view kSetting = "public_url";
  const std::size_t scheme = url.starts_with("https://") ? 8 : (url.starts_with("http://") ? 7 : 0);
  if (scheme == 0) {
    return Invalid(kSetting, "expected https:// and the host under which Twilio reaches us");
  }
  if (url.size() > kPublicUrlBytesMax) {
    return Invalid(kSetting, fmt::format("longer than {} bytes", kPublicUrlBytesMax));
  }
  const std::string_view rest = url.substr(scheme);
  const std::string_view host = rest.substr(0, rest.find('/'));
  if (host.empty() || !std::all_of(host.begin(), host.end(), IsHostCharacter)) {
    // Twilio refuses an underscore as well.
    return Invalid(kSetting, "the host may hold letters, digits, dots and hyphens, and a port");
  }
  if (!std::all_of(rest.begin(), rest.end(), IsPrintable) ||
      rest.find_first_of("?#") != std::string_view::npos) {
    return Invalid(kSetting, "expected no query, no fragment and no space");
  }
  while (url.ends_with('/')) {
    url.remove_suffix(1);
  }
  return std::string(url);
}

std::size_t Characters(std::string_view utf8) {
  return static_cast<std::size_t>(std::count_if(utf8.begin(), utf8.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

Status CheckSms(const TwilioSms& sms) {
  if (!ParseId(IdKind::kNotification, sms.notification_id).ok()) {
    return Invalid("notification_id", "expected ntf_ and 26 characters");
  }
  if (sms.attempt == 0 || sms.attempt > schemas::kAttemptMax) {
    return Invalid("attempt", fmt::format("expected 1 to {}", schemas::kAttemptMax));
  }
  if (!IsE164(sms.to.Reveal())) {
    return Invalid("to", "expected a number in E.164: + and at most 15 digits");
  }
  if (sms.from.empty() || sms.from.size() > schemas::kPhoneTextBytesMax ||
      !schemas::IsUtf8(sms.from) || !schemas::HasNoControls(sms.from)) {
    return Invalid("from", "expected the sender's number, id or messaging service");
  }
  const std::string_view body = sms.body.Reveal();
  if (body.empty()) {
    return Invalid("body", "empty");
  }
  if (!schemas::IsUtf8(body) || !schemas::HasNoNul(body)) {
    return Invalid("body", "expected UTF-8 without U+0000");
  }
  if (Characters(body) > kTwilioBodyCharactersMax) {
    return Invalid("body", fmt::format("longer than {} characters", kTwilioBodyCharactersMax));
  }
  if (sms.validity && *sms.validity < std::chrono::seconds(1)) {
    return Invalid("validity", "the message has expired");
  }
  return Status::Ok();
}

// A number that the answer's member `name` holds, as a number or as its digits; 0 for none.
int CodeIn(const std::optional<JsonValue>& root, std::string_view name) {
  constexpr std::int64_t kCodeMax = 9'999'999;  // Codes have five digits; a sixth may come.
  const auto value = root ? root->Find(name) : std::nullopt;
  std::int64_t code = 0;
  if (value && value->type() == JsonType::kInt) {
    code = value->AsInt();
  } else if (value && value->type() == JsonType::kString) {
    const std::string_view text = value->AsString();
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), code);
    code = error == std::errc() && end == text.data() + text.size() ? code : 0;
  }
  return code > 0 && code <= kCodeMax ? static_cast<int>(code) : 0;
}

std::string_view TextIn(const std::optional<JsonValue>& root, std::string_view name) {
  const auto value = root ? root->Find(name) : std::nullopt;
  return value && value->type() == JsonType::kString ? value->AsString() : std::string_view();
}

std::string CodeText(int code, int http_status) {
  return code != 0 ? std::to_string(code) : fmt::format("http_{}", http_status);
}

// Of a 2xx. Taken, unless the message already failed: then no callback will follow to say so.
Outcome OutcomeOfSuccess(int http_status, const std::optional<JsonValue>& root) {
  const std::string_view sid = TextIn(root, "sid");
  if (sid.empty() || sid.size() > schemas::kProviderMessageIdBytesMax ||
      !schemas::HasNoControls(sid)) {
    // Taken, it seems, but as what? A receipt will tell.
    return {.result = v1::ATTEMPT_CLASS_AMBIGUOUS, .code = CodeText(0, http_status)};
  }
  Outcome outcome{.result = v1::ATTEMPT_CLASS_ACCEPTED, .provider_message_id = std::string(sid)};
  const std::string_view status = TextIn(root, "status");
  if (status == "failed" || status == "undelivered" || status == "canceled") {
    const int code = CodeIn(root, "error_code");
    const TwilioCode* known = FindTwilioCode(code);
    outcome.result = known != nullptr ? known->outcome : v1::ATTEMPT_CLASS_PERM_REQUEST;
    outcome.code = code != 0 ? std::to_string(code) : std::string(status);
  }
  return outcome;
}

// Of a status that is no success, by Twilio's code where it is known. Statuses 429 and 5xx come
// from what stands in front of the API as well, with any body.
OutcomeClass ClassOfRefusal(int http_status, const TwilioCode* known) {
  if (http_status == 429) {
    return v1::ATTEMPT_CLASS_THROTTLE;
  }
  if (http_status >= 500 && http_status <= 599) {
    const bool slower = known != nullptr && known->outcome == v1::ATTEMPT_CLASS_THROTTLE;
    return slower ? v1::ATTEMPT_CLASS_THROTTLE : v1::ATTEMPT_CLASS_RETRY;
  }
  if (known != nullptr) {
    return known->outcome;
  }
  if (http_status == 401) {  // Whatever the code: no other message would get through either.
    return v1::ATTEMPT_CLASS_SUSPEND;
  }
  if (http_status == 408) {  // The request did not arrive whole (RFC 9110, 15.5.9).
    return v1::ATTEMPT_CLASS_RETRY;
  }
  if (http_status >= 300 && http_status <= 499) {  // A POST never follows a redirection.
    return v1::ATTEMPT_CLASS_PERM_REQUEST;
  }
  return v1::ATTEMPT_CLASS_AMBIGUOUS;  // Not a final status of HTTP.
}

}  // namespace

Result<TwilioSmsRequests> TwilioSmsRequests::Create(const TwilioAccount& account) {
  if (!schemas::IsSiteId(account.name) ||
      account.name.find_first_not_of('.') == std::string::npos ||
      account.name.size() > schemas::kProviderAccountBytesMax) {
    return Invalid("account", "the name may hold letters, digits, dots, hyphens and underscores");
  }
  if (!IsSid(account.account_sid, "AC")) {
    return Invalid("account_sid", "expected AC and 32 hexadecimal digits");
  }
  if (!account.api_key_sid.empty() && !IsSid(account.api_key_sid, "SK")) {
    return Invalid("api_key_sid", "expected SK and 32 hexadecimal digits");
  }
  const std::string& secret = account.secret.Reveal();
  if (secret.empty() || secret.size() > kSecretBytesMax ||
      !std::all_of(secret.begin(), secret.end(), IsPrintable)) {
    return Invalid("secret", "expected the auth token or the API key's secret, without spaces");
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const std::string public_url, CheckPublicUrl(account.public_url));

  TwilioSmsRequests requests;
  requests.path_ = "/2010-04-01/Accounts/" + account.account_sid + "/Messages.json";
  const std::string& user = account.api_key_sid.empty() ? account.account_sid : account.api_key_sid;
  requests.authorization_ = Redacted<std::string>("Basic " + ToBase64(user + ":" + secret));
  requests.callback_prefix_ = fmt::format("{}{}?{}=", public_url, TwilioStatusPath(account.name),
                                          kTwilioNotificationParameter);
  return requests;
}

Result<HttpRequest> TwilioSmsRequests::Build(const TwilioSms& sms) const {
  ALERTSTREAM_RETURN_IF_ERROR(CheckSms(sms));
  std::string body;
  AppendFormField("To", sms.to.Reveal(), &body);
  AppendFormField(IsSid(sms.from, "MG") ? "MessagingServiceSid" : "From", sms.from, &body);
  AppendFormField("Body", sms.body.Reveal(), &body);
  AppendFormField("StatusCallback", callback_prefix_ + std::string(sms.notification_id), &body);
  AppendFormField("Attempt", std::to_string(sms.attempt), &body);
  if (sms.validity) {
    AppendFormField("ValidityPeriod",
                    std::to_string(std::min(*sms.validity, kTwilioValidityMax).count()), &body);
  }
  return HttpRequest{.method = "POST",
                     .path = path_,
                     .headers = {{"Content-Type", "application/x-www-form-urlencoded"},
                                 {"Accept", "application/json"}},
                     .authorization = authorization_,
                     .body = Redacted<std::string>(std::move(body))};
}

Outcome OutcomeOfTwilioAnswer(const HttpAnswer& answer, LogTime now) {
  schemas::JsonDocument document;
  std::optional<JsonValue> root;
  const std::string& body = answer.body.Reveal();
  if (body.size() <= kTwilioAnswerBytesMax && document.Parse(body).ok()) {
    root = document.root();
  }
  if (answer.status >= 200 && answer.status <= 299) {
    return OutcomeOfSuccess(answer.status, root);
  }
  const int code = CodeIn(root, "code");
  Outcome outcome{.result = ClassOfRefusal(answer.status, FindTwilioCode(code)),
                  .code = CodeText(code, answer.status)};
  if (outcome.result == v1::ATTEMPT_CLASS_THROTTLE || outcome.result == v1::ATTEMPT_CLASS_RETRY) {
    if (const auto header = FindHeader(answer.headers, "Retry-After")) {
      outcome.retry_after = ParseRetryAfter(*header, now);
    }
  }
  return outcome;
}

Outcome OutcomeOfTwilioFailure(TransportFailure failure) {
  return {.result = MayHaveArrived(failure) ? v1::ATTEMPT_CLASS_AMBIGUOUS : v1::ATTEMPT_CLASS_RETRY,
          .code = std::string(TransportFailureName(failure))};
}

}  // namespace alertstream::dispatch
