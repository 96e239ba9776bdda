// Identity: who calls, and whose number it is. A port: answered from a file of keys, and from a
// mirror in memory of the keys in Postgres. Used by every door of the API. Thread-safe; never
// blocks.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/auth/network.h"
#include "processor/base/crypto.h"
#include "processor/base/redacted.h"
#include "processor/base/time.h"

namespace alertstream::api {

enum class KeyKind : std::uint8_t {
  kPublishable,  // as_pk_…: public, in browsers; may ingest only, from its origins.
  kSecret,       // as_sk_…: a tenant's server; its requests are signed.
  kOperator,     // as_op_…: whoever runs the deployment; control, all tenants.
};

// What a key may do, within what its kind may: a publishable key never more than ingest.
struct KeyScopes {
  bool ingest = true;
  bool read = true;    // Look at the tenant's objects.
  bool manage = true;  // Change them: triggers, consents, websites, keys; send notifications.

  friend bool operator==(const KeyScopes&, const KeyScopes&) = default;
};

// What bounds a key, and every key that is made with it.
struct KeyRights {
  KeyScopes scopes = {};
  std::vector<Network> networks = {};      // Empty: from anywhere.
  std::optional<LogTime> expires_at = {};  // Nothing: never.
};

inline constexpr std::string_view kPublishablePrefix = "as_pk_";
inline constexpr std::string_view kSecretPrefix = "as_sk_";
inline constexpr std::string_view kOperatorPrefix = "as_op_";
inline constexpr std::size_t kApiKeyBytesMax = 128;

// Of a token bucket, one token an event.
struct EventRate {
  double per_second = 1000;
  std::uint32_t burst = 2000;  // The bucket's size.

  friend bool operator==(const EventRate&, const EventRate&) = default;
};

// Immutable once it is handed out.
struct ApiKey {
  std::string id;  // Names the key in logs and as the actor; no secret.
  KeyKind kind = KeyKind::kPublishable;
  std::string tenant;                         // Empty with kOperator.
  std::string site;                           // Of a key that belongs to one site; else empty.
  std::vector<HmacKey> signing_secrets = {};  // kSecret: at least one; two while they are rotated.
  std::vector<std::string> origins = {};      // kPublishable: "https://shop.example"; "*": any.
  bool allow_body_only = false;               // The tenant allows X-Signature without a time.
  std::optional<EventRate> own_rate;          // Narrows what RateOf its tenant leaves to it.
  std::vector<Network> networks = {};         // Not empty: only requests from these are the key's.
  KeyScopes scopes = {};
  std::optional<LogTime> expires_at = {};  // Nothing: never.
};

class Identity {
 public:
  virtual ~Identity() = default;
  // The key that was presented, whole; null: there is none. How long it takes says nothing about
  // the keys there are.
  virtual std::shared_ptr<const ApiKey> FindKey(std::string_view presented) const = 0;
  // What the tenant's secret keys may ingest together, and its publishable keys together as much
  // again; the deployment's default for a tenant that is not named.
  virtual EventRate RateOf(std::string_view tenant) const = 0;
  // False: the keys are not known well enough to say that there is none, so that who has a key that
  // is not found is told to come again (503).
  virtual bool Available() const { return true; }
  // Some publishable key allows this origin: for preflights, which carry no key.
  virtual bool OriginAllowed(std::string_view origin) const = 0;
  // Whose number (or sender id) of a provider account it is; nothing: not known.
  virtual std::optional<std::string> TenantOfNumber(std::string_view provider,
                                                    std::string_view account,
                                                    std::string_view number) const = 0;

  struct WebhookAccount {
    std::string account_sid;
    std::string public_url;  // Scheme and host under which the provider calls us.
    std::vector<Redacted<std::string>> auth_tokens;
  };
  // Null: no such account.
  virtual std::shared_ptr<const WebhookAccount> FindWebhookAccount(
      std::string_view provider, std::string_view account) const = 0;
  // False: accounts and numbers are not known well enough to say that there is none, so that a
  // webhook of one that is not found is answered 503, and comes again.
  virtual bool AccountsKnown() const { return true; }
};

}  // namespace alertstream::api
