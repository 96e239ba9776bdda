#include "ops/cli/commands/topics.h"

#include <algorithm>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "ops/cli/commands/raw_records.h"
#include "ops/cli/message_json.h"

namespace alertstream::cli {
namespace {

// One line about each topic; `what` says what is or would be done.
struct TopicLine {
  std::string what;
  CellStyle style = CellStyle::kGood;
};

TopicLine LineOf(const log::TopicInfo& info, std::int32_t partitions) {
  if (!info.exists) {
    return {partitions == 0
                ? std::string("missing")
                : fmt::format("missing: would be created with {} partitions", partitions),
            CellStyle::kWarning};
  }
  if (info.partitions != partitions && partitions > 0) {
    return {fmt::format("has {} partitions, {} are wanted; a partition count never changes",
                        info.partitions, partitions),
            CellStyle::kBad};
  }
  if (!info.wrong_settings.empty()) {
    std::string wrong;
    for (const std::string& setting : info.wrong_settings) {
      wrong += (wrong.empty() ? "" : "; ") + setting;
    }
    return {wrong, CellStyle::kBad};
  }
  return {"ok", CellStyle::kGood};
}

Status PrintTopics(const std::vector<log::TopicInfo>& topics, std::int32_t partitions,
                   const Streams& io) {
  Table table({{.key = "topic"},
               {.key = "exists"},
               {.key = "partitions", .right = true},
               {.key = "replication", .right = true},
               {.key = "state"}});
  for (const auto& info : topics) {
    const TopicLine line = LineOf(info, partitions);
    table.Add({{std::string(schemas::NameOf(info.topic))},
               {info.exists},
               {static_cast<std::int64_t>(info.partitions)},
               {static_cast<std::int64_t>(info.replication)},
               {line.what, line.style}});
  }
  return Print(io, table);
}

}  // namespace

Result<ExitCode> TopicsPlan(log::EventLog& log, const log::TopicPlan& plan,
                            std::chrono::milliseconds timeout, const Streams& io) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto topics, log.DescribeTopics(timeout));
  ALERTSTREAM_RETURN_IF_ERROR(PrintTopics(topics, plan.partitions, io));
  const auto missing =
      std::count_if(topics.begin(), topics.end(), [](const auto& info) { return !info.exists; });
  const auto wrong = std::count_if(topics.begin(), topics.end(), [](const auto& info) {
    return info.exists && !info.wrong_settings.empty();
  });
  io.err << fmt::format("{}: {} to create, {} to mend.{}\n", log.Describe(), missing, wrong,
                        missing + wrong > 0 ? " Next: alertstream topics apply" : "");
  return ExitCode::kOk;
}

Result<ExitCode> TopicsApply(log::EventLog& log, const HmacKey& token_key,
                             const log::TopicPlan& plan, std::chrono::milliseconds timeout,
                             const Streams& io) {
  ALERTSTREAM_RETURN_IF_ERROR(log.ApplyTopics(plan, timeout));
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto identity,
                               runtime::EnsureMarkers(log, token_key, timeout));
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto topics, log.DescribeTopics(timeout));
  ALERTSTREAM_RETURN_IF_ERROR(PrintTopics(topics, identity.partitions, io));
  io.err << fmt::format("{} is ready: log {}, {} partitions\n", log.Describe(), identity.ToText(),
                        identity.partitions);
  return ExitCode::kOk;
}

Result<ExitCode> TopicsStatus(log::EventLog& log, std::chrono::milliseconds timeout,
                              const Streams& io) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto topics, log.DescribeTopics(timeout));
  ALERTSTREAM_RETURN_IF_ERROR(PrintTopics(topics, 0, io));
  const bool missing =
      std::any_of(topics.begin(), topics.end(), [](const auto& info) { return !info.exists; });
  const bool wrong = std::any_of(topics.begin(), topics.end(),
                                 [](const auto& info) { return !info.wrong_settings.empty(); });
  if (missing || wrong) {
    io.err << "mend it with: alertstream topics apply\n";
  }
  return missing ? ExitCode::kNotFound : wrong ? ExitCode::kFailed : ExitCode::kOk;
}

Result<ExitCode> TopicDump(const Session& session, const TopicDumpOptions& options) {
  const auto personal = options.show_personal ? PersonalData::kShown : PersonalData::kMasked;
  std::uint64_t printed = 0;
  for (std::int32_t partition = 0; partition < session.identity.partitions; ++partition) {
    if (options.partition && *options.partition != partition) {
      continue;
    }
    ALERTSTREAM_RETURN_IF_ERROR(ForEachRecord(
        session, {options.topic, partition}, options.offset,
        [&](const log::RecordView& record) -> Result<bool> {
          if (options.records_max != 0 && printed >= options.records_max) {
            return false;
          }
          session.io.out << RecordJson(options.topic, partition, record, personal) << "\n";
          ++printed;
          return true;
        }));
  }
  if (options.partition &&
      (*options.partition < 0 || *options.partition >= session.identity.partitions)) {
    return Error(ErrorCode::kNotFound,
                 fmt::format("there is no partition {}; the log has {}", *options.partition,
                             session.identity.partitions));
  }
  return ExitCode::kOk;
}

Result<ExitCode> TopicStats(const Session& session) {
  Table table({{.key = "topic"},
               {.key = "partition", .right = true},
               {.key = "end", .title = "END OFFSET", .right = true},
               {.key = "last_append"}});
  for (const auto& spec : schemas::kTopics) {
    for (std::int32_t partition = 0; partition < session.identity.partitions; ++partition) {
      ALERTSTREAM_ASSIGN_OR_RETURN(const auto last, ReadLast(session, {spec.topic, partition}, 1));
      table.Add({{std::string(spec.name)},
                 {static_cast<std::int64_t>(partition)},
                 {last.end},
                 {last.records.empty() ? Cell::Value(Absent{})
                                       : Cell::Value(last.records.back().append_time)}});
    }
  }
  ALERTSTREAM_RETURN_IF_ERROR(Print(session.io, table));
  return ExitCode::kOk;
}

}  // namespace alertstream::cli
