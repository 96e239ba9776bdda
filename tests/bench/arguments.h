// Arguments: `--name=value`, `--name value` and `--name` of a benchmark's command line. A benchmark
// asks for each of its own and then for Done; whatever was not asked for ends the program with the
// usage.
#pragma once

#include <map>
#include <string>

namespace alertstream::bench {

class Arguments {
 public:
  Arguments(int argc, char** argv, std::string usage);

  std::string Text(const std::string& name, const std::string& fallback);
  // Ends the program unless the value is a number from `min` to `max`.
  double Number(const std::string& name, double fallback, double min, double max);
  bool Flag(const std::string& name);
  void Done() const;

 private:
  [[noreturn]] void Refuse(const std::string& what) const;

  std::map<std::string, std::string> given_;  // Not asked for yet.
  std::string usage_;
};

}  // namespace alertstream::bench
