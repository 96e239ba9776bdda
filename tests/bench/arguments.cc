#include "tests/bench/arguments.h"

#include <cstdlib>
#include <string_view>
#include <utility>

#include <fmt/core.h>

namespace alertstream::bench {

Arguments::Arguments(int argc, char** argv, std::string usage) : usage_(std::move(usage)) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (!argument.starts_with("--")) {
      Refuse(fmt::format("{} is no option", argument));
    }
    const std::size_t equals = argument.find('=');
    const std::string name(argument.substr(2, equals == argument.npos ? equals : equals - 2));
    std::string value;
    if (equals != argument.npos) {
      value = argument.substr(equals + 1);
    } else if (i + 1 < argc && !std::string_view(argv[i + 1]).starts_with("--")) {
      value = argv[++i];
    }
    given_[name] = value;
  }
}

std::string Arguments::Text(const std::string& name, const std::string& fallback) {
  const auto given = given_.extract(name);
  return given.empty() ? fallback : given.mapped();
}

double Arguments::Number(const std::string& name, double fallback, double min, double max) {
  const auto given = given_.extract(name);
  if (given.empty()) {
    return fallback;
  }
  char* end = nullptr;
  const double value = std::strtod(given.mapped().c_str(), &end);
  if (given.mapped().empty() || *end != '\0' || !(value >= min && value <= max)) {
    Refuse(fmt::format("--{}: expected a number from {} to {}", name, min, max));
  }
  return value;
}

bool Arguments::Flag(const std::string& name) {
  const auto given = given_.extract(name);
  if (!given.empty() && !given.mapped().empty()) {
    Refuse(fmt::format("--{} takes no value", name));
  }
  return !given.empty();
}

void Arguments::Done() const {
  if (!given_.empty()) {
    Refuse(fmt::format("--{} is not known", given_.begin()->first));
  }
}

void Arguments::Refuse(const std::string& what) const {
  fmt::print(stderr, "{}\nusage: {}\n", what, usage_);
  std::exit(2);
}

}  // namespace alertstream::bench
