// Rule files: tenants, sites, plans, senders and triggers written in YAML or JSON, read into the
// events that apply them. Pure but for reading the files; used by `triggers apply` and `decide`.
//
// A file holds documents (YAML's ---, or one list of them), each a map with `kind`:
//   tenant   id, status active|suspended|closed, plan, stop_reply, help_reply, unknown_wait
//   site     id, status active|disabled
//   plan     id, sends_per_month_max
//   sender   id, provider, account, number, default, channel
//   trigger  id, name, event_type, when, recipients {field | list}, channel, sender,
//            template {body}, message_class, cooldown, daily_cap, max_age, allow_public, enabled
// All but tenant may carry `tenant`; without it they belong to the default tenant, else to the only
// tenant of the set. A plan without it belongs to every tenant of the set that names it.
//
// Types are strict: true and false alone are booleans, a text that looks like a number or a boolean
// needs quotes, a field that does not exist is an error. Either everything is right or nothing is
// returned; every problem is listed, with its place.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "api/control/rule_fields.h"
#include "processor/base/result.h"
#include "schemas/envelope.pb.h"

namespace alertstream::cli {

// A thousand triggers with long templates take half of it; and a bigger file is a mistaken one.
inline constexpr std::size_t kRuleFileBytesMax = std::size_t{1} << 20U;
// Documents and files of one set: ten tenants with all the triggers they may have.
inline constexpr std::size_t kRuleDocumentsMax = 10'000;
inline constexpr std::size_t kRuleFilesMax = 10'000;
// All files together: they are held in memory at once.
inline constexpr std::size_t kRuleSetBytesMax = std::size_t{64} << 20U;
using api::RuleProblem;

// "rules/acme.yaml:12:3: when: line 1, column 7: expected ..."
std::string FormatRuleProblem(const RuleProblem& problem);

// One entity of one tenant, ready to be appended to account-changes. The envelope has no id.
struct RuleChange {
  std::string tenant;
  v1::Envelope envelope;
  std::string file;
  int line = 0;
  std::string kind;
  std::string id;
};

struct RuleSet {
  // Tenants, plans, sites, senders, triggers; within a kind in the order of the files.
  std::vector<RuleChange> changes;
};

struct RuleSource {
  std::string file;  // The name for problems; ".json" at its end: JSON's escapes.
  std::string text;
};

// `problems` is replaced: it is empty exactly if the result is ok. kInvalid carries the first one.
Result<RuleSet> ReadRules(const std::vector<RuleSource>& sources, std::string_view default_tenant,
                          std::vector<RuleProblem>* problems);

// `path`: a file, or a directory whose .yaml, .yml and .json files are read with those below it, in
// the order of their paths; names that begin with a dot are left out. kNotFound: there is none.
// kUnavailable: a file cannot be read.
Result<RuleSet> LoadRules(const std::string& path, std::string_view default_tenant,
                          std::vector<RuleProblem>* problems);

}  // namespace alertstream::cli
