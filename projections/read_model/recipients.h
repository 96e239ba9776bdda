// People as a tenant has met them, and their permissions: consents and opt-outs with their history.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "projections/read_model/page.h"

namespace alertstream::read_model {

struct Recipient {
  std::string id;    // rcp_…
  std::string kind;  // phone, email, push_token.
  std::optional<std::string> address_masked;
  std::optional<std::string> address_sealed;  // A Personal message.
  LogTime first_seen_at{};
  LogTime last_seen_at{};
};

struct Consent {
  std::string id;  // con_…
  std::string recipient;
  std::string channel;
  std::string message_class;
  std::string status;  // granted, revoked.
  std::string source;
  bool written = false;
  std::optional<std::string> evidence;       // JSON without personal data.
  std::optional<std::string> detail_sealed;  // A Personal message.
  std::string actor;
  LogTime at{};           // When the person acted.
  LogTime recorded_at{};  // When it was decided.
  std::string result;     // accepted, rejected.
  std::optional<std::string> reject_reason;
  std::int64_t version = 0;
};

struct OptOut {
  std::string channel;
  std::string status;  // active, removed.
  std::string by;
  std::string reason;
  std::string actor;
  LogTime at{};
  std::int64_t version = 0;
};

Result<std::optional<Recipient>> FindRecipient(sql::Session& session, std::string_view tenant,
                                               std::string_view id);

// History of one person.
Result<Page<Consent>> ListConsents(sql::Session& session, std::string_view tenant,
                                   std::string_view recipient, const PageRequest& request);
Result<std::optional<PageKey>> FindConsentKey(sql::Session& session, std::string_view tenant,
                                              std::string_view id);

// What is in force: the newest accepted one of each channel and class.
Result<std::vector<Consent>> ListConsentsInForce(sql::Session& session, std::string_view tenant,
                                                 std::string_view recipient);
// The newest accepted one of each channel.
Result<std::vector<OptOut>> ListOptOutsInForce(sql::Session& session, std::string_view tenant,
                                               std::string_view recipient);

extern const ListShape kConsentList;

}  // namespace alertstream::read_model
