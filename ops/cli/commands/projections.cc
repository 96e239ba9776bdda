#include "ops/cli/commands/projections.h"

#include <algorithm>
#include <memory>
#include <ostream>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "ops/cli/words.h"
#include "processor/runtime/sources.h"
#include "projections/position.h"
#include "projections/rebuild.h"
#include "schemas/json_object.h"

namespace alertstream::cli {
namespace {

using std::chrono::milliseconds;

// Between two lines of progress.
constexpr std::chrono::seconds kTellEvery{2};
// How long the log is given to show a record behind a position.
constexpr milliseconds kLookAhead{300};

constexpr sql::Statement kSchema = {"cli.projections.schema",
                                    "SELECT set_config('search_path', 'read_model', true)"};

Result<std::vector<projections::Position>> ReadPositions(sql::Database& database) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto session,
                               database.Open({.role = "alertstream_projector",
                                              .application_name = "alertstream-projections"}));
  ALERTSTREAM_RETURN_IF_ERROR(session->Begin({.read_only = true}));
  ALERTSTREAM_RETURN_IF_ERROR(session->Run(kSchema));
  ALERTSTREAM_ASSIGN_OR_RETURN(auto positions, projections::ReadPositions(*session));
  ALERTSTREAM_RETURN_IF_ERROR(session->Commit());
  return positions;
}

// Whether the journal has a record behind the offset: ends of transactions take offsets too.
Result<bool> HasMore(const Session& session, std::int32_t partition, std::int64_t offset) {
  ALERTSTREAM_ASSIGN_OR_RETURN(
      auto sources,
      runtime::Sources::Open(session.log, {{{schemas::Topic::kJournal, partition}, offset}}));
  const Status filled = sources.FillAtLeast(0, 1, kLookAhead);
  if (!filled.ok() && filled.error().code() != ErrorCode::kUnavailable) {
    return filled.error();
  }
  return filled.ok();
}

Result<std::vector<Cell>> StatusRow(const Session& session, std::int32_t partition,
                                    const std::vector<projections::Position>& positions,
                                    std::int64_t end) {
  const auto found = std::find_if(positions.begin(), positions.end(), [&](const auto& position) {
    return position.partition == partition;
  });
  const bool begun = found != positions.end() && found->seq > 0;
  if (found != positions.end() && found->log_id != session.identity.log_id) {
    return std::vector<Cell>{{std::int64_t{partition}},
                             {std::string("other_log"), CellStyle::kBad},
                             {Absent{}},
                             {Absent{}},
                             {Absent{}}};
  }
  const std::int64_t next = begun ? found->journal_offset + 1 : 0;
  if (next > end) {
    return std::vector<Cell>{{std::int64_t{partition}},
                             {std::string("log_truncated"), CellStyle::kBad},
                             {found->seq},
                             {Absent{}},
                             {found->log_time}};
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const bool more, next < end ? HasMore(session, partition, next) : Result<bool>(false));
  return std::vector<Cell>{{std::int64_t{partition}},
                           more ? Cell{std::string("behind"), CellStyle::kWarning}
                                : Cell{std::string("current"), CellStyle::kGood},
                           begun ? Cell{found->seq} : Cell{std::int64_t{0}},
                           {more ? end - next : std::int64_t{0}},
                           begun ? Cell{found->log_time} : Cell{Absent{}}};
}

projections::RebuildDeps DepsOf(const Session& session, sql::Database& database,
                                const MakeTables& make_tables) {
  auto told = std::make_shared<std::chrono::microseconds>(session.clock.SinceBoot());
  return {.log = session.log,
          .clock = session.clock,
          .database = database,
          .log_id = session.identity.log_id,
          .partitions = session.identity.partitions,
          .make_tables = make_tables,
          .progress =
              [&session, told](const projections::RebuildProgress& progress) {
                if (session.clock.SinceBoot() - *told < kTellEvery) {
                  return;
                }
                *told = session.clock.SinceBoot();
                session.io.err << fmt::format(
                    "folded {} of {} journal records, {} rows   {:.0f} s, {:.0f} s left\n",
                    Grouped(static_cast<std::uint64_t>(progress.done)),
                    Grouped(static_cast<std::uint64_t>(progress.end)), Grouped(progress.rows),
                    progress.seconds, progress.seconds_left);
              },
          .interrupted = [&session] { return session.Interrupted(); }};
}

