// KeyStore: tenants' API keys in the tables of identity. A key is shown once, when it is made; only
// its SHA-256 is kept. Thread-safe; blocks. Used by the routes of keys and by the command line; the
// mirror (identity_mirror.h) is what answers for them.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/auth/identity.h"
#include "processor/base/clock.h"
#include "processor/base/redacted.h"
#include "processor/base/result.h"
#include "processor/base/sealing.h"
#include "processor/base/time.h"
#include "projections/sql/database.h"

namespace alertstream::api {

inline constexpr std::size_t kKeysOfTenantMax = 1'000;  // With those that were revoked.
// With those that rotation made: as many as a list of them may show.
inline constexpr std::size_t kKeysEverOfTenantMax = 10'000;
inline constexpr std::size_t kKeyNameBytesMax = 128;
// An old key or secret lives on for as long as it takes to change it everywhere.
inline constexpr std::chrono::hours kRotationOverlapDefault{24};
inline constexpr std::chrono::hours kRotationOverlapMax{30 * 24};

struct KeyAsk {
  KeyKind kind = KeyKind::kSecret;  // kOperator is not a tenant's.
  std::string site;                 // "": of all sites.
  std::string name;
  bool is_test = false;  // "as_sk_test_…": for people, the system makes no difference.
  std::vector<std::string> origins = {};
  std::vector<Network> networks = {};
  std::optional<EventRate> own_rate = {};
  std::optional<LogTime> expires_at = {};
  std::vector<std::string> scopes = {};  // Of kScopeNames; empty: all that its kind may.
};

struct KeySummary {
  std::string id;
  KeyKind kind = KeyKind::kSecret;
  std::string site;
  std::string name;
  std::string hint;  // The last four characters.
  std::vector<std::string> origins;
  std::vector<std::string> networks;
  std::optional<EventRate> own_rate;
  LogTime created_at;
  std::string created_by;
  std::optional<LogTime> last_used_at;  // To the minute.
  std::optional<LogTime> expires_at;
  std::optional<LogTime> revoked_at;
  std::string replaced_by;
  std::int64_t live_secrets = 0;
  KeyScopes scopes;
};

// What is shown once.
struct NewKey {
  std::string id;
  Redacted<std::string> key;             // Empty if only the secret is new.
  Redacted<std::string> signing_secret;  // Of secret keys.
};

enum class Rotated : std::uint8_t {
  kKey,            // A new key with the same rights; the old one ends after the overlap.
  kSigningSecret,  // A new secret of the same key; at most two are live.
};

class KeyStore {
 public:
  // `pool` is of the role alertstream_identity; all outlive this.
  KeyStore(sql::Pool& pool, const Sealer& sealer, const Clock& clock)
      : pool_(pool), sealer_(sealer), clock_(clock) {}

  // `bounds`, not null: of the key that asks. kDenied: the new one would have more.
  // kExhausted: kKeysOfTenantMax.
  Result<NewKey> Create(const std::string& tenant, const KeyAsk& ask, const std::string& actor,
                        const KeyRights* bounds = nullptr);
  // Newest first; `site` not empty: of that site only, without those of all sites.
  Result<std::vector<KeySummary>> List(const std::string& tenant, const std::string& site);
  // kNotFound: the tenant (or that site) has no such live key. kConflict: it was rotated already,
  // or the key that it replaced still lives (two of a chain live at most); kExhausted:
  // kKeysOfTenantMax live ones, or kKeysEverOfTenantMax; kInvalid: a publishable key has no signing
  // secret; kDenied: it has more than `bounds`.
  Result<NewKey> Rotate(const std::string& tenant, const std::string& site, const std::string& key,
                        Rotated what, std::chrono::seconds overlap, const std::string& actor,
                        const KeyRights* bounds = nullptr);
  // kNotFound. Ok for one that was revoked before.
  Status Revoke(const std::string& tenant, const std::string& site, const std::string& key,
                const std::string& actor);
  // Of a site that is no more.
  Status RevokeAll(const std::string& tenant, const std::string& site, const std::string& actor);

 private:
  sql::Pool& pool_;
  const Sealer& sealer_;
  const Clock& clock_;
};

// What a signing secret is sealed for.
std::string SigningSecretContext(std::string_view tenant, std::string_view key_id);

// Stored; a name's meaning never changes.
inline constexpr std::array<std::string_view, 3> kScopeNames = {"ingest", "read", "manage"};
// `names` empty: all that the kind may. Other names are passed over.
KeyScopes ScopesOf(const std::vector<std::string>& names, KeyKind kind);
// Whether a key of `rights` may nothing that one of `bounds` may not.
bool IsWithin(const KeyRights& rights, const KeyRights& bounds);
// The names of those that are set, in the order of kScopeNames.
std::vector<std::string> ScopeNames(const KeyScopes& scopes);

// The elements of a text[] that was joined by spaces.
std::vector<std::string> SplitWords(std::string_view words);
// The elements of a text[] that was joined by line feeds.
std::vector<std::string> SplitLines(std::string_view lines);

}  // namespace alertstream::api
