#include "api/control/rule_fields.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "processor/base/duration.h"
#include "processor/base/suggest.h"
#include "schemas/text.h"

namespace alertstream::api {
namespace {

// Longer keys are no names of fields; they are not repeated in problems.
constexpr std::size_t kFieldNameBytesMax = 64;
// Several times what the largest kind has; look-ups are linear.
constexpr std::size_t kFieldsMax = 64;

// A plain scalar that YAML 1.1 or 1.2 reads as something else than text.
bool LooksTyped(std::string_view text) {
  constexpr std::array<std::string_view, 8> kWords = {"true", "false", "yes",  "no",
                                                      "on",   "off",   ".nan", ".inf"};
  if (std::any_of(kWords.begin(), kWords.end(), [text](std::string_view word) {
        return schemas::EqualsIgnoringCase(text, word);
      })) {
    return true;
  }
  if (text.starts_with('+') || text.starts_with('-')) {
    text.remove_prefix(1);
  }
  if (schemas::StartsWithIgnoringCase(text, "0x") || text.starts_with("0o") || text == ".inf") {
    return true;
  }
  if (text.empty() || text.find_first_not_of("0123456789.eE+-_") != std::string_view::npos) {
    return false;
  }
  double number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  return parsed.ec != std::errc::invalid_argument && parsed.ptr == text.data() + text.size();
}

std::string_view KindName(RuleNodeKind kind) {
  switch (kind) {
    case RuleNodeKind::kNull:
      return "nothing";
    case RuleNodeKind::kScalar:
      return "a single value";
    case RuleNodeKind::kSequence:
      return "a list";
    case RuleNodeKind::kMap:
      return "a map";
  }
  return "";
}

std::string ExpectedFound(std::string_view expected, const RuleNode& node) {
  return fmt::format("expected {}, found {}", expected, KindName(node.kind));
}

}  // namespace

void ProblemList::Add(const RuleNode& at, std::string field, std::string message) {
  Add(at.line, at.column, std::move(field), std::move(message));
}

void ProblemList::Add(int line, int column, std::string field, std::string message) {
  if (out_->size() < kRuleProblemsMax) {
    out_->push_back({.file = file_,
                     .line = line,
                     .column = column,
                     .field = std::move(field),
                     .message = std::move(message)});
  }
}

FieldReader::FieldReader(const RuleTree& document, std::uint32_t node, std::string prefix,
                         ProblemList* problems)
    : document_(document), node_(node), prefix_(std::move(prefix)), problems_(problems) {
  if (At(node_).kind != RuleNodeKind::kMap) {
    problems_->Add(At(node_), Own(), ExpectedFound("a map of fields", At(node_)));
    return;
  }
  const auto& children = At(node_).children;
  if (children.size() > 2 * kFieldsMax) {
    problems_->Add(At(node_), Own(), fmt::format("more than {} fields", kFieldsMax));
    return;
  }
  for (std::size_t i = 0; i + 1 < children.size(); i += 2) {
    const RuleNode& key = At(children[i]);
    if (key.kind != RuleNodeKind::kScalar || key.text.empty() ||
        key.text.size() > kFieldNameBytesMax || !schemas::HasNoControls(key.text)) {
      problems_->Add(key, Own(), "expected the name of a field");
      continue;
    }
    if (const Field* first = Find(key.text)) {
      problems_->Add(key, prefix_ + key.text,
                     fmt::format("given twice, first in line {}", At(first->key).line));
      continue;
    }
    fields_.push_back({.name = key.text, .key = children[i], .value = children[i + 1]});
  }
}

std::string FieldReader::Own() const {
  return prefix_.empty() ? std::string() : prefix_.substr(0, prefix_.size() - 1);
}

const FieldReader::Field* FieldReader::Find(std::string_view name) const {
  const auto found = std::find_if(fields_.begin(), fields_.end(),
                                  [name](const Field& field) { return field.name == name; });
  return found == fields_.end() ? nullptr : &*found;
}

bool FieldReader::Has(std::string_view name) const { return Find(name) != nullptr; }

void FieldReader::Problem(std::string_view name, std::string message) {
  const Field* field = Find(name);
  problems_->Add(field != nullptr ? At(field->value) : At(node_), prefix_ + std::string(name),
                 std::move(message));
}

std::optional<std::uint32_t> FieldReader::Node(std::string_view name, Need need) {
  asked_.push_back(name);
  const Field* field = Find(name);
  if (field != nullptr) {
    return field->value;
  }
  if (need == Need::kRequired && At(node_).kind == RuleNodeKind::kMap) {
    Problem(name, "missing");
  }
  return std::nullopt;
}

const RuleNode* FieldReader::Scalar(std::string_view name, Need need, std::string_view expected) {
  const auto index = Node(name, need);
  if (!index) {
    return nullptr;
  }
  if (At(*index).kind != RuleNodeKind::kScalar) {
    Problem(name, ExpectedFound(expected, At(*index)));
    return nullptr;
  }
  return &At(*index);
}

std::optional<std::string> FieldReader::TextOf(std::uint32_t node, std::string_view name,
                                               std::size_t bytes_max) {
  const RuleNode& value = At(node);
  std::string field = prefix_ + std::string(name);
  if (value.kind != RuleNodeKind::kScalar) {
    problems_->Add(value, std::move(field), ExpectedFound("a text", value));
  } else if (!value.quoted && LooksTyped(value.text)) {
    problems_->Add(value, std::move(field),
                   "expected a text; what looks like a number or a boolean needs quotes");
  } else if (value.text.empty()) {
    problems_->Add(value, std::move(field), "expected a text that is not empty");
  } else if (value.text.size() > bytes_max) {
    problems_->Add(value, std::move(field), fmt::format("longer than {} bytes", bytes_max));
  } else if (!schemas::HasNoNul(value.text)) {
    problems_->Add(value, std::move(field), "contains U+0000");
  } else {
    return value.text;
  }
  return std::nullopt;
}

std::string FieldReader::Text(std::string_view name, Need need, std::size_t bytes_max) {
  const auto node = Node(name, need);
  if (!node) {
    return {};
  }
  return TextOf(*node, name, bytes_max).value_or(std::string());
}

bool FieldReader::Bool(std::string_view name, bool absent) {
  constexpr std::string_view kExpected = "true or false";
  const RuleNode* value = Scalar(name, Need::kOptional, kExpected);
  if (value == nullptr) {
    return absent;
  }
  if (value->quoted || (value->text != "true" && value->text != "false")) {
    Problem(name,
            value->quoted ? "expected true or false, without quotes" : "expected true or false");
    return absent;
  }
  return value->text == "true";
}

std::optional<std::int64_t> FieldReader::Integer(std::string_view name, Need need,
                                                 NumberRange range) {
  const std::string expected = fmt::format("a whole number, {} to {}", range.min, range.max);
  const RuleNode* value = Scalar(name, need, expected);
  if (value == nullptr) {
    return std::nullopt;
  }
  std::int64_t number = 0;
  const char* end = value->text.data() + value->text.size();
  const auto parsed = std::from_chars(value->text.data(), end, number);
  if (value->quoted || parsed.ec != std::errc() || parsed.ptr != end || number < range.min ||
      number > range.max) {
    Problem(name, fmt::format("expected {}{}", expected, value->quoted ? ", without quotes" : ""));
    return std::nullopt;
  }
  return number;
}

LogDuration FieldReader::Duration(std::string_view name, NumberRange range_us) {
  const std::string expected =
      fmt::format("a duration such as 10m, {} to {}", FormatDuration(LogDuration(range_us.min)),
                  FormatDuration(LogDuration(range_us.max)));
  const RuleNode* value = Scalar(name, Need::kOptional, expected);
  if (value == nullptr) {
    return LogDuration::zero();
  }
  const auto duration = ParseDuration(value->text);
  if (!duration.ok() || duration.value().count() < range_us.min ||
      duration.value().count() > range_us.max) {
    Problem(name, fmt::format("expected {}", expected));
    return LogDuration::zero();
  }
  return duration.value();
}

std::optional<std::size_t> FieldReader::Choice(std::string_view name, Need need,
                                               std::span<const std::string_view> choices) {
  const std::string expected = fmt::format("one of {}", fmt::join(choices, ", "));
  const RuleNode* value = Scalar(name, need, expected);
  if (value == nullptr) {
    return std::nullopt;
  }
  const auto found = std::find(choices.begin(), choices.end(), value->text);
  if (found == choices.end()) {
    Problem(name, fmt::format("expected {}{}", expected, DidYouMean(value->text, choices)));
    return std::nullopt;
  }
  return static_cast<std::size_t>(found - choices.begin());
}

void FieldReader::Finish() {
  for (const Field& field : fields_) {
    if (std::find(asked_.begin(), asked_.end(), field.name) == asked_.end()) {
      problems_->Add(At(field.key), prefix_ + std::string(field.name),
                     "no such field" + DidYouMean(field.name, asked_));
    }
  }
}

}  // namespace alertstream::api
