#include "tests/simulation/sim_database.h"

#include <charconv>
#include <string_view>

namespace alertstream::simulation {
namespace {

constexpr Micros kCallMin{100};
constexpr Micros kCallMax{3'000};
// In position.add and position.move.
constexpr std::size_t kLogId = 1;
constexpr std::size_t kSeq = 2;
constexpr std::size_t kTime = 7;
constexpr std::size_t kFrom = 8;

std::int64_t NumberOf(const std::optional<std::string>& text) {
  std::int64_t value = 0;
  if (text) {
    std::from_chars(text->data(), text->data() + text->size(), value);
  }
  return value;
}

// The elements of a text array as sql::Params writes it.
std::vector<std::string> Elements(std::string_view text) {
  std::vector<std::string> elements;
  std::string element;
  bool any = false;
  bool quoted = false;
  for (std::size_t i = 1; i + 1 < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\' && quoted) {
      element.push_back(text[++i]);
    } else if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      elements.push_back(std::exchange(element, {}));
    } else {
      element.push_back(c);
    }
    any = true;
  }
  if (any) {
    elements.push_back(element);
  }
  return elements;
}

// A timestamp of ours as the server shows it.
std::string Shown(std::string time) {
  const std::size_t t = time.find('T');
  if (t != std::string::npos && time.ends_with('Z')) {
    time[t] = ' ';
    time.pop_back();
    time += "+00";
  }
  return time;
}

}  // namespace

std::int64_t SimDatabase::Tables::Seq() const {
  return position.empty() ? 0 : NumberOf(position[kSeq]);
}

Error SimSession::Gone() {
  Rollback();
  alive_ = false;
  return {ErrorCode::kUnavailable, "simulation: the database cannot be reached"};
}

bool SimSession::Reach() {
  if (!world_.Delay(kCallMin, kCallMax)) {
    return false;
  }
  const auto away = database_.away_until.find(&process_);
  return away == database_.away_until.end() || world_.now() >= away->second;
}

Status SimSession::KeepTenant(const std::string& /*tenant*/) {
  return Error(ErrorCode::kInvalid, "a simulated session keeps no tenant");
}

Status SimSession::Begin(const sql::TransactionOptions& /*options*/) {
  if (!Reach()) {
    return Gone();
  }
  open_ = true;
  added_ = {};
  return Status::Ok();
}

Status SimSession::Commit() {
  if (!Reach()) {
    return Gone();
  }
  const auto fault = database_.faults.find(&process_);
  const DatabaseFault how = fault == database_.faults.end() || !added_.Seq()
                                ? DatabaseFault::kNone
                                : std::exchange(fault->second, DatabaseFault::kNone);
  const auto unknown = [this] {
    Rollback();
    alive_ = false;
    return Error(ErrorCode::kUnknown, "simulation: the connection broke during a commit");
  };
  if (how == DatabaseFault::kRequestLost) {
    return unknown();
  }
  auto& tables = database_.tables_;
  if (!added_.position.empty()) {
    tables.position = added_.position;
    database_.seq_max_ = std::max(database_.seq_max_, tables.Seq());
  }
  const auto add = [](const std::map<std::string, int>& from, std::map<std::string, int>* to) {
    for (const auto& [key, count] : from) {
      (*to)[key] += count;
    }
  };
  add(added_.decisions, &tables.decisions);
  add(added_.events, &tables.events);
  add(added_.notifications, &tables.notifications);
  for (const auto& [tenant, sends] : added_.sends) {
    tables.sends[tenant] = sends;
  }
  if (how == DatabaseFault::kAnswerLost || !world_.Delay(kCallMin, kCallMax)) {
    return unknown();
  }
  Rollback();  // Nothing is open any more.
  return Status::Ok();
}

void SimSession::Rollback() {
  open_ = false;
  added_ = {};
  if (database_.lock_ == this) {
    database_.lock_ = nullptr;
  }
}

Result<sql::Rows> SimSession::MovePosition(const sql::Params& params) {
  // The row is locked by whoever has changed it.
  while (database_.lock_ != nullptr && database_.lock_ != this) {
    world_.Sleep(kCallMin);
  }
  const auto& values = params.values();
  const auto& row = database_.tables_.position;
  if (row.empty() || row[kLogId] != values[kLogId] || row[kSeq] != values[kFrom]) {
    return sql::Rows(0, 0);
  }
  database_.lock_ = this;
  added_.position.assign(values.begin(), values.begin() + kFrom);
  return sql::Rows(0, 1);
}

void SimSession::AddRows(const std::string& name, const sql::Params& params) {
  const auto& values = params.values();
  if (name == "projections.quota_usage") {
    const auto tenants = Elements(*values[0]);
    const auto sends = Elements(*values[2]);
    for (std::size_t i = 0; i < tenants.size(); ++i) {
      added_.sends[tenants[i]] = NumberOf(sends[i]);
    }
    return;
  }
  std::map<std::string, int>* table = nullptr;
  if (name == "projections.decisions") {
    table = &added_.decisions;
  } else if (name == "projections.events") {
    table = &added_.events;
  } else if (name == "projections.notifications.insert") {
    table = &added_.notifications;
  } else {
    return;
  }
  const auto tenants = Elements(*values[0]);
  const auto ids = Elements(*values[1]);
  for (std::size_t i = 0; i < tenants.size(); ++i) {
    ++(*table)[tenants[i] + " " + ids[i]];
  }
}

Result<sql::Rows> SimSession::Run(const sql::Statement& statement, const sql::Params& params) {
  if (!Reach()) {
    return Gone();
  }
  const std::string name = statement.name;
  if (name == "projections.position") {
    const auto& row = database_.tables_.position;
    sql::Rows rows(8, 0);
    for (std::size_t i = 0; i < row.size(); ++i) {
      rows.AddValue(i == kTime ? Shown(*row[i]) : *row[i]);
    }
    return rows;
  }
  if (name == "projections.position.add") {
    if (database_.tables_.position.empty()) {
      database_.tables_.position.assign(params.values().begin(), params.values().end());
    }
    return sql::Rows(0, 1);
  }
  if (name == "projections.position.move") {
    return MovePosition(params);
  }
  AddRows(name, params);
  // Every other statement changes as many rows as it names.
  const auto& values = params.values();
  const bool rows = !values.empty() && values[0] && values[0]->starts_with('{');
  return sql::Rows(0, rows ? Elements(*values[0]).size() : 0);
}

Status SimSession::RunScript(const std::string& /*script*/) { return Status::Ok(); }
Status SimSession::Listen(const char* /*channel*/) { return Status::Ok(); }
Result<std::vector<std::string>> SimSession::AwaitPayloads(std::chrono::milliseconds /*timeout*/) {
  return std::vector<std::string>();
}

}  // namespace alertstream::simulation
