// Triggers: what is in force, and every version that was.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "projections/read_model/page.h"

namespace alertstream::read_model {

struct Trigger {
  std::string id;
  std::int64_t version = 0;
  bool is_current = false;
  bool enabled = false;
  bool deleted = false;
  std::string definition;  // JSON: the document of the rules file, addresses masked.
  std::optional<std::string> recipients_sealed;  // A TriggerRecipients message, of a fixed list.
  std::string actor;
  LogTime at{};
};

// The version in force, deleted ones too.
Result<std::optional<Trigger>> FindTrigger(sql::Session& session, std::string_view tenant,
                                           std::string_view id);

// Those in force, without deleted ones; the key's id is the trigger's.
Result<Page<Trigger>> ListTriggers(sql::Session& session, std::string_view tenant,
                                   const PageRequest& request);

// The key of a version in the list of its trigger's versions.
std::string VersionKey(std::int64_t version);
// All versions of one trigger, the one that deleted it too.
Result<Page<Trigger>> ListTriggerVersions(sql::Session& session, std::string_view tenant,
                                          std::string_view id, const PageRequest& request);

extern const ListShape kTriggerList;
extern const ListShape kTriggerVersionList;

}  // namespace alertstream::read_model
