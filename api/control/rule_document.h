// One rule document, read field by field into the change that it describes, before it is known
// whose it is: the form of rule files (ops/cli/rules_file.h says which fields there are) and of the
// control endpoint. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/control/rule_fields.h"
#include "api/control/rule_tree.h"
#include "schemas/envelope.pb.h"

namespace alertstream::api {

// The order in which changes are applied: what others refer to comes first.
enum class RuleKind : std::uint8_t { kTenant, kPlan, kSite, kSender, kTrigger };
// The index is the enum value.
inline constexpr std::array<std::string_view, 5> kRuleKinds = {"tenant", "plan", "site", "sender",
                                                               "trigger"};
inline std::string_view WordOf(RuleKind kind) { return kRuleKinds[static_cast<std::size_t>(kind)]; }

struct RuleItem {
  RuleKind kind = RuleKind::kTenant;
  std::string tenant;  // As written; "" if it was not.
  std::string id;
  v1::AccountChange change;
  std::string file;
  int line = 0;
  int column = 0;
};

// What a document may carry besides its kind's own fields.
enum class RuleForm : std::uint8_t {
  kFile,
  kControl,  // expected_version and reason.
};

// Appends to `items`. The document becomes an item even with problems, so that references to it are
// not reported as well; not if its kind is not known.
void ReadRuleDocument(const RuleTree& document, std::uint32_t root, ProblemList* problems,
                      std::vector<RuleItem>* items, RuleForm form = RuleForm::kFile);

// The field expected_version; 0 (any) without it.
std::uint64_t ReadExpectedVersion(FieldReader& fields);

}  // namespace alertstream::api
