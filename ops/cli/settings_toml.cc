#include "ops/cli/settings_toml.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <utility>

namespace alertstream::cli {
namespace {

void Flatten(const toml::table& table, const std::string& prefix, std::vector<TomlEntry>* out) {
  for (const auto& [name, node] : table) {
    const std::string key =
        prefix.empty() ? std::string(name.str()) : fmt::format("{}.{}", prefix, name.str());
    // Depth is bounded by the library (256 tables).
    if (const toml::table* inner = node.as_table()) {
      Flatten(*inner, key, out);
      continue;
    }
    TomlEntry entry{.key = key,
                    .kind = TomlKind::kOther,
                    .text = {},
                    .line = node.source().begin.line,
                    .column = node.source().begin.column};
    if (const auto* text = node.as_string()) {
      entry.kind = TomlKind::kString;
      entry.text = text->get();
    } else if (const auto* number = node.as_integer()) {
      entry.kind = TomlKind::kInteger;
      entry.text = std::to_string(number->get());
    } else if (const auto* flag = node.as_boolean()) {
      entry.kind = TomlKind::kBool;
      entry.text = flag->get() ? "true" : "false";
    }
    out->push_back(std::move(entry));
  }
}

}  // namespace

Result<std::vector<TomlEntry>> ParseToml(std::string_view text, std::string_view file_name) {
  try {
    const toml::table table = toml::parse(text, file_name);
    std::vector<TomlEntry> entries;
    Flatten(table, "", &entries);
    return entries;
  } catch (const toml::parse_error& error) {
    const auto& where = error.source().begin;
    // The library's description may quote what it met, and a file may hold what it should not.
    return Error(ErrorCode::kInvalid,
                 fmt::format("{}:{}:{}: not valid TOML here", file_name, where.line, where.column));
  } catch (const std::exception&) {
    return Error(ErrorCode::kInvalid, fmt::format("{}: cannot be read as TOML", file_name));
  }
}

}  // namespace alertstream::cli
