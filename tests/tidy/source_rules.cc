#include "tests/tidy/source_rules.h"

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <filesystem>

namespace alertstream::tidy {
namespace {

using Prefixes = std::vector<std::string_view>;

constexpr std::size_t kLineWidthMax = 100;

// Headers that only their own folder, the program and the tests may see.
const Prefixes kAdapters = {"processor/log/kafka/", "processor/log/local/", "processor/log/memory/",
                            "processor/state/rocksdb/", "projections/postgres/"};

struct Layer {
  std::string_view folder;
  Prefixes may_include;        // And itself. No entry names a folder whose adapters it may not see.
  Prefixes may_not_include{};  // Exceptions from the above.
};

// The first match wins. Arrows point one way: api -> projections/read_model -> processor/log ->
// schemas -> processor/base.
const std::vector<Layer> kLayers = {
    {"processor/base/", {}},
    {"schemas/", {"processor/base/"}},
    {"processor/engine/",
     {"schemas/", "processor/base/", "processor/state/"},
     {"processor/base/clock.h", "processor/base/config", "processor/base/log",
      "processor/base/metrics"}},
    {"processor/log/", {"schemas/", "processor/base/"}},
    {"processor/state/", {"schemas/", "processor/base/"}},
    {"processor/journal/", {"schemas/", "processor/base/", "processor/log/"}},
    {"processor/", {"schemas/", "processor/"}},
    {"projections/read_model/", {"schemas/", "processor/base/", "projections/sql/"}},
    // Tables are folded from what the journal releases; an address has one normal form.
    {"projections/",
     {"schemas/", "processor/base/", "processor/log/", "processor/runtime/output_reader.h",
      "processor/runtime/sources.h", "processor/engine/gates/recipient.h"}},
    // A provider's protocol lives once (dispatch/providers), for the way out and the way in; doors
    // that wait for an answer follow the journal (runtime/output_reader.h).
    {"api/",
     {"schemas/", "processor/base/", "processor/log/", "processor/journal/",
      "processor/dispatch/providers/", "processor/dispatch/outcome.h",
      "processor/dispatch/accounts.h", "processor/runtime/output_reader.h",
      "processor/runtime/sources.h",
      "processor/state/state_store.h",  // Rules are checked by what will fold them.
      "processor/engine/conditions/condition.h", "processor/engine/conditions/outcome_word.h",
      "processor/engine/templates/template.h", "processor/engine/limits.h",
      "processor/engine/phone.h", "processor/engine/keywords.h", "projections/read_model/",
      "projections/sql/"}},
    {"ops/", {"schemas/", "processor/", "projections/", "api/"}},
    {"tests/", {"schemas/", "processor/", "projections/", "api/", "ops/"}},
};

struct Ban {
  std::string_view text;
  std::string_view remedy;
  Prefixes allowed_in{};
  std::string_view folder = "";  // Where the ban holds; everywhere if empty.
};

constexpr std::string_view kEngine = "processor/engine/";
constexpr std::string_view kTakeClock = "take a LogTime, or a Clock& at the edges";
constexpr std::string_view kTakeRandom = "take the value as an argument, or a seed in a test";
constexpr std::string_view kNoWaiting = "take a Clock&, or wait on the event itself";
constexpr std::string_view kPureEngine = "the engine decides from records and state alone";
constexpr std::string_view kOrder = "its order differs from run to run; use an ordered container";

const std::vector<Ban> kBans = {
    {"system_clock::now", kTakeClock, {"processor/base/system_clock.cc"}},
    {"steady_clock::now", kTakeClock, {"processor/base/system_clock.cc", "tests/bench/"}},
    {"high_resolution_clock", kTakeClock},
    {"clock_gettime", kTakeClock, {"processor/base/system_clock.cc"}},
    {"gettimeofday", kTakeClock},
    {"std::time(", kTakeClock},
    {"random_device", kTakeRandom},
    {"rand(", kTakeRandom},
    {"srand(", kTakeRandom},
    {"drand48", kTakeRandom},
    {"mt19937", kTakeRandom, {"tests/"}},
    {"mt19937_64", kTakeRandom, {"tests/"}},
    {"getenv", "read it through processor/base/config", {"processor/base/config", "tests/"}},
    {"sleep_for", kNoWaiting, {"processor/base/system_clock.cc"}},
    {"sleep_until", kNoWaiting, {"processor/base/system_clock.cc"}},
    {"usleep", kNoWaiting},
    {"nanosleep", kNoWaiting},
    {"throw", "return an Error", {"tests/"}},
    {"<librdkafka/",
     "use processor/log/event_log.h",
     {"processor/log/kafka/", "tests/conformance/", "tests/bench/"}},
    {"<rocksdb/",
     "use the ports of processor/state and processor/log",
     {"processor/state/rocksdb/", "processor/log/local/"}},
    {"<pqxx/", "use projections/sql/database.h", {"projections/postgres/", "tests/bench/"}},
    {"alertstream.tenant",
     "take a session of sql::TenantPool",
     {"projections/postgres/session.cc", "projections/sql/", "tests/"}},
    {"<libpq", "use projections/sql/database.h", {"projections/postgres/"}},
    {"<prometheus/", "use processor/base/metrics.h", {"processor/base/metrics", "ops/cli/"}},
    {"<openssl/", "use processor/base/crypto.h", {"processor/base/"}},
    {"<simdjson", "use schemas/json.h", {"schemas/"}},
    {"<yaml-cpp", "rule files are read in ops/cli", {"ops/cli/", "api/docs/"}},
    {"<CLI/", "arguments are parsed in ops/cli", {"ops/cli/"}},
    {"<spdlog/", "use processor/base/log.h", {"processor/base/log"}},
    {"<kainjow/", "use processor/engine/templates", {"processor/engine/templates/"}},
    {"unordered_map", kOrder, {}, kEngine},
    {"unordered_set", kOrder, {}, kEngine},
    {"std::thread", kPureEngine, {}, kEngine},
    {"std::jthread", kPureEngine, {}, kEngine},
    {"std::async", kPureEngine, {}, kEngine},
    {"std::mutex", kPureEngine, {}, kEngine},
    {"<thread>", kPureEngine, {}, kEngine},
    {"<mutex>", kPureEngine, {}, kEngine},
    {"<fstream>", kPureEngine, {}, kEngine},
    {"<iostream>", kPureEngine, {}, kEngine},
    {"<filesystem>", kPureEngine, {}, kEngine},
    {"<random>", kPureEngine, {}, kEngine},
    {"<locale>", kPureEngine, {}, kEngine},
    {"<clocale>", kPureEngine, {}, kEngine},
    {"std::locale", kPureEngine, {}, kEngine},
    {"rand", kPureEngine, {}, kEngine},
    {"RandomBytes", kPureEngine, {}, kEngine},
    {"time(", kPureEngine, {}, kEngine},
    {"localtime", kPureEngine, {}, kEngine},
    {"spdlog", kPureEngine, {}, kEngine},
    {"printf", kPureEngine, {}, kEngine},
};

// A namespace of ours with the name of somebody else's makes `rocksdb::DB` mean ours.
const Prefixes kForeignNamespaces = {"testing", "rocksdb", "prometheus", "read", "std"};

bool StartsWithAny(std::string_view text, const Prefixes& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](std::string_view prefix) { return text.starts_with(prefix); });
}

