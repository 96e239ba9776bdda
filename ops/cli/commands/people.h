// `consent grant|revoke|show` and `optout add|remove|list`: what one person allowed or forbade.
// Library functions over the ports of a session. The person is named by the caller, and printed
// masked.
#pragma once

#include <cstdint>
#include <string>

#include "ops/cli/commands/replay.h"
#include "ops/cli/commands/session.h"
#include "schemas/envelope.pb.h"

namespace alertstream::cli {

struct ConsentOptions {
  std::string address;
  v1::ConsentStatus status = v1::CONSENT_STATUS_GRANTED;
  v1::Channel channel = v1::CHANNEL_ALL;
  v1::MessageClass message_class = v1::MESSAGE_CLASS_INFORMATIONAL;
  std::string source = "operator";
  std::string evidence;  // web_form, paper, ...; "": none. Evidence later than a STOP lifts it.
  bool written = false;  // Express written consent: what marketing needs.
};

struct OptOutOptions {
  std::string address;
  v1::OptOutStatus status = v1::OPT_OUT_STATUS_ACTIVE;
  v1::Channel channel = v1::CHANNEL_ALL;
  std::string reason;
};

// kInvalid: no tenant, or the address is none. kConflict (exit code): the change was rejected; the
// reason is printed.
Result<ExitCode> ChangeConsent(const Session& session, const ConsentOptions& options);
Result<ExitCode> ChangeOptOut(const Session& session, const OptOutOptions& options);

// The person's consents and opt-outs, as the facts of the log tell them.
// With `past`: from the state as it was, which is what the gates saw.
Result<ExitCode> ShowConsent(const Session& session, const std::string& address,
                             const PastOptions& past = {});
// Everybody who is opted out, as tokens: the log's facts name nobody.
Result<ExitCode> ListOptOuts(const Session& session, std::size_t rows_max);

}  // namespace alertstream::cli
