// `fire` and `inbound`: an event as a customer's server would send it, and a message as a person
// would. Library functions over an API client; used by the command line.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ops/cli/api_client.h"
#include "ops/cli/commands/session.h"

namespace alertstream::cli {

inline constexpr std::uint32_t kFireCountMax = 100'000;
inline constexpr std::chrono::seconds kFireWaitMax{10};  // What the API allows.
inline constexpr std::size_t kFireDepthMax = 16;         // Of a path; JSON of events has 32 levels.

struct FireOptions {
  std::string event_type;
  std::string to;                 // Becomes data.phone; "": nobody.
  std::vector<std::string> sets;  // "customer.name=Ann": members of data.
  std::string id;                 // Of the event; with `count` above 1 followed by -1, -2, ...
  std::string site;
  std::optional<std::chrono::seconds> wait;  // For the decisions; at most kFireWaitMax.
  std::uint32_t count = 1;
};

// The event's data as JSON. A value that is JSON itself (1500, true, null, "017", [1]) is taken as
// such, anything else as text. kInvalid names the set that makes no sense.
Result<std::string> EventData(const FireOptions& options);

// Sends the events, signed, one after the other. Errors as ApiClient::Send.
Result<ExitCode> Fire(ApiClient& api, const Streams& io, const FireOptions& options);

struct InboundOptions {
  std::string from;
  std::string to;  // Our number.
  std::string text;
};

// Lets the provider simulator deliver the message to our webhook. kNotFound: the target has none.
Result<ExitCode> SendInbound(ApiClient& api, const Streams& io, const InboundOptions& options);

}  // namespace alertstream::cli