bool IsWordCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

// True if the text occurs and is not a part of a longer name. `time(` is not in `.time(` either:
// that is somebody's accessor.
bool HasWord(std::string_view line, std::string_view word) {
  for (std::size_t at = line.find(word); at != std::string_view::npos;
       at = line.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    const char before = at == 0 ? ' ' : line[at - 1];
    const char after = end == line.size() ? ' ' : line[end];
    const bool begins = !IsWordCharacter(word.front()) ||
                        (!IsWordCharacter(before) && before != '.' && before != '>');
    const bool ends = !IsWordCharacter(word.back()) || !IsWordCharacter(after);
    if (begins && ends) {
      return true;
    }
  }
  return false;
}

// True if a build file names the path, alone or below a variable: `${PROJECT_SOURCE_DIR}/a.cc`.
bool NamesPath(std::string_view text, std::string_view path) {
  for (std::size_t at = text.find(path); at != std::string_view::npos;
       at = text.find(path, at + 1)) {
    const std::string_view before = text.substr(0, at);
    const bool alone = before.empty() || (!IsWordCharacter(before.back()) && before.back() != '/');
    if ((alone || before.ends_with("}/")) && HasWord(text.substr(at), path)) {
      return true;
    }
  }
  return false;
}

std::vector<std::string_view> Lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::string_view Trimmed(std::string_view line) {
  const std::size_t begin = line.find_first_not_of(" \t");
  return begin == std::string_view::npos ? std::string_view() : line.substr(begin);
}

