// KeysFile: the ports Identity and ProviderAccounts, answered from a file of keys (keys_document.h
// says what it holds). Thread-safe; look-ups take a mutex for as long as a pointer is copied.
//
// The file and the secret files it names must be for their owner alone (mode 0600). A thread looks
// once a second whether one of them changed and takes the new content as a whole; one that is
// broken or empty changes nothing: the keys that were in force stay, and on_reload hears why, once.
// A file that is written in place is left alone until it was the same at two looks, and while it
// was read; one that took the place of the other (rename) is taken at once.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/auth/identity.h"
#include "ops/identity/keys_document.h"
#include "processor/base/result.h"
#include "processor/dispatch/accounts.h"

namespace alertstream::identity {

struct KeysFileOptions {
  std::string path;
  std::chrono::milliseconds look_every{1000};  // 0: never, only Reload.
  // What became of a changed file; called by the thread that looks. A fault is told when it is
  // another one than before. May be empty.
  std::function<void(const Status& status)> on_reload = {};
  AccountAdjuster adjust_account = {};  // May be empty.
};

class KeysFile : public api::Identity, public dispatch::ProviderAccounts {
 public:
  // kNotFound: there is no such file. kDenied: others may read it; the message has the command that
  // mends it. kInvalid: all that is wrong with it.
  static Result<std::unique_ptr<KeysFile>> Open(const KeysFileOptions& options);
  ~KeysFile() override;
  KeysFile(const KeysFile&) = delete;
  KeysFile& operator=(const KeysFile&) = delete;

  // Reads the file now. Errors as Open; the content in force stays.
  Status Reload();

  std::shared_ptr<const api::ApiKey> FindKey(std::string_view presented) const override;
  api::EventRate RateOf(std::string_view tenant) const override;
  bool OriginAllowed(std::string_view origin) const override;
  std::optional<std::string> TenantOfNumber(std::string_view provider, std::string_view account,
                                            std::string_view number) const override;
  std::shared_ptr<const WebhookAccount> FindWebhookAccount(std::string_view provider,
                                                           std::string_view account) const override;

  // Of whichever account of the provider.
  bool HasNumber(std::string_view provider, std::string_view number) const;

  std::shared_ptr<const dispatch::ProviderAccount> Find(std::string_view provider,
                                                        std::string_view name) const override;
  std::vector<std::shared_ptr<const dispatch::ProviderAccount>> All() const override;

 private:
  struct Impl;
  explicit KeysFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The bytes of a file that only its owner may read, at most `bytes_max`. kNotFound, kDenied (with
// the command that mends it), kInvalid (too long), kUnavailable.
Result<std::string> ReadPrivateFile(const std::string& path, std::size_t bytes_max);

}  // namespace alertstream::identity
