// dev.json in the data directory of a running `alertstream dev`: where it is and how it is talked
// to, for the client commands and for scripts. Holds keys, so its mode is 0600. Written whole or
// not at all, removed by a clean end. Used by dev and by api_client.
#pragma once

#include <cstdint>
#include <string>

#include "processor/base/result.h"

namespace alertstream::cli {

struct DevFile {
  std::string api_url;
  std::string tenant_id;
  std::string site_id;
  std::string publishable_key;
  std::string secret_key;
  std::string signing_secret;
  std::string operator_key;
  std::string log;
  std::string provider_url;
  std::string postgres_url;
  // Of the demo user; empty while the database is not ready.
  std::string user_email;
  std::string user_password;  // "" while there is no database.
  std::int64_t pid = 0;
};

std::string DevFilePath(const std::string& data_dir);
// The file that a running dev holds a lock on (DevLock).
std::string DevLockPath(const std::string& data_dir);

// One line of JSON with the members of DevFile by name.
std::string DevFileJson(const DevFile& file);

Status WriteDevFile(const std::string& data_dir, const DevFile& file);
// Does nothing if there is none.
void RemoveDevFile(const std::string& data_dir);

// kNotFound: no dev runs on this directory, or it was killed. kInvalid: not such a file.
Result<DevFile> ReadDevFile(const std::string& data_dir);

// Replaces a file as a whole, mode 0600, and waits until it is on disk. Also for keys.toml.
Status WritePrivateFile(const std::string& path, const std::string& bytes);

}  // namespace alertstream::cli