// Characters, not bytes: a character of UTF-8 has one byte that is no continuation.
std::size_t Width(std::string_view line) {
  return static_cast<std::size_t>(std::count_if(line.begin(), line.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

// One file while it is checked.
class Checker {
 public:
  explicit Checker(const SourceFile& file)
      : path_(file.path), lines_(Lines(file.text)), code_text_(CodeOnly(file.text)) {
    code_ = Lines(code_text_);
  }

  void CheckCpp();
  void CheckCMake();
  void CheckWidth();
  void CheckUnfinished();
  void CheckPlaces(std::string_view root);

  Problems problems;

 private:
  void Add(std::size_t index, const std::string& what) {
    problems.push_back(path_ + ":" + std::to_string(index + 1) + ": " + what);
  }
  void CheckInclude(std::size_t index);
  void CheckNamespaces();
  void CheckHeader();

  const std::string& path_;
  std::vector<std::string_view> lines_;
  std::string code_text_;
  std::vector<std::string_view> code_;
};

void Checker::CheckCpp() {
  for (std::size_t i = 0; i < code_.size(); ++i) {
    for (const Ban& ban : kBans) {
      if (path_.starts_with(ban.folder) && !StartsWithAny(path_, ban.allowed_in) &&
          HasWord(code_[i], ban.text)) {
        Add(i, "'" + std::string(ban.text) + "' is banned here; " + std::string(ban.remedy));
      }
    }
    if (code_[i].starts_with("#include")) {
      CheckInclude(i);
    }
  }
  CheckNamespaces();
  if (path_.ends_with(".h")) {
    CheckHeader();
  }
}

void Checker::CheckInclude(std::size_t index) {
  const std::string_view line = lines_[index];
  const std::size_t quote = line.find('"');
  if (quote == std::string_view::npos) {
    return;
  }
  const std::string_view target = line.substr(quote + 1, line.rfind('"') - quote - 1);
  const std::string shown = "\"" + std::string(target) + "\"";
  const bool may_see_adapters = path_.starts_with("ops/cli/") || path_.starts_with("tests/");
  for (const std::string_view adapter : kAdapters) {
    if (target.starts_with(adapter) && !path_.starts_with(adapter) && !may_see_adapters) {
      Add(index, shown + " is an adapter; only ops/cli knows adapters, include the port");
    }
  }
  for (const Layer& layer : kLayers) {
    if (!path_.starts_with(layer.folder)) {
      continue;
    }
    const bool allowed =
        target.starts_with(layer.folder) || StartsWithAny(target, layer.may_include);
    if (!allowed || StartsWithAny(target, layer.may_not_include)) {
      Add(index, std::string(layer.folder) + " may not include " + shown +
                     "; include paths begin at the root and follow the layers");
    }
    return;
  }
}

void Checker::CheckNamespaces() {
  bool inside = false;
  for (std::size_t i = 0; i < code_.size(); ++i) {
    if (code_[i].starts_with("}") && lines_[i].find("namespace alertstream") != std::string::npos) {
      inside = false;
    }
    const std::string_view line = Trimmed(code_[i]);
    if (!line.starts_with("namespace ") || line.find('=') != std::string_view::npos) {
      continue;
    }
    const std::string_view name = line.substr(0, line.find('{'));
    inside = inside || HasWord(name, "alertstream");
    for (const std::string_view foreign : kForeignNamespaces) {
      if (inside && HasWord(name, foreign)) {
        Add(i, "namespace '" + std::string(foreign) + "' inside alertstream hides another one");
      }
    }
  }
}

void Checker::CheckHeader() {
  if (lines_.empty() || !lines_.front().starts_with("//")) {
    Add(0, "a header begins with a comment: what it is, pure or thread-safe, who uses it");
  }
  if (std::find(lines_.begin(), lines_.end(), "#pragma once") == lines_.end()) {
    Add(0, "'#pragma once' is missing");
  }
}

void Checker::CheckWidth() {
  for (std::size_t i = 0; i < lines_.size(); ++i) {
    if (Width(lines_[i]) > kLineWidthMax) {
      Add(i, "the line is wider than 100 columns");
    }
  }
}

void Checker::CheckCMake() {
  const bool generates =
      path_.starts_with("schemas/");  // The messages' code is not ours to warn of.
  for (std::size_t i = 0; i < lines_.size(); ++i) {
    const std::string_view line = Trimmed(lines_[i]);
    if (StartsWithAny(line, {"add_test(", "add_executable(", "gtest_discover_tests("}) ||
        (!generates && line.starts_with("add_library("))) {
      Add(i,
          "targets and tests are made by the functions of AlertStreamTargets.cmake, which give "
          "them their warnings, labels and time limits");
    }
  }
}

void Checker::CheckUnfinished() {
  const std::string mark = std::string("TO") + "DO";  // Not to be found here.
  for (std::size_t i = 0; i < lines_.size(); ++i) {
    const std::size_t at = lines_[i].find(mark);
    if (!HasWord(lines_[i], mark)) {
      continue;
    }
    const std::string_view rest = lines_[i].substr(at + mark.size());
    if (!rest.starts_with("(#") || rest.size() < 3 || rest[2] < '0' || rest[2] > '9') {
      Add(i, mark + " without an issue number; give it one, like (#12), or do it");
    }
  }
}

void Checker::CheckPlaces(std::string_view root) {
  namespace fs = std::filesystem;
  const std::string here(root);
  const fs::path parent = fs::path(root).parent_path();
  // A clone in the home or a system folder makes its parent a name that files may well say.
  const Prefixes common = {"/bin",  "/dev", "/etc", "/home", "/lib", "/mnt", "/opt", "/proc",
                           "/root", "/run", "/srv", "/sys",  "/tmp", "/usr", "/var"};
  const bool parent_is_private =
      parent.has_relative_path() && !StartsWithAny(parent.string(), common);
  const auto depth = std::count(path_.begin(), path_.end(), '/');
  std::string beyond;  // One step more than leads to the root.
  for (std::ptrdiff_t i = 0; i <= depth; ++i) {
    beyond += "../";
  }
  for (std::size_t i = 0; i < lines_.size(); ++i) {
    const std::size_t at = lines_[i].find(parent.string() + "/");
    const bool says_parent = parent_is_private && at != std::string_view::npos &&
                             (at == 0 || !IsWordCharacter(lines_[i][at - 1]));
    if (says_parent || lines_[i].find(here) != std::string_view::npos) {
      Add(i, "names a place on this machine");
    }
    if (lines_[i].find(beyond) != std::string_view::npos) {
      Add(i, "'" + beyond + "' leads out of the repository");
    }
  }
}

// The end of the literal that begins at `at` with a quote: behind the closing quote, or the line's
// end if there is none.
std::size_t EndOfQuoted(std::string_view text, std::size_t at) {
  const char quote = text[at];
  for (std::size_t i = at + 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == quote) {
      return i + 1;
    } else if (text[i] == '\n') {
      return i;
    }
  }
  return text.size();
}

// If a comment or literal begins at `at`, the position behind it; else `at`.
std::size_t EndOfNoCode(std::string_view text, std::size_t at) {
  const std::string_view rest = text.substr(at);
  const char before = at == 0 ? ' ' : text[at - 1];
  if (rest.starts_with("//")) {
    return std::min(text.find('\n', at), text.size());
  }
  if (rest.starts_with("/*")) {
    const std::size_t end = text.find("*/", at + 2);
    return end == std::string_view::npos ? text.size() : end + 2;
  }
  if (rest.starts_with("R\"") && (!IsWordCharacter(before) || before == 'u' || before == '8')) {
    const std::size_t open = std::min(rest.find('('), rest.size());
    const std::string close = ")" + std::string(rest.substr(2, open - 2)) + "\"";
    const std::size_t end = rest.find(close, open);
    return end == std::string_view::npos ? text.size() : at + end + close.size();
  }
  if (rest.front() == '"' || (rest.front() == '\'' && !IsWordCharacter(before))) {
    return EndOfQuoted(text, at);  // A quote inside a number separates its digits.
  }
  return at;
}

}  // namespace

std::string CodeOnly(std::string_view text) {
  std::string code(text);
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = EndOfNoCode(text, at);
    for (std::size_t i = at; i < end; ++i) {
      if (code[i] != '\n') {
        code[i] = ' ';
      }
    }
    at = std::max(end, at + 1);
  }
  return code;
}

