// JSON as a rule tree, and the way back from a field of the tree to a JSON pointer. Pure. Used by
// whoever reads rule documents out of a request's body.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/control/rule_tree.h"
#include "schemas/json.h"

namespace alertstream::api {

// Adds `value` with all that is in it; a text is a quoted scalar. The node's index.
std::uint32_t AddJson(schemas::JsonValue value, RuleTree* tree);

// "recipients.list[2]" below `base` is "/recipients/list/2", escaped as a part of a URI's fragment;
// "" is "". Members may have names with a dot or a bracket: what is there wins.
std::string FieldPointer(std::optional<schemas::JsonValue> base, std::string_view field);

}  // namespace alertstream::api
