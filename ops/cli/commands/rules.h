// `triggers apply`, `triggers list`, `engine activate`: changes of accounts and what is in force.
// Library functions over the ports of a session.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ops/cli/commands/session.h"
#include "ops/cli/rules_file.h"
#include "schemas/output.pb.h"

namespace alertstream::cli {

// An entity as the newest accepted fact has it.
struct EntityInForce {
  std::string tenant;
  std::string kind;  // tenant, site, plan, sender, trigger
  std::string id;
  v1::Fact fact;
};

// By "tenant kind id"; read from the facts of all partitions.
using EntitiesInForce = std::map<std::string, EntityInForce, std::less<>>;
Result<EntitiesInForce> ReadEntities(const Session& session);

struct RulesReport {
  std::size_t added = 0;
  std::size_t changed = 0;
  std::size_t unchanged = 0;  // Not appended again.
  std::size_t unsent = 0;     // Without an answer, because of `why_unsent`.
  std::string why_unsent;
  std::vector<std::string> rejected;  // "rules/a.yaml:12: trigger x: <reason>: <detail>"
};

// Appends what differs from what is in force, and waits for the answers.
Result<RulesReport> ApplyRules(const Session& session, const RuleSet& rules);
// "rules: 3 new, 1 changed, 7 unchanged"; ", 2 rejected" and ", 5 not applied" where there are any.
std::string DescribeRules(const RulesReport& report);

// `triggers apply`: kFailed if one was rejected; each is listed on io.err, or in the JSON. kPartly
// if the server took a part only; why is said on io.err.
Result<ExitCode> TriggersApply(const Session& session, const RuleSet& rules);
Result<ExitCode> TriggersList(const Session& session, std::size_t rows_max);
// kInvalid: this program does not know the version, so its processors would stop.
Status CheckEngineVersion(std::uint32_t version);
// Appends nothing if CheckEngineVersion refuses.
Result<ExitCode> EngineActivate(const Session& session, std::uint32_t version);

}  // namespace alertstream::cli