Problems FileProblems(const SourceFile& file, std::string_view root) {
  const std::string& path = file.path;
  const bool is_cpp = path.ends_with(".h") || path.ends_with(".cc");
  Checker checker(file);
  checker.CheckUnfinished();
  checker.CheckPlaces(root);
  if (is_cpp || path.ends_with(".proto")) {
    checker.CheckWidth();
  }
  if (is_cpp) {
    checker.CheckCpp();
  }
  if (path.ends_with("CMakeLists.txt")) {
    checker.CheckCMake();
  }
  return checker.problems;
}

Problems TreeProblems(const std::vector<SourceFile>& files) {
  Problems problems;
  for (const SourceFile& source : files) {
    if (!source.path.ends_with(".cc")) {
      continue;
    }
    const bool named = std::any_of(files.begin(), files.end(), [&](const SourceFile& file) {
      constexpr std::string_view kLists = "CMakeLists.txt";
      if (file.path.ends_with(".cmake")) {
        return NamesPath(file.text, source.path);
      }
      if (!file.path.ends_with(kLists)) {
        return false;
      }
      const auto folder = file.path.substr(0, file.path.size() - kLists.size());
      return source.path.starts_with(folder) &&
             NamesPath(file.text, std::string_view(source.path).substr(folder.size()));
    });
    if (!named) {
      problems.push_back(source.path + ":1: no CMakeLists.txt at or above it names this file");
    }
  }
  return problems;
}

}  // namespace alertstream::tidy
