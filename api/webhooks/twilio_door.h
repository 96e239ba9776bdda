// TwilioDoor: what Twilio calls us with, checked and appended. The order of work: size, account,
// signature over the raw bytes, fields, append, answer; nothing is believed before the signature.
// Thread-safe; never blocks: a request is parked while it waits for the log. Made by
// AddWebhookRoutes (webhook_routes.h).
//
// Answers: 204 to a status callback and 200 with empty TwiML to a message, both only once the log
// has acknowledged it; 400 no signature, or fields that make no sense; 403 a signature that does
// not fit, or another account's fields; 404 no such account; 413; 503 the log is not available, or
// accounts and numbers are not known now, and Twilio calls again.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/auth/identity.h"
#include "api/http/message.h"
#include "api/http/responder.h"
#include "api/log/log_writer.h"
#include "api/webhooks/recent_webhooks.h"
#include "api/webhooks/webhook_routes.h"
#include "processor/base/metrics.h"
#include "processor/dispatch/providers/form.h"

namespace alertstream::api {

class TwilioDoor : public std::enable_shared_from_this<TwilioDoor> {
 public:
  enum class Kind : std::uint8_t { kStatus, kInbound };

  // REQUIRES: deps.partitions > 0.
  explicit TwilioDoor(const WebhookDeps& deps);

  // `account` is our name of it.
  // REQUIRES: owned by a shared_ptr: an append that is under way owns it as well.
  void Handle(Kind kind, std::string_view account, const http::Request& request,
              http::Responder responder);

 private:
  // What came of a request; the order of kVerdicts in the .cc.
  enum class Verdict : std::uint8_t {
    kAccepted,
    kUnrouted,
    kRepeated,
    kMissingSignature,
    kWrongSignature,
    kUnknownAccount,
    kWrongAccount,
    kMalformed,
    kTooLarge,
    kUnavailable,
    kLogUnavailable,
  };
  struct Answer {
    Verdict verdict;
    std::string detail = {};
  };
  struct Taken {
    std::string key;  // What makes it the same webhook if it comes again.
    std::vector<RecordToAppend> records;
    bool unrouted = false;
  };
  struct Reading;

  // Taken, or why not.
  Reading Read(Kind kind, std::string_view account, const http::Request& request) const;
  Reading ReadStatus(std::string_view account, const http::Request& request,
                     const Identity::WebhookAccount& known, const dispatch::Form& fields) const;
  Reading ReadInbound(std::string_view account, const Identity::WebhookAccount& known,
                      const dispatch::Form& fields) const;
  std::optional<std::string> TenantOf(std::string_view account, const std::string& number,
                                      const std::string& service_sid) const;
  void Append(Kind kind, Taken taken, http::Responder responder);
  void End(Kind kind, const std::string& key, Verdict verdict, http::Responder responder);
  void Send(Kind kind, const Answer& answer, http::Responder* responder);

  WebhookDeps deps_;
  std::vector<Counter*> results_;  // By Verdict.
  RecentWebhooks recent_;
};

}  // namespace alertstream::api
