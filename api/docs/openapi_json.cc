// openapi_json FROM.yaml TO.json: turns the description of the API into the JSON that the program
// serves. Runs in the build, on a file of ours. Refuses what JSON has no room for and what YAML
// reads in silence: a member that occurs twice, a key that is no text.
#include <yaml-cpp/yaml.h>

#include <cstdio>
#include <exception>
#include <fstream>
#include <regex>
#include <set>
#include <string>

#include "schemas/json.h"

namespace alertstream::api {
namespace {

// Deeper than the document will ever be, so that a loop of aliases ends.
constexpr int kDepthMax = 64;

struct Converter {
  bool Fail(const YAML::Node& at, const std::string& what) {
    problem = std::to_string(at.Mark().line + 1) + ":" + std::to_string(at.Mark().column + 1) +
              ": " + what;
    return false;
  }

  bool Scalar(const YAML::Node& node) {
    static const std::regex number("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][-+]?[0-9]+)?");
    const std::string& text = node.Scalar();
    const bool plain = node.Tag() == "?";
    if (plain && (text == "true" || text == "false" || std::regex_match(text, number))) {
      out += text;
    } else {
      schemas::AppendJsonString(text, &out);
    }
    return true;
  }

  bool Map(const YAML::Node& node, int depth) {
    std::set<std::string> names;
    out += "{";
    for (const auto& member : node) {
      if (!member.first.IsScalar()) {
        return Fail(member.first, "expected a name");
      }
      if (!names.insert(member.first.Scalar()).second) {
        return Fail(member.first, "'" + member.first.Scalar() + "' stands here twice");
      }
      out += names.size() > 1 ? "," : "";
      schemas::AppendJsonString(member.first.Scalar(), &out);
      out += ":";
      if (!Value(member.second, depth)) {
        return false;
      }
    }
    out += "}";
    return true;
  }

  bool Value(const YAML::Node& node, int depth) {
    if (depth >= kDepthMax) {
      return Fail(node, "nested too deeply");
    }
    if (node.IsScalar()) {
      return Scalar(node);
    }
    if (node.IsMap()) {
      return Map(node, depth + 1);
    }
    if (!node.IsSequence()) {
      out += "null";
      return true;
    }
    bool first = true;
    out += "[";
    for (const auto& element : node) {
      out += first ? "" : ",";
      first = false;
      if (!Value(element, depth + 1)) {
        return false;
      }
    }
    out += "]";
    return true;
  }

  std::string out;
  std::string problem;
};

int Run(const char* from, const char* to) {
  Converter converter;
  try {
    if (!converter.Value(YAML::LoadFile(from), 0)) {
      std::fprintf(stderr, "%s:%s\n", from, converter.problem.c_str());
      return 1;
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", from, error.what());
    return 1;
  }
  std::ofstream file(to, std::ios::binary | std::ios::trunc);
  file << converter.out;
  file.close();
  return file ? 0 : 1;
}

}  // namespace
}  // namespace alertstream::api

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: openapi_json FROM.yaml TO.json\n");
    return 2;
  }
  return alertstream::api::Run(argv[1], argv[2]);
}
