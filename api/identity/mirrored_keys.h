// MirroredKeys: API keys by their SHA-256, as rows of identity say, changed row by row. Not
// thread-safe but for MirroredKey::last_used_us. Used by the mirror (identity_mirror.h).
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/auth/identity.h"
#include "processor/base/crypto.h"
#include "processor/base/time.h"

namespace alertstream::api {

struct MirroredSecret {
  HmacKey key;
  std::optional<LogTime> expires_at;
};

struct MirroredKey {
  ApiKey base;  // Without secrets.
  std::vector<MirroredSecret> secrets;
  std::optional<LogTime> expires_at;
  std::shared_ptr<const ApiKey> view;                 // With the secrets that lived at last.
  mutable std::atomic<std::int64_t> last_used_us{0};  // Unix time; 0: not since it was loaded.
};

// The key with the secrets that live now: `view`, a view of it, unless one of them has ended since.
std::shared_ptr<const ApiKey> ViewAt(const MirroredKey& key,
                                     const std::shared_ptr<const ApiKey>& view, LogTime now);

class MirroredKeys {
 public:
  // (tenant, key id)
  using Name = std::pair<std::string, std::string>;

  void Put(const Digest& digest, std::shared_ptr<MirroredKey> key, LogTime now);
  void Remove(const Name& name);
  // Ends secrets and keys whose time has come.
  void Expire(LogTime now);
  // Takes over what the keys of `before` know about their use.
  void InheritUses(const MirroredKeys& before);

  std::shared_ptr<const MirroredKey> Find(const Digest& digest) const;
  bool OriginAllowed(std::string_view origin) const;
  std::size_t size() const { return keys_.size(); }
  const std::map<Digest, std::shared_ptr<MirroredKey>>& keys() const { return keys_; }

 private:
  void Count(const MirroredKey& key, int by);

  std::map<Digest, std::shared_ptr<MirroredKey>> keys_;
  std::map<Name, Digest> digests_;
  std::map<std::string, int, std::less<>> origins_;  // How many keys allow it.
  std::set<Name> expiring_;
};

}  // namespace alertstream::api
