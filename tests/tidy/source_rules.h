// The rules about the text of this repository that a compiler does not know: who may include whom,
// which call and which library belongs where, how a header begins, what no file may say. Pure, so
// that the rules have tests of their own; used by tidy_test.cc only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace alertstream::tidy {

struct SourceFile {
  std::string path;  // From the root of the repository: "processor/base/time.h".
  std::string text;
};

// What is wrong, one entry a finding: "PATH:LINE: what; remedy".
using Problems = std::vector<std::string>;

// The text of a C++ file with comments and the inside of literals replaced by spaces; lines keep
// their numbers.
std::string CodeOnly(std::string_view text);

// The rules of a single file. `root` is where the repository lies on this machine: no file may say.
Problems FileProblems(const SourceFile& file, std::string_view root);

// The rules that need all files: every C++ source is named in a CMakeLists.txt at or above it.
Problems TreeProblems(const std::vector<SourceFile>& files);

}  // namespace alertstream::tidy
