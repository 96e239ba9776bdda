// Entities: what account changes define, as facts name them. Pure. Used to tell a change that
// changed nothing, and by `alertstream triggers`.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include "schemas/output.pb.h"

namespace alertstream::api {

struct EntityName {
  std::string tenant;
  std::string_view kind;  // tenant, site, plan, sender or trigger.
  std::string id;

  friend bool operator<(const EntityName& a, const EntityName& b) {
    return std::tie(a.tenant, a.kind, a.id) < std::tie(b.tenant, b.kind, b.id);
  }
};

// Nothing for facts about people, messages and the engine.
std::optional<EntityName> EntityOf(const v1::Fact& fact);

}  // namespace alertstream::api
