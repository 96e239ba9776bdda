// FieldReader: strict reading of one map of a rule document. Types are strict: true and false alone
// are booleans, a text that looks like a number or a boolean needs quotes. Each accessor reports
// what is wrong with its field, so that a caller reads all fields and looks at the problems at the
// end. Used for rule files and for the control endpoint; belongs to one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/control/rule_tree.h"
#include "processor/base/time.h"

namespace alertstream::api {

// More problems than this are one: the wrong file.
inline constexpr std::size_t kRuleProblemsMax = 1000;

struct RuleProblem {
  std::string file;
  int line = 0;  // From 1; 0: the file as a whole.
  int column = 0;
  std::string field;    // "recipients.list[2]"; "" for the document as a whole.
  std::string message;  // What is wrong and what was expected; never an address or a text.
};

// Where problems go; it stops keeping them at kRuleProblemsMax.
class ProblemList {
 public:
  ProblemList(std::string file, std::vector<RuleProblem>* out)
      : file_(std::move(file)), out_(out) {}

  void Add(const RuleNode& at, std::string field, std::string message);
  void Add(int line, int column, std::string field, std::string message);
  const std::string& file() const { return file_; }
  // Also those of others that go to the same place.
  std::size_t size() const { return out_->size(); }

 private:
  std::string file_;
  std::vector<RuleProblem>* out_;
};

enum class Need : std::uint8_t { kOptional, kRequired };

struct NumberRange {
  std::int64_t min;
  std::int64_t max;
};

class FieldReader {
 public:
  // Reports a node that is no map, keys that are no words, and keys that occur twice.
  // `prefix` stands before the field names of problems ("recipients.").
  FieldReader(const RuleTree& document, std::uint32_t node, std::string prefix,
              ProblemList* problems);

  // "" or nothing if the field is absent or wrong; `bytes_max` bounds a text.
  std::string Text(std::string_view name, Need need, std::size_t bytes_max);
  bool Bool(std::string_view name, bool absent);
  std::optional<std::int64_t> Integer(std::string_view name, Need need, NumberRange range);
  LogDuration Duration(std::string_view name, NumberRange range_us);
  // The index of the word in `choices`.
  std::optional<std::size_t> Choice(std::string_view name, Need need,
                                    std::span<const std::string_view> choices);
  // The node of a field that is read by other means.
  std::optional<std::uint32_t> Node(std::string_view name, Need need);
  // The text of `node`, a field or an element called `name`.
  std::optional<std::string> TextOf(std::uint32_t node, std::string_view name,
                                    std::size_t bytes_max);

  bool Has(std::string_view name) const;
  // A problem of a field, at the field if it is there, else at the map.
  void Problem(std::string_view name, std::string message);
  // Reports the fields that no accessor asked for.
  void Finish();

  const RuleNode& node() const { return document_.nodes[node_]; }

 private:
  struct Field {
    std::string_view name;
    std::uint32_t key;
    std::uint32_t value;
  };
  const RuleNode& At(std::uint32_t index) const { return document_.nodes[index]; }
  // The name of the map itself: "recipients"; "" for a document.
  std::string Own() const;
  const Field* Find(std::string_view name) const;
  // The scalar of a field; reports what is missing or no scalar.
  const RuleNode* Scalar(std::string_view name, Need need, std::string_view expected);

  const RuleTree& document_;
  std::uint32_t node_;
  std::string prefix_;
  ProblemList* problems_;
  std::vector<Field> fields_;
  std::vector<std::string_view> asked_;
};

}  // namespace alertstream::api
