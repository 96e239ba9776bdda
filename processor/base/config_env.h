// The process environment, read here and nowhere else, so that a test can give settings a map
// instead. Not thread-safe against setenv, which nothing in this program calls; used by ops/cli and
// by tests that need the address of a broker.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace alertstream {

// The variable `name`; nothing if it is not set. A variable set to "" is set.
std::optional<std::string> Environment(const std::string& name);

// Every variable whose name begins with `prefix`.
std::map<std::string, std::string> EnvironmentWithPrefix(std::string_view prefix);

}  // namespace alertstream
