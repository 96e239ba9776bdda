#include "processor/base/config_env.h"

#include <unistd.h>

#include <cstdlib>

namespace alertstream {

std::optional<std::string> Environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe): see the header.
  if (value == nullptr) {
    return std::nullopt;
  }
  return std::string(value);
}

std::map<std::string, std::string> EnvironmentWithPrefix(std::string_view prefix) {
  std::map<std::string, std::string> found;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view line = *entry;
    const std::size_t equals = line.find('=');
    if (equals != std::string_view::npos && line.starts_with(prefix)) {
      found.emplace(line.substr(0, equals), line.substr(equals + 1));
    }
  }
  return found;
}

}  // namespace alertstream
