// The tree keeps its own rules (source_rules.h), and every rule finds what it is there to find.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/tidy/source_rules.h"

namespace alertstream::tidy {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::uintmax_t kFileBytesMax = 4U << 20U;  // No text of ours is larger.

// Every text file of the repository, whether committed already or not.
std::vector<SourceFile> ReadTree(const fs::path& root) {
  const std::vector<std::string> skipped = {".git",         ".alertstream", ".cache", "build",
                                            "node_modules", "__pycache__",  "corpus", "golden"};
  std::vector<SourceFile> files;
  for (auto it = fs::recursive_directory_iterator(root); it != fs::end(it); ++it) {
    const std::string name = it->path().filename().string();
    if (it->is_directory() && std::find(skipped.begin(), skipped.end(), name) != skipped.end()) {
      it.disable_recursion_pending();
      continue;
    }
    if (!it->is_regular_file() || it->file_size() > kFileBytesMax) {
      continue;
    }
    std::ifstream in(it->path(), std::ios::binary);
    std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    if (text.find('\0') == std::string::npos) {
      files.push_back({fs::relative(it->path(), root).string(), std::move(text)});
    }
  }
  return files;
}

std::string Joined(const Problems& problems) {
  std::string text;
  for (const auto& problem : problems) {
    text += problem + "\n";
  }
  return text;
}

TEST(TidyTest, EveryFileKeepsTheRules) {
  const auto files = ReadTree(ALERTSTREAM_SOURCE_DIR);
  ASSERT_GT(files.size(), 30U);
  Problems problems = TreeProblems(files);
  for (const auto& file : files) {
    const Problems found = FileProblems(file, ALERTSTREAM_SOURCE_DIR);
    problems.insert(problems.end(), found.begin(), found.end());
  }
  EXPECT_TRUE(problems.empty()) << Joined(problems);
}

struct RuleCase {
  std::string path;
  std::string text;
  std::string problem;  // A part of the only problem; empty if there is none.
};

void PrintTo(const RuleCase& c, std::ostream* out) { *out << c.path << ": " << c.text; }

const std::vector<RuleCase> kRuleCases = {
    // Layers.
    {"schemas/a.cc", "#include \"processor/base/time.h\"", ""},
    {"schemas/a.cc", "#include \"schemas/a.pb.h\"", ""},
    {"schemas/a.cc", "#include \"processor/log/event_log.h\"", "schemas/ may not include"},
    {"schemas/a.cc", "#include \"a.h\"", "include paths begin at the root"},
    {"processor/base/a.cc", "#include \"schemas/json.h\"", "processor/base/ may not include"},
    {"processor/engine/gates/a.cc", "#include \"processor/state/store.h\"", ""},
    {"processor/engine/gates/a.cc", "#include \"processor/engine/effects.h\"", ""},
    {"processor/engine/a.cc", "#include \"processor/state/rocksdb/rocksdb_store.h\"", "adapter"},
    {"processor/engine/a.cc", "#include \"processor/log/event_log.h\"", "may not include"},
    {"processor/engine/a.cc", "#include \"processor/base/clock.h\"", "may not include"},
    {"processor/engine/a.cc", "#include \"processor/base/metrics.h\"", "may not include"},
    {"processor/journal/a.cc", "#include \"processor/log/event_log.h\"", ""},
    {"processor/journal/a.cc", "#include \"processor/engine/effects.h\"", "may not include"},
    {"processor/runtime/a.cc", "#include \"processor/engine/effects.h\"", ""},
    {"processor/runtime/a.cc", "#include \"processor/log/kafka/kafka_log.h\"", "adapter"},
    {"processor/log/kafka/a.cc", "#include \"processor/log/kafka/kafka_log.h\"", ""},
    {"processor/log/kafka/a.cc", "#include \"processor/log/local/segment.h\"", "adapter"},
    {"processor/runtime/a.cc", "#include \"projections/a.h\"", "may not include"},
    {"projections/a.cc", "#include \"processor/log/event_log.h\"", ""},
    {"projections/read_model/a.h", "// A.\n#pragma once\n#include \"processor/log/event_log.h\"",
     "may not include"},
    {"api/a.cc", "#include \"projections/read_model/a.h\"", ""},
    {"api/a.cc", "#include \"projections/usage.h\"", "may not include"},
    {"ops/cli/a.cc", "#include \"processor/log/kafka/kafka_log.h\"", ""},
    {"ops/cli/a.cc", "#include \"tests/support/fake_clock.h\"", "may not include"},
    {"tests/unit/a.cc", "#include \"tests/support/fake_clock.h\"", ""},
    // Calls and libraries.
    {"api/a.cc", "auto t = std::chrono::system_clock::now();", "'system_clock::now' is banned"},
    {"processor/base/system_clock.cc", "auto t = std::chrono::system_clock::now();", ""},
    {"api/a.cc", "auto t = std::chrono::steady_clock::now();", "take a LogTime"},
    {"api/a.cc", "auto t = std::time(nullptr);", "'std::time(' is banned"},
    {"api/a.cc", "// system_clock::now() jumps.", ""},
    {"api/a.cc", "Log(\"system_clock::now\");", ""},
    {"api/a.cc", "std::random_device d;", "'random_device' is banned"},
    {"api/a.cc", "int x = rand();", "'rand(' is banned"},
    {"api/a.cc", "int x = operand();", ""},
    {"tests/unit/a.cc", "std::mt19937_64 generator(seed);", ""},
    {"api/a.cc", "std::mt19937_64 generator(seed);", "is banned"},
    {"api/a.cc", "std::getenv(\"A\");", "'getenv' is banned"},
    {"processor/base/config_env.cc", "std::getenv(\"A\");", ""},
    {"tests/unit/a.cc", "std::this_thread::sleep_for(1s);", "'sleep_for' is banned"},
    {"api/a.cc", "throw Oops();", "return an Error"},
    {"processor/runtime/a.cc", "#include <librdkafka/rdkafka.h>", "processor/log/event_log.h"},
    {"processor/log/kafka/a.cc", "#include <librdkafka/rdkafka.h>", ""},
    {"processor/runtime/a.cc", "#include <rocksdb/db.h>", "is banned"},
    {"processor/runtime/a.cc", "#include <prometheus/counter.h>", "processor/base/metrics.h"},
    {"processor/base/metrics_prometheus.cc", "#include <prometheus/counter.h>", ""},
    {"schemas/a.cc", "#include <openssl/sha.h>", "processor/base/crypto.h"},
    {"ops/cli/a.cc", "#include <simdjson.h>", "schemas/json.h"},
    {"processor/runtime/a.cc", "#include <yaml-cpp/yaml.h>", "ops/cli"},
    // The engine.
    {"processor/engine/a.cc", "std::unordered_map<int, int> m;", "differs from run to run"},
    {"processor/runtime/a.cc", "std::unordered_map<int, int> m;", ""},
    {"processor/engine/a.cc", "std::mutex m;", "records and state alone"},
    {"processor/engine/a.cc", "std::thread t;", "records and state alone"},
    {"processor/engine/a.cc", "#include <fstream>", "records and state alone"},
    {"processor/engine/a.cc", "auto t = time(nullptr);", "'time(' is banned"},
    {"processor/engine/a.cc", "auto t = event.time(); auto u = LogTime(); f(log_time(u));", ""},
    {"processor/engine/a.cc", "spdlog::info(\"x\");", "'spdlog' is banned"},
    // Headers, namespaces, lines.
    {"api/a.h", "// What it is.\n#pragma once\n", ""},
    {"api/a.h", "#pragma once\n", "begins with a comment"},
    {"api/a.h", "// What it is.\n", "'#pragma once' is missing"},
    {"api/a.cc", "namespace alertstream::api::testing {", "'testing' inside alertstream"},
    {"api/a.cc", "namespace alertstream {\nnamespace rocksdb {", "a.cc:2: namespace 'rocksdb'"},
    {"api/a.cc", "namespace rocksdb {\n}\nnamespace alertstream {\n}", ""},
    {"api/a.cc", "namespace alertstream {\n}  // namespace alertstream\nnamespace rocksdb {", ""},
    {"api/a.cc", std::string(100, 'x'), ""},
    {"api/a.cc", std::string(101, 'x'), "wider than 100"},
    {"schemas/a.proto", std::string(101, 'x'), "wider than 100"},
    {"README.md", std::string(101, 'x'), ""},
    // Any text.
    {"ops/x", std::string("# TO") + "DO(#12): later", ""},
    {"ops/x", std::string("# TO") + "DO: later", "without an issue number"},
    {"ops/x", std::string("# TO") + "DO(me): later", "without an issue number"},
    {"README.md", "see /clones/alertstream/README.md", "a place on this machine"},
    {"README.md", "see /clones/other/README.md", "a place on this machine"},
    {"README.md", "see the/clones/other", ""},
    {"README.md", "see ../other", "leads out of the repository"},
    {"ops/README.md", "see ../README.md", ""},
    {"ops/README.md", "see ../../other", "leads out of the repository"},
    // Build files.
    {"api/CMakeLists.txt", "alertstream_test(NAME a LABELS unit)", ""},
    {"api/CMakeLists.txt", "  add_test(NAME a COMMAND b)", "AlertStreamTargets.cmake"},
    {"api/CMakeLists.txt", "add_executable(a a.cc)", "AlertStreamTargets.cmake"},
    {"api/CMakeLists.txt", "add_library(a a.cc)", "AlertStreamTargets.cmake"},
    {"schemas/CMakeLists.txt", "add_library(messages a.pb.cc)", ""},
};

class RuleTest : public ::testing::TestWithParam<RuleCase> {};

TEST_P(RuleTest, FindsWhatItForbids) {
  const RuleCase& c = GetParam();
  const auto problems = FileProblems({c.path, c.text}, "/clones/alertstream");
  if (c.problem.empty()) {
    EXPECT_THAT(problems, IsEmpty());
    return;
  }
  ASSERT_EQ(problems.size(), 1U) << Joined(problems);
  EXPECT_THAT(problems[0], HasSubstr(c.problem));
  EXPECT_THAT(problems[0], HasSubstr(c.path + ":"));
}

INSTANTIATE_TEST_SUITE_P(Rules, RuleTest, ::testing::ValuesIn(kRuleCases));

TEST(TidyTest, AParentThatManyFilesNameIsNotForbidden) {
  const SourceFile file = {"ops/x", "see /usr/src/linux, /home/user and /etc/hosts"};
  for (const auto* root : {"/usr/src/alertstream", "/home/alertstream", "/alertstream"}) {
    EXPECT_THAT(FileProblems(file, root), IsEmpty()) << root;
  }
}

TEST(TidyTest, CommentsAndLiteralsAreNotCode) {
  struct Case {
    std::string text;
    std::string code;
  };
  const std::vector<Case> cases = {
      {"a; // b", "a;     "},
      {"a /* b\nc */ d", "a     \n     d"},
      {"f(\"b\\\"c\") d", "f(      ) d"},
      {"c = '\"'; d = '\\''; e", "c =    ; d =     ; e"},
      {"n = 1'000'000; a", "n = 1'000'000; a"},
      {"s = R\"x(a\")\" // b)x\"; d", "s = " + std::string(16, ' ') + "; d"},
      {"s = R\"(a\n\"b)\"; d", "s =     \n    ; d"},
      {"\"never closed\na", "             \na"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(CodeOnly(c.text), c.code);
  }
}

TEST(TidyTest, EverySourceIsNamedInACMakeListsAtOrAboveIt) {
  const SourceFile build = {"tests/unit/CMakeLists.txt", "alertstream_test(SOURCES api/a_test.cc)"};
  EXPECT_THAT(TreeProblems({build, {"tests/unit/api/a_test.cc", ""}}), IsEmpty());
  for (const auto* path : {"tests/unit/api/b_test.cc", "tests/unit/a_test.cc",
                           "tests/unit/api/test.cc", "api/a_test.cc"}) {
    const auto problems = TreeProblems({build, {path, ""}});
    ASSERT_EQ(problems.size(), 1U) << path;
    EXPECT_THAT(problems[0], HasSubstr("no CMakeLists.txt at or above it names this file"));
  }
  const SourceFile module = {"ops/cmake/A.cmake", "\"${PROJECT_SOURCE_DIR}/tests/fuzz/main.cc\""};
  EXPECT_THAT(TreeProblems({module, {"tests/fuzz/main.cc", ""}}), IsEmpty());
}

}  // namespace
}  // namespace alertstream::tidy
