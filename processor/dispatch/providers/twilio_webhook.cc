#include "processor/dispatch/providers/twilio_webhook.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "processor/base/base64.h"
#include "processor/base/crypto.h"
#include "processor/base/hmac_sha1.h"
#include "schemas/limits.h"
#include "schemas/text.h"

namespace alertstream::dispatch {
namespace {

Error Invalid(std::string_view field, std::string_view what) {
  return Error(ErrorCode::kInvalid, fmt::format("twilio webhook: {}: {}", field, what));
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// A URL cut at the places where its signed forms may differ.
struct SplitUrl {
  std::string_view before_port;  // Scheme, user and host.
  std::string_view port;         // With its colon; empty if there is none.
  std::string_view path;         // Up to the question mark.
  std::string_view query;        // With its question mark; empty if there is none.
  bool is_https = false;
};

std::optional<SplitUrl> Split(std::string_view url) {
  SplitUrl split;
  split.is_https = schemas::StartsWithIgnoringCase(url, "https://");
  if (!split.is_https && !schemas::StartsWithIgnoringCase(url, "http://")) {
    return std::nullopt;
  }
  url = url.substr(0, url.find('#'));
  const std::size_t host = url.find("//") + 2;
  const std::size_t end = std::min(url.find_first_of("/?", host), url.size());
  const std::string_view authority = url.substr(0, end);
  const std::size_t user_end = authority.rfind('@');
  const std::size_t host_begin = user_end == std::string_view::npos ? host : user_end + 1;
  if (host_begin >= authority.size()) {
    return std::nullopt;
  }
  // The last colon may also be the scheme's, one between user and password, or one of [::1].
  const std::string_view port = authority.substr(authority.rfind(':'));
  const bool has_port = std::all_of(port.begin() + 1, port.end(), IsDigit);
  split.before_port = authority.substr(0, authority.size() - (has_port ? port.size() : 0));
  split.port = authority.substr(split.before_port.size());
  const std::size_t question = std::min(url.find('?', end), url.size());
  split.path = url.substr(end, question - end);
  split.query = url.substr(question);
  return split;
}

// The query as the URL standard writes one of http: what may not stand in it, and the apostrophe,
// as %XX. Proxies hand on what they like.
std::string NormalizedQuery(std::string_view query) {
  std::string normalized;
  normalized.reserve(query.size());
  for (const char c : query) {
    if (c <= ' ' || c >= '\x7f' || c == '"' || c == '\'' || c == '<' || c == '>') {
      normalized += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    } else {
      normalized.push_back(c);
    }
  }
  return normalized;
}

std::vector<std::string> SignedForms(const SplitUrl& url) {
  const std::string_view standard_port = url.is_https ? ":443" : ":80";
  const std::string_view port = url.port.empty() ? standard_port : url.port;
  std::vector<std::string> forms;
  for (const std::string& query : {std::string(url.query), NormalizedQuery(url.query)}) {
    forms.push_back(fmt::format("{}{}{}", url.before_port, url.path, query));
    forms.push_back(fmt::format("{}{}{}{}", url.before_port, port, url.path, query));
  }
  std::sort(forms.begin(), forms.end());
  forms.erase(std::unique(forms.begin(), forms.end()), forms.end());
  return forms;
}

// What follows the URL in the signed text: names in the order of their bytes, each with its value;
// a name with several values once with each different one.
std::string SignedFields(std::span<const FormField> fields) {
  std::vector<std::pair<std::string_view, std::string_view>> sorted;
  sorted.reserve(fields.size());
  for (const FormField& field : fields) {
    sorted.emplace_back(field.name, field.value);
  }
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  std::string text;
  for (const auto& [name, value] : sorted) {
    text.append(name).append(value);
  }
  return text;
}

// The value of bodySHA256 in a query that begins with a question mark.
std::optional<std::string_view> BodyDigestOf(std::string_view query) {
  constexpr std::string_view kName = "bodySHA256=";
  while (!query.empty()) {
    query.remove_prefix(1);
    const std::string_view part = query.substr(0, query.find('&'));
    if (part.starts_with(kName)) {
      return part.substr(kName.size());
    }
    query.remove_prefix(part.size());
  }
  return std::nullopt;
}

// Every form with every token is tried, whichever fits: the time says nothing.
bool AnyFits(const std::vector<std::string>& urls, std::string_view fields,
             std::span<const Redacted<std::string>> auth_tokens, std::string_view signature) {
  bool fits = false;
  for (const auto& token : auth_tokens) {
    if (token.Reveal().empty()) {
      continue;
    }
    for (const std::string& url : urls) {
      const Sha1Digest expected = HmacSha1(token.Reveal(), url + std::string(fields));
      const bool equal = ConstantTimeEqual(AsView(expected), signature);
      fits = fits || equal;
    }
  }
  return fits;
}

// Reads the fields that are looked at; the first fault stays.
class FieldReader {
 public:
  explicit FieldReader(std::span<const FormField> fields) : fields_(fields) {}

  // The value of field `name`, "" if there is none.
  std::string_view Text(std::string_view name, std::size_t bytes_max) {
    const FormField* found = nullptr;
    for (const FormField& field : fields_) {
      if (field.name != name) {
        continue;
      }
      if (found != nullptr) {
        Fail(name, "given twice");
      }
      found = &field;
    }
    if (found != nullptr && found->value.size() > bytes_max) {
      Fail(name, fmt::format("longer than {} bytes", bytes_max));
    }
    return found == nullptr ? std::string_view() : std::string_view(found->value);
  }

  // A text without control characters.
  std::string_view Word(std::string_view name, std::size_t bytes_max) {
    const std::string_view text = Text(name, bytes_max);
    if (!schemas::HasNoControls(text)) {
      Fail(name, "has a control character");
    }
    return text;
  }

  // `name`, or what it was called in earlier days; one of the two has to be there.
  std::string_view Required(std::string_view name, std::string_view old_name,
                            std::size_t bytes_max) {
    std::string_view text = Word(name, bytes_max);
    if (text.empty() && !old_name.empty()) {
      text = Word(old_name, bytes_max);
    }
    if (text.empty()) {
      Fail(name, "missing");
    }
    return text;
  }

  std::string AccountSid() {
    constexpr std::size_t kSidBytes = 34;
    const std::string_view sid = Required("AccountSid", "", kSidBytes);
    if (sid.size() != kSidBytes || !sid.starts_with("AC") || FromHex(sid.substr(2)).empty()) {
      Fail("AccountSid", "expected AC and 32 hexadecimal digits");
    }
    return std::string(sid);
  }

  // The number or id in field `name`. Its prefix says the channel, which is the same of both sides.
  std::string Address(std::string_view name, v1::Channel* channel) {
    constexpr std::string_view kWhatsapp = "whatsapp:";
    std::string_view address = Required(name, "", schemas::kPhoneTextBytesMax);
    *channel = v1::CHANNEL_SMS;
    if (address.starts_with(kWhatsapp)) {
      *channel = v1::CHANNEL_WHATSAPP;
      address.remove_prefix(kWhatsapp.size());
    } else if (address.find(':') != std::string_view::npos) {
      Fail(name, "of a channel that is not supported");
    }
    if (address.empty()) {
      Fail(name, "missing");
    }
    return std::string(address);
  }

  void Fail(std::string_view field, std::string_view what) {
    if (status_.ok()) {
      status_ = Invalid(field, what);
    }
  }

  const Status& status() const { return status_; }

 private:
  std::span<const FormField> fields_;
  Status status_;
};

struct StatusWord {
  std::string_view word;
  v1::ReceiptStatus status;
};

// A message of several parts of which some arrived is not known to be delivered, nor lost.
constexpr auto kStatusWords = std::to_array<StatusWord>({
    {"accepted", v1::RECEIPT_STATUS_ACCEPTED},
    {"scheduled", v1::RECEIPT_STATUS_ACCEPTED},
    {"queued", v1::RECEIPT_STATUS_QUEUED},
    {"sending", v1::RECEIPT_STATUS_SENDING},
    {"sent", v1::RECEIPT_STATUS_SENT},
    {"partially_delivered", v1::RECEIPT_STATUS_SENT},
    {"delivered", v1::RECEIPT_STATUS_DELIVERED},
    {"read", v1::RECEIPT_STATUS_READ},
    {"failed", v1::RECEIPT_STATUS_FAILED},
    {"undelivered", v1::RECEIPT_STATUS_FAILED},
    {"canceled", v1::RECEIPT_STATUS_FAILED},
});

v1::ReceiptStatus StatusOfWord(std::string_view word) {
  const auto* const found = std::find_if(kStatusWords.begin(), kStatusWords.end(),
                                         [word](const StatusWord& w) { return w.word == word; });
  return found == kStatusWords.end() ? v1::RECEIPT_STATUS_UNSPECIFIED : found->status;
}

}  // namespace

Result<Form> VerifyTwilioRequest(const TwilioSignedRequest& request,
                                 std::span<const Redacted<std::string>> auth_tokens) {
  if (request.signature.empty()) {
    return Invalid("X-Twilio-Signature", "missing");
  }
  const auto url = request.url.size() <= kTwilioUrlBytesMax ? Split(request.url) : std::nullopt;
  if (!url) {
    return Invalid("url", fmt::format("expected https:// or http:// and at most {} bytes",
                                      kTwilioUrlBytesMax));
  }
  const auto body_digest = BodyDigestOf(url->query);
  Form fields;
  if (!body_digest) {
    ALERTSTREAM_ASSIGN_OR_RETURN(fields, DecodeForm(request.body));
  }
  const auto signature = FromBase64(request.signature);
  if (!signature || !AnyFits(SignedForms(*url), SignedFields(fields), auth_tokens, *signature)) {
    return Error(ErrorCode::kDenied,
                 "twilio webhook: X-Twilio-Signature: no auth token of this account gives it; "
                 "compare the token and the public URL with Twilio's console");
  }
  if (body_digest && !ConstantTimeEqual(FromHex(*body_digest), AsView(Sha256::Of(request.body)))) {
    return Error(ErrorCode::kDenied, "twilio webhook: bodySHA256: not the body's digest");
  }
  return fields;
}

std::string SignTwilioRequest(std::string_view url, std::span<const FormField> fields,
                              const Redacted<std::string>& auth_token) {
  const std::string text = std::string(url.substr(0, url.find('#'))) + SignedFields(fields);
  return ToBase64(AsView(HmacSha1(auth_token.Reveal(), text)));
}

Result<TwilioStatusCallback> ParseTwilioStatus(std::span<const FormField> fields) {
  FieldReader reader(fields);
  TwilioStatusCallback callback;
  callback.account_sid = reader.AccountSid();
  callback.message_sid =
      reader.Required("MessageSid", "SmsSid", schemas::kProviderMessageIdBytesMax);
  callback.provider_status =
      reader.Required("MessageStatus", "SmsStatus", schemas::kProviderStatusBytesMax);
  callback.status = StatusOfWord(callback.provider_status);
  if (callback.status == v1::RECEIPT_STATUS_UNSPECIFIED) {
    reader.Fail("MessageStatus", "not a status of a message that was sent");
  }
  const std::string_view code = reader.Word("ErrorCode", schemas::kProviderStatusBytesMax);
  if (!std::all_of(code.begin(), code.end(), IsDigit)) {
    reader.Fail("ErrorCode", "not a number");
  }
  callback.error_code = code == "0" ? "" : code;
  callback.to = Redacted<std::string>(reader.Address("To", &callback.channel));
  callback.messaging_service_sid =
      reader.Word("MessagingServiceSid", schemas::kProviderMessageIdBytesMax);
  // A messaging service may fail before it has chosen a number.
  if (callback.messaging_service_sid.empty() || !reader.Text("From", kTwilioUrlBytesMax).empty()) {
    v1::Channel from_channel = v1::CHANNEL_UNSPECIFIED;
    callback.from = reader.Address("From", &from_channel);
  }
  ALERTSTREAM_RETURN_IF_ERROR(reader.status());
  return callback;
}

Result<TwilioInbound> ParseTwilioInbound(std::span<const FormField> fields) {
  FieldReader reader(fields);
  TwilioInbound inbound;
  inbound.account_sid = reader.AccountSid();
  inbound.message_sid =
      reader.Required("MessageSid", "SmsSid", schemas::kProviderMessageIdBytesMax);
  inbound.from = Redacted<std::string>(reader.Address("From", &inbound.channel));
  v1::Channel to_channel = v1::CHANNEL_UNSPECIFIED;
  inbound.to = reader.Address("To", &to_channel);
  inbound.body =
      Redacted<std::string>(std::string(reader.Text("Body", schemas::kInboundBodyBytesMax)));
  inbound.messaging_service_sid =
      reader.Word("MessagingServiceSid", schemas::kProviderMessageIdBytesMax);
  const std::string_view opt_out = reader.Word("OptOutType", schemas::kProviderStatusBytesMax);
  if (schemas::EqualsIgnoringCase(opt_out, "STOP")) {
    inbound.opt_out = TwilioOptOut::kStop;
  } else if (schemas::EqualsIgnoringCase(opt_out, "START")) {
    inbound.opt_out = TwilioOptOut::kStart;
  } else if (schemas::EqualsIgnoringCase(opt_out, "HELP")) {
    inbound.opt_out = TwilioOptOut::kHelp;
  }  // What Twilio may add one day must not cost us a message that may be a STOP.
  ALERTSTREAM_RETURN_IF_ERROR(reader.status());
  return inbound;
}

}  // namespace alertstream::dispatch
