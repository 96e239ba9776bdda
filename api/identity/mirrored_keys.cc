#include "api/identity/mirrored_keys.h"

#include <algorithm>

namespace alertstream::api {
namespace {

bool Lives(const MirroredSecret& secret, LogTime now) {
  return !secret.expires_at || *secret.expires_at > now;
}

std::shared_ptr<const ApiKey> ViewOf(const MirroredKey& key, LogTime now) {
  auto view = std::make_shared<ApiKey>(key.base);
  for (const MirroredSecret& secret : key.secrets) {
    if (Lives(secret, now)) {
      view->signing_secrets.push_back(secret.key);
    }
  }
  return view;
}

bool Expires(const MirroredKey& key) {
  return key.expires_at ||
         std::any_of(key.secrets.begin(), key.secrets.end(),
                     [](const MirroredSecret& secret) { return secret.expires_at.has_value(); });
}

}  // namespace

std::shared_ptr<const ApiKey> ViewAt(const MirroredKey& key,
                                     const std::shared_ptr<const ApiKey>& view, LogTime now) {
  const auto live =
      std::count_if(key.secrets.begin(), key.secrets.end(),
                    [now](const MirroredSecret& secret) { return Lives(secret, now); });
  return static_cast<std::size_t>(live) == view->signing_secrets.size() ? view : ViewOf(key, now);
}

void MirroredKeys::Count(const MirroredKey& key, int by) {
  for (const std::string& origin : key.base.origins) {
    const auto found = origins_.try_emplace(origin, 0).first;
    found->second += by;
    if (found->second == 0) {
      origins_.erase(found);
    }
  }
}

void MirroredKeys::Put(const Digest& digest, std::shared_ptr<MirroredKey> key, LogTime now) {
  const Name name(key->base.tenant, key->base.id);
  std::int64_t used = 0;
  if (const auto before = digests_.find(name); before != digests_.end()) {
    used = keys_.at(before->second)->last_used_us;
    Remove(name);
  }
  if (key->expires_at && *key->expires_at <= now) {
    return;
  }
  key->last_used_us = used;
  key->view = ViewOf(*key, now);
  if (Expires(*key)) {
    expiring_.insert(name);
  }
  Count(*key, 1);
  digests_[name] = digest;
  keys_[digest] = std::move(key);
}

void MirroredKeys::Remove(const Name& name) {
  const auto found = digests_.find(name);
  if (found == digests_.end()) {
    return;
  }
  const auto key = keys_.find(found->second);
  Count(*key->second, -1);
  keys_.erase(key);
  digests_.erase(found);
  expiring_.erase(name);
}

void MirroredKeys::Expire(LogTime now) {
  const std::set<Name> names = expiring_;
  for (const Name& name : names) {
    MirroredKey& key = *keys_.at(digests_.at(name));
    if (key.expires_at && *key.expires_at <= now) {
      Remove(name);
      continue;
    }
    key.view = ViewAt(key, key.view, now);
  }
}

void MirroredKeys::InheritUses(const MirroredKeys& before) {
  for (const auto& [digest, key] : keys_) {
    const auto old = before.keys_.find(digest);
    if (old != before.keys_.end()) {
      key->last_used_us = old->second->last_used_us.load();
    }
  }
}

std::shared_ptr<const MirroredKey> MirroredKeys::Find(const Digest& digest) const {
  const auto found = keys_.find(digest);
  return found == keys_.end() ? nullptr : found->second;
}

bool MirroredKeys::OriginAllowed(std::string_view origin) const {
  return origins_.contains(origin) || origins_.contains("*");
}

}  // namespace alertstream::api
