// Twilio's side of handing over a message: what a request to Messages.json asks for, what is wrong
// with it, and the JSON that Twilio answers. API version 2010-04-01. Pure; used by the provider
// simulator (provider_simulator.h).
//
// Numbers that Twilio itself keeps for tests mean the same here: to +15005550001 is no number
// (21211), to +15005550004 has opted out (21610), from +15005550001 is no sender (21212).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "processor/base/redacted.h"
#include "processor/base/time.h"
#include "processor/dispatch/providers/form.h"

namespace alertstream::simulator {

// The sender of a messaging service, which has no number of its own here.
inline constexpr std::string_view kServiceNumber = "+15005550006";

// A longer StatusCallback is refused (21609): it is kept with each message.
inline constexpr std::size_t kCallbackBytesMax = 4096;

// A message that was accepted. Nothing of it may reach a log.
struct Message {
  std::string key;  // The notification's id in the StatusCallback URL; empty if there is none.
  std::string sid;
  std::string account_sid;
  std::string to;
  std::string from;  // As asked for: a number, a sender id, or a messaging service.
  std::string body;
  std::string status_callback;  // Empty: nobody wants to know.
  bool by_service = false;      // `from` is a messaging service.
  bool has_media = false;
  std::uint32_t attempt = 0;  // How often this key was accepted so far, this time included.
  LogTime received_at;
};

struct ApiError {
  int status = 400;
  int code = 0;
  std::string_view message;

  friend bool operator==(const ApiError&, const ApiError&) = default;
};

inline constexpr ApiError kAuthenticate{401, 20003, "Authenticate"};
inline constexpr ApiError kNotFound{404, 20404, "The requested resource was not found"};
inline constexpr ApiError kTooManyRequests{429, 20429, "Too Many Requests"};
inline constexpr ApiError kServerError{500, 20500, "Internal Server Error"};
inline constexpr ApiError kOptedOut{400, 21610, "Attempt to send to unsubscribed recipient"};

// The message that the form asks for (sid, account, attempt and time are the caller's to fill in),
// or the first thing Twilio would refuse.
std::variant<Message, ApiError> ReadCreate(const dispatch::Form& form);

// User and password of a Basic authorization; empty if it is none.
struct BasicCredentials {
  std::string user;
  Redacted<std::string> password;
};
BasicCredentials ReadBasic(std::string_view authorization);

std::string ErrorJson(const ApiError& error);
std::string MessageJson(const Message& message);

// The fields of the callback that says `status` ("sent", "delivered").
dispatch::Form StatusFields(const Message& message, std::string_view status);

struct InboundText {
  std::string account_sid;
  std::string message_sid;
  std::string from;
  std::string to;
  std::string body;
  std::string opt_out_type;           // STOP, START, HELP or empty.
  std::string messaging_service_sid;  // Empty: none.
};
dispatch::Form InboundFields(const InboundText& inbound);

// `prefix` and 32 random hexadecimal digits.
std::string MakeSid(std::string_view prefix);

// "Sun, 22 Nov 2026 09:05:03 +0000".
std::string Rfc2822(LogTime time);

}  // namespace alertstream::simulator
