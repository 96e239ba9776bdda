// A trigger as it was in one of its versions: what explains a decision.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "projections/read_model/page.h"

namespace alertstream::read_model {

struct TriggerVersion {
  std::string id;
  std::int64_t version = 0;
  bool is_current = false;
  std::string definition;  // JSON: the document of the rules file, addresses masked.
};

Result<std::optional<TriggerVersion>> FindTriggerVersion(sql::Session& session,
                                                         std::string_view tenant,
                                                         std::string_view id, std::int64_t version);

}  // namespace alertstream::read_model
