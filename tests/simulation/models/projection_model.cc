#include "tests/simulation/models/projection_model.h"

#include <fmt/format.h>

#include "processor/base/id.h"

namespace alertstream::simulation {
namespace {

using Table = std::map<std::string, int>;

std::string KeyOf(const std::string& tenant, IdKind kind, const std::string& bytes) {
  return tenant + " " + FormatId(kind, bytes);
}

void Compare(const char* name, const Table& expected, const Table& found, Violations* violations) {
  for (const auto& [key, count] : expected) {
    const auto row = found.find(key);
    const int rows = row == found.end() ? 0 : row->second;
    if (rows != count) {
      violations->push_back(
          {"I6", fmt::format("{}: {} has {} rows, the log has {}", name, key, rows, count)});
    }
  }
  for (const auto& [key, rows] : found) {
    if (!expected.contains(key)) {
      violations->push_back({"I6", fmt::format("{}: {} is not in the log", name, key)});
    }
  }
}

}  // namespace

void CheckProjection(const History& history, const SimDatabase& database, Violations* violations) {
  Table events;
  Table decisions;
  std::map<std::string, std::int64_t> sends;
  for (const auto& record : history.decisions) {
    if (record.part() == 0) {
      ++events[KeyOf(record.tenant(), IdKind::kEvent, record.event_id())];
    }
    for (const auto& decision : record.decisions()) {
      ++decisions[KeyOf(record.tenant(), IdKind::kDecision, decision.id())];
      sends[record.tenant()] += decision.outcome() == v1::OUTCOME_SEND ? 1 : 0;
    }
  }
  const SimDatabase::Tables& tables = database.tables();
  Compare("events", events, tables.events, violations);
  Compare("decisions", decisions, tables.decisions, violations);
  for (const auto& [tenant, count] : sends) {
    const auto found = tables.sends.find(tenant);
    if ((found == tables.sends.end() ? 0 : found->second) != count) {
      violations->push_back(
          {"I6", fmt::format("quota_usage of {}: another number than {}", tenant, count)});
    }
  }
}

}  // namespace alertstream::simulation
