// The two keys of a deployment. The token key: 32 secret bytes under which every recipient token is
// made. All records of a log belong to one key; without it no person can be found in that log
// again. The master keys: 32 bytes each, under which identity's secrets are sealed; the first one
// is in force, the others still open what they sealed. Used by the program's start only.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "processor/base/redacted.h"
#include "processor/base/result.h"
#include "processor/base/sealing.h"

namespace alertstream::cli {

inline constexpr std::size_t kTokenKeyBytes = 32;

// 64 hexadecimal digits, or base64 (RFC 4648, either alphabet, padding optional) of 32 bytes.
// kInvalid never repeats the text.
Result<Redacted<std::string>> ParseTokenKey(std::string_view text);

// The key in <data_dir>/token.key. If there is none it is drawn, written with mode 0600 and synced
// before it is returned; `data_dir` is made if needed. kDenied: others than the owner may read it.
// kUnavailable: the file cannot be read or written.
Result<Redacted<std::string>> LoadOrCreateTokenKey(const std::string& data_dir);

// One to kMasterKeysMax keys, one a line, each as ParseTokenKey takes it. kInvalid.
Result<std::vector<Redacted<std::string>>> ParseMasterKeys(std::string_view text);

// The keys in <data_dir>/master.key; as LoadOrCreateTokenKey.
Result<std::vector<Redacted<std::string>>> LoadOrCreateMasterKeys(const std::string& data_dir);
bool HasMasterKeys(const std::string& data_dir);

}  // namespace alertstream::cli
