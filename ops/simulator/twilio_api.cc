#include "ops/simulator/twilio_api.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <optional>

#include <fmt/format.h>

#include "processor/base/base64.h"
#include "processor/base/crypto.h"
#include "processor/dispatch/providers/twilio_sms.h"
#include "processor/dispatch/providers/twilio_urls.h"
#include "processor/engine/templates/sms_length.h"
#include "schemas/json.h"
#include "schemas/text.h"

namespace alertstream::simulator {
namespace {

using dispatch::Form;
using dispatch::FormField;

constexpr std::string_view kApiVersion = "2010-04-01";
constexpr std::string_view kWhatsapp = "whatsapp:";

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool AllDigits(std::string_view text) { return std::all_of(text.begin(), text.end(), IsDigit); }

bool IsE164(std::string_view text) {
  constexpr std::size_t kDigitsMax = 15;
  return text.size() >= 2 && text.size() <= 1 + kDigitsMax && text[0] == '+' && text[1] != '0' &&
         AllDigits(text.substr(1));
}

bool IsShortCode(std::string_view text) {
  return text.size() >= 3 && text.size() <= 8 && AllDigits(text);
}

bool IsSenderId(std::string_view text) {
  constexpr std::size_t kSenderIdBytesMax = 11;
  return !text.empty() && text.size() <= kSenderIdBytesMax &&
         std::any_of(text.begin(), text.end(), IsLetter) &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return IsDigit(c) || IsLetter(c) || c == ' ' || c == '-' || c == '_' || c == '&' ||
                  c == '+';
         });
}

bool IsServiceSid(std::string_view text) {
  constexpr std::size_t kSidBytes = 34;
  return text.size() == kSidBytes && text.starts_with("MG") && !FromHex(text.substr(2)).empty();
}

std::string_view Find(const Form& form, std::string_view name) {
  const auto found = std::find_if(form.begin(), form.end(),
                                  [&](const FormField& field) { return field.name == name; });
  return found == form.end() ? std::string_view() : std::string_view(found->value);
}