std::string ReportText(const projections::RebuildReport& report) {
  return fmt::format("journal        {}\nrows written   {}\nelapsed        {:.1f} s\n",
                     Grouped(static_cast<std::uint64_t>(report.journal_records)),
                     Grouped(report.rows), report.seconds);
}

schemas::JsonObject ReportJson(const projections::RebuildReport& report) {
  schemas::JsonObject object;
  object.Integer("journal_records", report.journal_records)
      .Integer("rows_written", static_cast<std::int64_t>(report.rows))
      .Number("seconds", report.seconds);
  return object;
}

}  // namespace

Result<ExitCode> ProjectionsStatus(const Session& session, sql::Database& database) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto positions, ReadPositions(database));
  std::vector<log::TopicPartition> journals;
  journals.reserve(static_cast<std::size_t>(session.identity.partitions));
  for (std::int32_t partition = 0; partition < session.identity.partitions; ++partition) {
    journals.push_back({schemas::Topic::kJournal, partition});
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto ends, session.log.Ends(journals, log::EndKind::kStable, session.ask_timeout));
  Table table({{.key = "partition", .right = true},
               {.key = "state"},
               {.key = "seq", .right = true},
               {.key = "behind", .right = true},
               {.key = "log_time"}});
  for (std::int32_t partition = 0; partition < session.identity.partitions; ++partition) {
    ALERTSTREAM_ASSIGN_OR_RETURN(auto row, StatusRow(session, partition, positions,
                                                     ends[static_cast<std::size_t>(partition)]));
    table.Add(std::move(row));
  }
  ALERTSTREAM_RETURN_IF_ERROR(Print(session.io, table));
  return ExitCode::kOk;
}

Result<ExitCode> ProjectionsRebuild(const Session& session, sql::Database& database,
                                    const MakeTables& make_tables) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto report,
                               projections::Rebuild(DepsOf(session, database, make_tables)));
  if (session.Json()) {
    session.io.out << ReportJson(report).Take() << "\n";
  } else {
    session.io.out << ReportText(report) << "The tables were made anew and are in use.\n";
  }
  return ExitCode::kOk;
}

Result<ExitCode> ProjectionsVerify(const Session& session, sql::Database& database,
                                   const MakeTables& make_tables) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto report,
                               projections::Verify(DepsOf(session, database, make_tables)));
  const auto& comparison = report.comparison;
  if (session.Json()) {
    schemas::JsonList differences;
    for (const auto& difference : comparison.differences) {
      differences.Raw(schemas::JsonObject()
                          .Text("table", difference.table)
                          .Text("key", difference.key)
                          .Text("what", difference.what)
                          .Take());
    }
    schemas::JsonObject object = ReportJson(report.folded);
    object.Integer("rows_compared", static_cast<std::int64_t>(comparison.rows))
        .Raw("differences", differences.Take());
    session.io.out << object.Take() << "\n";
  } else {
    session.io.out << ReportText(report.folded)
                   << fmt::format("rows compared  {}\n", Grouped(comparison.rows));
    for (const auto& difference : comparison.differences) {
      session.io.out << fmt::format("{}: the row {} {}\n", difference.table, difference.key,
                                    difference.what);
    }
    session.io.out << (comparison.differences.empty()
                           ? "The tables are what the log says.\n"
                           : "The tables are not what the log says. Make them anew: alertstream "
                             "projections rebuild\n");
  }
  return comparison.differences.empty() ? ExitCode::kOk : ExitCode::kMismatch;
}

}  // namespace alertstream::cli
