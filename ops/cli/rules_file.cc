#include "ops/cli/rules_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <system_error>
#include <tuple>
#include <utility>

#include "api/control/rule_document.h"
#include "api/control/rule_fields.h"
#include "ops/cli/rules_yaml.h"
#include "schemas/envelope_check.h"
#include "schemas/limits.h"
#include "schemas/text.h"
#include "schemas/topics.h"

namespace alertstream::cli {
namespace {

using api::ProblemList;
using api::RuleItem;
using api::RuleKind;

// Line and column of the first U+0000, or line of the first byte that is no UTF-8.
std::optional<std::pair<int, int>> FirstBadByte(std::string_view text) {
  int number = 1;
  for (std::size_t start = 0; start <= text.size(); ++number) {
    const std::string_view line = text.substr(start, text.find('\n', start) - start);
    const std::size_t nul = line.find('\0');
    if (nul != std::string_view::npos || !schemas::IsUtf8(line)) {
      return std::pair(number, nul != std::string_view::npos ? static_cast<int>(nul) + 1 : 1);
    }
    start += line.size() + 1;
  }
  return std::nullopt;
}

// The four digits of a \uXXXX escape at `at`; -1 if there is none.
int EscapedUnit(std::string_view text, std::size_t at) {
  if (text.substr(at, 2) != "\\u" || text.size() < at + 6) {
    return -1;
  }
  int unit = 0;
  for (std::size_t i = at + 2; i < at + 6; ++i) {
    const char c = text[i];
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) {
      return -1;
    }
    unit = unit * 16 + digit;
  }
  return unit;
}

// JSON writes characters beyond the basic plane as two escapes, which YAML does not know: they
// become the character itself.
std::string JoinSurrogates(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const int high = EscapedUnit(text, i);
    const int low = high >= 0xD800 && high < 0xDC00 ? EscapedUnit(text, i + 6) : -1;
    if (low >= 0xDC00 && low < 0xE000) {
      const auto code = static_cast<unsigned>(0x10000 + (high - 0xD800) * 0x400 + (low - 0xDC00));
      out.push_back(static_cast<char>(0xF0U | (code >> 18U)));
      out.push_back(static_cast<char>(0x80U | ((code >> 12U) & 0x3FU)));
      out.push_back(static_cast<char>(0x80U | ((code >> 6U) & 0x3FU)));
      out.push_back(static_cast<char>(0x80U | (code & 0x3FU)));
      i += 12;
      continue;
    }
    const std::size_t taken =
        text[i] == '\\' && i + 1 < text.size() ? 2 : 1;  // "\\u" is no escape.
    out.append(text.substr(i, taken));
    i += taken;
  }
  return out;
}

void ReadSource(const RuleSource& source, std::vector<RuleProblem>* out,
                std::vector<RuleItem>* items, std::size_t* documents_left) {
  ProblemList problems(source.file, out);
  if (source.text.size() > kRuleFileBytesMax) {
    problems.Add(0, 0, "", fmt::format("larger than {} bytes", kRuleFileBytesMax));
    return;
  }
  if (const auto place = FirstBadByte(source.text)) {
    problems.Add(place->first, place->second, "", "expected UTF-8 text without U+0000");
    return;
  }
  std::vector<RuleTree> documents;
  YamlProblem problem;
  const bool json = source.file.ends_with(".json");
  if (!ParseYaml(json ? JoinSurrogates(source.text) : source.text, *documents_left, &documents,
                 &problem)) {
    problems.Add(problem.line, problem.column, "", problem.message);
    return;
  }
  for (const RuleTree& document : documents) {
    const RuleNode& root = document.nodes[document.root];
    if (root.kind != RuleNodeKind::kSequence) {
      ReadRuleDocument(document, document.root, &problems, items);
      continue;
    }
    if (root.children.size() > *documents_left) {
      problems.Add(root, "", fmt::format("more than {} documents", kRuleDocumentsMax));
      return;
    }
    for (const std::uint32_t element : root.children) {
      ReadRuleDocument(document, element, &problems, items);
    }
  }
  *documents_left = kRuleDocumentsMax - std::min(kRuleDocumentsMax, items->size());
}

// Turns items into changes: whose they are, each once, and valid as records.
class SetBuilder {
 public:
  SetBuilder(std::string_view default_tenant, std::vector<RuleProblem>* problems)
      : default_tenant_(default_tenant), problems_(problems) {}

  RuleSet Build(std::vector<RuleItem> items) {
    std::stable_sort(items.begin(), items.end(),
                     [](const RuleItem& a, const RuleItem& b) { return a.kind < b.kind; });
    for (const RuleItem& item : items) {
      if (item.kind == RuleKind::kTenant && !item.id.empty()) {
        tenants_.insert(item.id);
        by_plan_[item.change.tenant().plan()].insert(item.id);
      }
    }
    for (const RuleItem& item : items) {
      for (const std::string& tenant : OwnersOf(item)) {
        Add(item, tenant);
      }
    }
    return std::move(set_);
  }

 private:
  void Problem(const RuleItem& item, std::string field, std::string message) {
    ProblemList(item.file, problems_)
        .Add(item.line, item.column, std::move(field), std::move(message));
  }

  std::set<std::string> OwnersOf(const RuleItem& item) {
    if (item.id.empty()) {
      return {};  // Reported already.
    }
    if (item.kind == RuleKind::kTenant) {
      return {item.id};
    }
    if (!item.tenant.empty()) {
      return {item.tenant};
    }
    const auto named = by_plan_.find(item.id);
    if (item.kind == RuleKind::kPlan && named != by_plan_.end()) {
      return named->second;
    }
    if (!default_tenant_.empty()) {
      return {std::string(default_tenant_)};
    }
    if (tenants_.size() == 1) {
      return tenants_;
    }
    Problem(item, "tenant",
            tenants_.empty() ? "missing: the set defines no tenant, and none was given by --tenant"
                             : "missing: the set defines several tenants");
    return {};
  }