std::size_t Characters(std::string_view utf8) {
  return static_cast<std::size_t>(std::count_if(utf8.begin(), utf8.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

std::string_view WithoutChannel(std::string_view address) {
  return address.starts_with(kWhatsapp) ? address.substr(kWhatsapp.size()) : address;
}

std::optional<ApiError> CheckTo(std::string_view to) {
  if (to.empty()) {
    return ApiError{400, 21604, "A 'To' phone number is required."};
  }
  const std::string_view number = WithoutChannel(to);
  if (!IsE164(number) || number == "+15005550001") {
    return ApiError{400, 21211, "Invalid 'To' Phone Number"};
  }
  return std::nullopt;
}

std::optional<ApiError> CheckFrom(std::string_view from, std::string_view service,
                                  std::string_view to) {
  if (from.empty() && service.empty()) {
    return ApiError{400, 21603, "A 'From' phone number is required."};
  }
  if (from.empty()) {
    return IsServiceSid(service)
               ? std::nullopt
               : std::optional(ApiError{404, 21701, "The Messaging Service does not exist"});
  }
  const std::string_view number = WithoutChannel(from);
  const bool known = IsE164(number) || IsShortCode(from) || IsSenderId(from);
  if (!known || number == "+15005550001") {
    return ApiError{400, 21212, "Invalid 'From' Phone Number"};
  }
  if (from == to) {
    return ApiError{400, 21266, "'To' and 'From' number cannot be the same"};
  }
  return std::nullopt;
}

std::optional<ApiError> CheckContent(std::string_view body, bool has_other_content) {
  if (body.empty() && !has_other_content) {
    return ApiError{400, 21602, "Message body is required."};
  }
  if (Characters(body) > dispatch::kTwilioBodyCharactersMax) {
    return ApiError{400, 21617, "The concatenated message body exceeds the 1600 character limit"};
  }
  return std::nullopt;
}

std::optional<ApiError> CheckCallback(std::string_view url) {
  const ApiError wrong{400, 21609, "The 'StatusCallback' URL is not a valid URL."};
  if (url.empty()) {
    return std::nullopt;
  }
  if (url.size() > kCallbackBytesMax) {
    return wrong;
  }
  const std::size_t scheme =
      schemas::StartsWithIgnoringCase(url, "https://")
          ? 8
          : (schemas::StartsWithIgnoringCase(url, "http://") ? 7 : std::string_view::npos);
  if (scheme == std::string_view::npos || !schemas::HasNoControls(url) ||
      url.find(' ') != std::string_view::npos) {
    return wrong;
  }
  const std::string_view host = url.substr(scheme, url.find_first_of("/?#", scheme) - scheme);
  if (host.empty() || host.find('_') != std::string_view::npos) {
    return wrong;
  }
  return std::nullopt;
}

std::optional<ApiError> CheckValidity(std::string_view seconds) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(seconds.data(), seconds.data() + seconds.size(), value);
  const bool readable = error == std::errc() && end == seconds.data() + seconds.size();
  if (seconds.empty() ||
      (readable && value >= 1 && value <= dispatch::kTwilioValidityMax.count())) {
    return std::nullopt;
  }
  return ApiError{400, 20001, "ValidityPeriod has to be between 1 and 36000 seconds"};
}

// JSON members in the order of the calls.
class Members {
 public:
  Members& Text(std::string_view name, std::string_view value) {
    Name(name);
    schemas::AppendJsonString(value, &out_);
    return *this;
  }
  Members& Raw(std::string_view name, std::string_view json) {
    Name(name);
    out_.append(json);
    return *this;
  }
  std::string End() {
    out_.append("}");
    return std::move(out_);
  }

 private:
  void Name(std::string_view name) {
    out_.append(out_.size() > 1 ? "," : "");
    schemas::AppendJsonString(name, &out_);
    out_.append(":");
  }
  std::string out_ = "{";
};

std::uint32_t SegmentsOf(std::string_view body) {
  const auto length = engine::MeasureSms(body);
  return length.ok() ? std::max(length.value().segments, 1U) : 1U;
}

}  // namespace

std::variant<Message, ApiError> ReadCreate(const Form& form) {
  Message message;
  const std::string_view service = Find(form, "MessagingServiceSid");
  message.to = Find(form, "To");
  message.from = Find(form, "From");
  message.body = Find(form, "Body");
  message.status_callback = Find(form, "StatusCallback");
  message.has_media = !Find(form, "MediaUrl").empty();
  const bool has_other_content = message.has_media || !Find(form, "ContentSid").empty();
  for (const auto& error :
       {CheckTo(message.to), CheckFrom(message.from, service, message.to),
        CheckContent(message.body, has_other_content), CheckCallback(message.status_callback),
        CheckValidity(Find(form, "ValidityPeriod"))}) {
    if (error) {
      return *error;
    }
  }
  if (WithoutChannel(message.to) == "+15005550004") {
    return kOptedOut;
  }
  message.by_service = message.from.empty();
  if (message.by_service) {
    message.from = service;
  }
  const auto key = dispatch::NotificationOfTwilioUrl(message.status_callback);
  message.key = key.ok() ? key.value() : std::string();
  return message;
}

BasicCredentials ReadBasic(std::string_view authorization) {
  constexpr std::string_view kBasic = "Basic ";
  if (!schemas::StartsWithIgnoringCase(authorization, kBasic)) {
    return {};
  }
  const auto decoded = FromBase64(authorization.substr(kBasic.size()));
  const std::size_t colon = decoded ? decoded->find(':') : std::string::npos;
  if (colon == std::string::npos) {
    return {};
  }
  return {.user = decoded->substr(0, colon),
          .password = Redacted<std::string>(decoded->substr(colon + 1))};
}

std::string ErrorJson(const ApiError& error) {
  return Members()
      .Raw("code", std::to_string(error.code))
      .Text("message", error.message)
      .Text("more_info", fmt::format("https://www.twilio.com/docs/errors/{}", error.code))
      .Raw("status", std::to_string(error.status))
      .End();
}

std::string MessageJson(const Message& message) {
  const std::string date = Rfc2822(message.received_at);
  const std::string uri =
      fmt::format("/{}/Accounts/{}/Messages/{}", kApiVersion, message.account_sid, message.sid);
  Members members;
  members.Text("sid", message.sid)
      .Text("account_sid", message.account_sid)
      .Text("api_version", kApiVersion)
      .Text("body", message.body)
      .Text("status", message.by_service ? "accepted" : "queued")
      .Text("direction", "outbound-api")
      .Text("to", message.to);
  if (message.by_service) {
    members.Raw("from", "null").Text("messaging_service_sid", message.from);
  } else {
    members.Text("from", message.from).Raw("messaging_service_sid", "null");
  }
  return members.Text("num_segments", std::to_string(SegmentsOf(message.body)))
      .Text("num_media", message.has_media ? "1" : "0")
      .Raw("price", "null")
      .Text("price_unit", "USD")
      .Raw("error_code", "null")
      .Raw("error_message", "null")
      .Text("date_created", date)
      .Raw("date_sent", "null")
      .Text("date_updated", date)
      .Text("uri", uri + ".json")
      .Raw("subresource_uris", Members().Text("media", uri + "/Media.json").End())
      .End();
}

Form StatusFields(const Message& message, std::string_view status) {
  Form form = {{"AccountSid", message.account_sid},
               {"MessageSid", message.sid},
               {"SmsSid", message.sid},
               {"MessageStatus", std::string(status)},
               {"SmsStatus", std::string(status)},
               {"From", message.by_service ? std::string(kServiceNumber) : message.from},
               {"To", message.to},
               {"ApiVersion", std::string(kApiVersion)}};
  if (message.by_service) {
    form.push_back({"MessagingServiceSid", message.from});
  }
  return form;
}

Form InboundFields(const InboundText& inbound) {
  Form form = {{"ToCountry", "US"},
               {"SmsMessageSid", inbound.message_sid},
               {"NumMedia", "0"},
               {"SmsSid", inbound.message_sid},
               {"SmsStatus", "received"},
               {"Body", inbound.body},
               {"FromCountry", "US"},
               {"To", inbound.to},
               {"NumSegments", std::to_string(SegmentsOf(inbound.body))},
               {"MessageSid", inbound.message_sid},
               {"AccountSid", inbound.account_sid},
               {"From", inbound.from},
               {"ApiVersion", std::string(kApiVersion)}};
  if (!inbound.opt_out_type.empty()) {
    form.push_back({"OptOutType", inbound.opt_out_type});
  }
  if (!inbound.messaging_service_sid.empty()) {
    form.push_back({"MessagingServiceSid", inbound.messaging_service_sid});
  }
  return form;
}

std::string MakeSid(std::string_view prefix) {
  constexpr std::size_t kRandomBytes = 16;
  return std::string(prefix) + ToHex(RandomBytes(kRandomBytes));
}

std::string Rfc2822(LogTime time) {
  constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed",
                                                     "Thu", "Fri", "Sat"};
  constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::chrono::sys_time<std::chrono::microseconds> system{time.time_since_epoch()};
  const auto day = std::chrono::floor<std::chrono::days>(system);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::seconds>(system - day));
  return fmt::format(
      "{}, {:02} {} {:04} {:02}:{:02}:{:02} +0000", kDays[std::chrono::weekday(day).c_encoding()],
      static_cast<unsigned>(date.day()), kMonths[static_cast<unsigned>(date.month()) - 1],
      static_cast<int>(date.year()), clock.hours().count(), clock.minutes().count(),
      clock.seconds().count());
}

}  // namespace alertstream::simulator
