// Writes the golden histories: golden_writer DIRECTORY [KAFKA_HOST:PORT]
// Local ones are told on a local log with a clock of their own, those of Kafka on a real broker.
// Each becomes LOG_HISTORY_vVERSION.bin (those of engine version 1 have no suffix), with its
// outputs where they are few; those of Kafka without, as their roots in the journal are compared
// anyway. expected.txt holds where each partition's journal stands at its end; what earlier
// versions wrote stays as it is.
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>

#include <fmt/format.h>

#include "processor/log/kafka/kafka_log.h"
#include "processor/log/local/local_log.h"
#include "schemas/topics.h"
#include "tests/integration/golden/golden_histories.h"
#include "tests/support/kafka_admin.h"
#include "tests/support/kafka_log_fixture.h"
#include "tests/support/local_log_fixture.h"
#include "tests/support/log_dump.h"

namespace alertstream::runtime {
namespace {

Status Write(const std::string& directory, const std::string& name, const GoldenHistory& history,
             log::EventLog& log, GoldenStage& stage, bool outputs, std::string* expected) {
  ALERTSTREAM_RETURN_IF_ERROR(history.tell(stage));
  ALERTSTREAM_ASSIGN_OR_RETURN(auto dump, log::ReadDump(log, kStoryTimeout));
  if (!outputs) {
    std::erase_if(dump.records, [](const auto& record) {
      return schemas::SpecOf(record.where.topic).role == schemas::TopicRole::kOutput &&
             record.offset > 0;
    });
  }
  const std::string bytes = log::EncodeDump(dump);
  std::ofstream file(fmt::format("{}/{}.bin", directory, name), std::ios::binary);
  file << bytes;
  for (std::int32_t p = 0; p < history.partitions; ++p) {
    const AuditReport audit = Audit(log, stage.writer().identity().log_id,
                                    {.partition = p, .partitions = history.partitions});
    ALERTSTREAM_RETURN_IF_ERROR(audit.status);
    *expected +=
        fmt::format("{} {} {} {} {} {}\n", name, p, ToHex(stage.writer().identity().log_id),
                    audit.tail.seq, ToHex(AsView(audit.tail.hash)), audit.root_hex);
  }
  std::printf("%s: %zu records, %zu bytes\n", name.c_str(), dump.records.size(), bytes.size());
  return file.good() ? Status::Ok() : Status(Error(ErrorCode::kUnavailable, "cannot be written"));
}

constexpr std::string_view kSuffixMark = "_v";

std::string Suffix() { return fmt::format("{}{}", kSuffixMark, engine::kEngineVersion); }

std::string NameOf(std::string_view log, const GoldenHistory& history) {
  return fmt::format("{}_{}{}", log, history.name, Suffix());
}

// The lines of the versions before this one.
std::string EarlierLines(const std::string& directory) {
  std::ifstream file(directory + "/expected.txt");
  std::string lines;
  for (std::string line; std::getline(file, line);) {
    if (!line.substr(0, line.find(' ')).ends_with(Suffix())) {
      lines += line + "\n";
    }
  }
  return lines;
}

Status WriteLocal(const std::string& directory, const GoldenHistory& history,
                  std::string* expected) {
  const log::TemporaryDirectory scratch;
  ManualClock clock;
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto log,
      log::OpenLocalLog({.directory = scratch.path() + "/log", .clock = clock, .sync = false}));
  GoldenStage stage(*log, clock, history.partitions, [&](LogDuration by) { clock.Advance(by); });
  return Write(directory, NameOf("local", history), history, *log, stage, history.outputs,
               expected);
}

Status WriteKafka(const std::string& directory, const std::string& bootstrap,
                  const GoldenHistory& history, std::string* expected) {
  const auto options = log::FreshKafkaOptions(bootstrap);
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto log, log::OpenKafkaLog(options));
  GoldenStage stage(*log, SystemClock(), history.partitions, [](LogDuration by) {
    if (by >= std::chrono::seconds{1}) {
      SystemClock().SleepFor(std::chrono::duration_cast<std::chrono::milliseconds>(by));
    }
  });
  const Status written =
      Write(directory, NameOf("kafka", history), history, *log, stage, false, expected);
  const Status deleted = log::DeleteKafkaTopics(options);
  return written.ok() ? deleted : written;
}

int Run(const std::string& directory, const std::string& bootstrap) {
  std::string expected = EarlierLines(directory);
  for (const GoldenHistory& history : GoldenHistories()) {
    Status written = WriteLocal(directory, history, &expected);
    if (written.ok() && !bootstrap.empty()) {
      written = WriteKafka(directory, bootstrap, history, &expected);
    }
    if (!written.ok()) {
      std::fprintf(stderr, "%s\n", written.error().message().c_str());
      return 1;
    }
  }
  std::ofstream(directory + "/expected.txt") << expected;
  return 0;
}

}  // namespace
}  // namespace alertstream::runtime

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: golden_writer DIRECTORY [KAFKA_HOST:PORT]\n");
    return 2;
  }
  return alertstream::runtime::Run(argv[1], argc > 2 ? argv[2] : "");
}
