#include "ops/cli/rules_yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <map>
#include <sstream>
#include <utility>

namespace alertstream::cli {
namespace {

constexpr std::string_view kPlainTag = "?";  // The library's tags of what has none.
constexpr std::string_view kQuotedTag = "!";

// Builds one document from the parser's events. After the first problem it takes nothing more.
class TreeBuilder final : public YAML::EventHandler {
 public:
  void Begin() { document_ = {}; }
  bool failed() const { return !problem_.message.empty(); }
  const YamlProblem& problem() const { return problem_; }
  RuleTree Take() { return std::move(document_); }

  // The library makes empty documents for ever out of a stray , ] or } between documents: a second
  // one at the same place is none.
  void OnDocumentStart(const YAML::Mark& mark) override {
    open_.clear();
    anchors_.clear();
    if (mark.pos <= start_ && !failed()) {
      Fail(mark, "not valid YAML here: expected a document");
    }
    start_ = mark.pos;
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    (void)Add(mark, anchor, RuleNodeKind::kNull);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (failed()) {
      return;
    }
    if (found == anchors_.end()) {
      Fail(mark, "an alias needs an anchor before it");
      return;
    }
    Attach(found->second);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    if (CheckTag(mark, tag) && Add(mark, anchor, RuleNodeKind::kScalar)) {
      document_.nodes.back().text = value;
      document_.nodes.back().quoted = tag == kQuotedTag;
    }
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    Open(mark, tag, anchor, RuleNodeKind::kSequence);
  }
  void OnSequenceEnd() override { Close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    Open(mark, tag, anchor, RuleNodeKind::kMap);
  }
  void OnMapEnd() override { Close(); }

 private:
  void Fail(const YAML::Mark& mark, std::string message) {
    problem_ = {.line = mark.line + 1, .column = mark.column + 1, .message = std::move(message)};
  }

  bool CheckTag(const YAML::Mark& mark, const std::string& tag) {
    if (!failed() && !tag.empty() && tag != kPlainTag && tag != kQuotedTag) {
      Fail(mark, "a type tag is not supported here; write the value alone");
    }
    return !failed();
  }

  void Attach(std::uint32_t node) {
    if (open_.empty()) {
      document_.root = node;
    } else {
      document_.nodes[open_.back()].children.push_back(node);
    }
  }

  bool Add(const YAML::Mark& mark, YAML::anchor_t anchor, RuleNodeKind kind) {
    if (failed()) {
      return false;
    }
    if (document_.nodes.size() >= kRuleNodesMax) {
      Fail(mark, "more than " + std::to_string(kRuleNodesMax) + " values in one document");
      return false;
    }
    const auto index = static_cast<std::uint32_t>(document_.nodes.size());
    RuleNode node;
    node.kind = kind;
    node.line = mark.line + 1;
    node.column = mark.column + 1;
    document_.nodes.push_back(std::move(node));
    Attach(index);
    if (anchor != 0) {
      anchors_[anchor] = index;
    }
    return true;
  }

  void Open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
            RuleNodeKind kind) {
    if (!CheckTag(mark, tag)) {
      return;
    }
    if (open_.size() >= kYamlDepthMax) {
      Fail(mark, "nested deeper than " + std::to_string(kYamlDepthMax) + " levels");
      return;
    }
    if (Add(mark, anchor, kind)) {
      open_.push_back(static_cast<std::uint32_t>(document_.nodes.size() - 1));
    }
  }

  void Close() {
    if (!failed()) {
      open_.pop_back();
    }
  }

  RuleTree document_;
  YamlProblem problem_;
  int start_ = -1;  // Of the document before.
  std::vector<std::uint32_t> open_;
  std::map<YAML::anchor_t, std::uint32_t> anchors_;
};

}  // namespace

bool ParseYaml(std::string_view text, std::size_t documents_max, std::vector<RuleTree>* documents,
               YamlProblem* problem) {
  TreeBuilder builder;
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    for (;;) {
      builder.Begin();
      if (!parser.HandleNextDocument(builder)) {
        return true;
      }
      if (builder.failed()) {
        *problem = builder.problem();
        return false;
      }
      RuleTree document = builder.Take();
      if (document.nodes.empty() || document.nodes[document.root].kind == RuleNodeKind::kNull) {
        continue;
      }
      if (documents->size() >= documents_max) {
        *problem = {.line = document.nodes[document.root].line,
                    .column = document.nodes[document.root].column,
                    .message = "too many documents"};
        return false;
      }
      documents->push_back(std::move(document));
    }
  } catch (const YAML::Exception& error) {
    // A limit that was passed before is the better reason.
    if (builder.failed()) {
      *problem = builder.problem();
    } else {
      *problem = {.line = error.mark.line + 1,
                  .column = error.mark.column + 1,
                  .message = "not valid YAML here: " + error.msg};
    }
  } catch (const std::exception&) {
    *problem = {.line = 1, .column = 1, .message = "cannot be read as YAML"};
  }
  return false;
}

}  // namespace alertstream::cli