  void Add(const RuleItem& item, const std::string& tenant) {
    const auto [place, is_new] = seen_.emplace(std::tuple(tenant, item.kind, item.id), &item);
    if (!is_new) {
      Problem(item, "id",
              fmt::format("{} '{}' of tenant '{}' is defined before, at {}:{}", WordOf(item.kind),
                          item.id, tenant, place->second->file, place->second->line));
      return;
    }
    RuleChange change{.tenant = tenant,
                      .envelope = {},
                      .file = item.file,
                      .line = item.line,
                      .kind = std::string(WordOf(item.kind)),
                      .id = item.id};
    v1::Envelope& envelope = change.envelope;
    envelope.set_tenant(tenant);
    envelope.set_routing_key(tenant);
    envelope.set_type("account." + change.kind);
    envelope.set_schema_version(schemas::kSchemaVersionMax);
    envelope.set_source("rules");
    envelope.set_trust(v1::TRUST_SYSTEM);
    *envelope.mutable_account_change() = item.change;
    // The fold's own check, for whatever is not checked field by field above.
    if (problems_->empty()) {
      const auto fault = schemas::CheckEnvelope(schemas::Topic::kAccountChanges, tenant, envelope);
      if (fault) {
        Problem(item, "", fault->detail);
      }
    }
    set_.changes.push_back(std::move(change));
  }

  std::string_view default_tenant_;
  std::vector<RuleProblem>* problems_;
  std::set<std::string> tenants_;
  std::map<std::string, std::set<std::string>> by_plan_;  // The tenants that name a plan.
  std::map<std::tuple<std::string, RuleKind, std::string>, const RuleItem*> seen_;
  RuleSet set_;
};

bool IsRuleFile(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  return !name.starts_with('.') &&
         (name.ends_with(".yaml") || name.ends_with(".yml") || name.ends_with(".json"));
}

Result<std::vector<std::string>> RuleFiles(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) {
    return Error(ErrorCode::kNotFound, "rules: " + path + " does not exist");
  }
  if (!fs::is_directory(status)) {
    return std::vector<std::string>{path};
  }
  std::vector<std::string> files;
  fs::recursive_directory_iterator entry(path, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    std::error_code ignored;
    if (entry->is_regular_file(ignored) && IsRuleFile(entry->path())) {
      files.push_back(entry->path().string());
    }
    if (entry->path().filename().string().starts_with('.')) {
      entry.disable_recursion_pending();
    }
    if (files.size() > kRuleFilesMax) {
      return Error(ErrorCode::kInvalid,
                   fmt::format("rules: {} holds more than {} files", path, kRuleFilesMax));
    }
  }
  if (error) {
    return Error(ErrorCode::kUnavailable, "rules: cannot list " + path + ": " + error.message());
  }
  if (files.empty()) {
    return Error(ErrorCode::kNotFound, "rules: there is no .yaml, .yml or .json file in " + path);
  }
  std::sort(files.begin(), files.end());
  return files;
}

Result<RuleSource> ReadFile(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream.is_open() || std::filesystem::is_directory(path)) {
    return Error(ErrorCode::kUnavailable, "rules: cannot read " + path);
  }
  // One byte more than allowed shows that a file is too large.
  std::string text(kRuleFileBytesMax + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (stream.bad()) {
    return Error(ErrorCode::kUnavailable, "rules: cannot read " + path);
  }
  text.resize(static_cast<std::size_t>(stream.gcount()));
  return RuleSource{.file = path, .text = std::move(text)};
}

}  // namespace

std::string FormatRuleProblem(const RuleProblem& problem) {
  std::string text = problem.file;
  if (problem.line > 0) {
    text += fmt::format(":{}:{}", problem.line, problem.column);
  }
  return text + ": " + (problem.field.empty() ? "" : problem.field + ": ") + problem.message;
}

Result<RuleSet> ReadRules(const std::vector<RuleSource>& sources, std::string_view default_tenant,
                          std::vector<RuleProblem>* problems) {
  problems->clear();
  std::vector<RuleItem> items;
  std::size_t documents_left = kRuleDocumentsMax;
  for (const RuleSource& source : sources) {
    ReadSource(source, problems, &items, &documents_left);
  }
  RuleSet set = SetBuilder(default_tenant, problems).Build(std::move(items));
  if (problems->empty()) {
    return set;
  }
  std::stable_sort(problems->begin(), problems->end(),
                   [](const RuleProblem& a, const RuleProblem& b) {
                     return std::tie(a.file, a.line, a.column) < std::tie(b.file, b.line, b.column);
                   });
  return Error(ErrorCode::kInvalid, FormatRuleProblem(problems->front()));
}

Result<RuleSet> LoadRules(const std::string& path, std::string_view default_tenant,
                          std::vector<RuleProblem>* problems) {
  problems->clear();
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto files, RuleFiles(path));
  std::vector<RuleSource> sources;
  std::size_t bytes = 0;
  for (const std::string& file : files) {
    ALERTSTREAM_ASSIGN_OR_RETURN(RuleSource source, ReadFile(file));
    bytes += source.text.size();
    if (bytes > kRuleSetBytesMax) {
      return Error(ErrorCode::kInvalid,
                   fmt::format("rules: {} holds more than {} bytes", path, kRuleSetBytesMax));
    }
    sources.push_back(std::move(source));
  }
  return ReadRules(sources, default_tenant, problems);
}

}  // namespace alertstream::cli
