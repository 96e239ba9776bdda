// The golden histories decided again: another compiler, another cache, another time zone, another
// year, and still the same journal and the same state. A failure means that the engine's behaviour
// changed: gate the change by the engine version.
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "schemas/topics.h"
#include "tests/support/log_dump.h"
#include "tests/support/runtime_story.h"

namespace alertstream::runtime {
namespace {

constexpr const char* kDirectory = ALERTSTREAM_SOURCE_DIR "/tests/integration/golden/";

std::string ReadFile(const std::string& name) {
  std::ifstream file(kDirectory + name, std::ios::binary);
  EXPECT_TRUE(file.good()) << name;
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

// A line of expected.txt.
struct Expected {
  std::string file;
  std::int32_t partition = 0;
  std::string log_id_hex;
  std::uint64_t seq = 0;
  std::string hash_hex;
  std::string root_hex;
};

std::vector<Expected> ReadExpected() {
  std::istringstream lines(ReadFile("expected.txt"));
  std::vector<Expected> all;
  Expected line;
  while (lines >> line.file >> line.partition >> line.log_id_hex >> line.seq >> line.hash_hex >>
         line.root_hex) {
    all.push_back(line);
  }
  return all;
}

bool HasOutputs(const log::LogDump& dump) {
  for (const auto& record : dump.records) {
    if (record.offset > 0 && record.where.topic == schemas::Topic::kDecisions) {
      return true;
    }
  }
  return false;
}

TEST(Golden, EveryHistoryIsDecidedAsItWas) {
  const auto all = ReadExpected();
  ASSERT_GE(all.size(), 4U);
  for (const Expected& expected : all) {
    SCOPED_TRACE(expected.file);
    const auto dump = log::DecodeDump(ReadFile(expected.file + ".bin"));
    ASSERT_TRUE(dump.ok()) << dump.error().message();
    ManualClock clock(FromMicros(0));  // Nobody asks it.
    const auto log = log::LoadDump(dump.value(), clock);
    for (const std::size_t cache_bytes : {std::size_t{48} << 20, std::size_t{1}}) {
      const AuditReport audit = Audit(*log, FromHex(expected.log_id_hex),
                                      {.partition = expected.partition,
                                       .partitions = dump.value().partitions,
                                       .cache_bytes = cache_bytes,
                                       .check_outputs = HasOutputs(dump.value())});
      ASSERT_TRUE(audit.status.ok()) << audit.status.error().message();
      EXPECT_EQ(audit.tail.seq, expected.seq);
      EXPECT_EQ(ToHex(AsView(audit.tail.hash)), expected.hash_hex);
      EXPECT_EQ(audit.root_hex, expected.root_hex);
    }
  }
}

// A story of attempts that held no retry would prove nothing of them.
TEST(Golden, TheDeliveriesHoldWhatBecomesOfAMessage) {
  const auto dump = log::DecodeDump(ReadFile("local_deliveries_v3.bin"));
  ASSERT_TRUE(dump.ok());
  ManualClock clock(FromMicros(0));
  const auto log = log::LoadDump(dump.value(), clock);
  std::string log_id;
  for (const Expected& expected : ReadExpected()) {
    log_id = expected.file == "local_deliveries_v3" ? FromHex(expected.log_id_hex) : log_id;
  }
  const auto outputs = ReadOutputs(*log, log_id);
  ASSERT_TRUE(outputs.ok()) << outputs.error().message();
  std::set<std::string> seen;
  for (const auto& command : outputs.value().commands) {
    seen.insert(v1::CommandKind_Name(command.kind()) + (command.attempt() > 1 ? " again" : ""));
  }
  for (const auto& fact : outputs.value().facts) {
    if (fact.has_notification() && fact.notification().changed()) {
      seen.insert(v1::NotificationStatus_Name(fact.notification().status()));
    }
    if (fact.has_opt_out()) {
      seen.insert(v1::OptOutBy_Name(fact.opt_out().by()));
    }
  }
  for (const char* wanted :
       {"COMMAND_KIND_SEND", "COMMAND_KIND_SEND again", "COMMAND_KIND_CANCEL",
        "COMMAND_KIND_CONFIRMATION", "NOTIFICATION_STATUS_STARTED", "NOTIFICATION_STATUS_ACCEPTED",
        "NOTIFICATION_STATUS_UNKNOWN_OUTCOME", "NOTIFICATION_STATUS_FAILED",
        "NOTIFICATION_STATUS_CANCELLED", "NOTIFICATION_STATUS_EXPIRED", "NOTIFICATION_STATUS_SENT",
        "NOTIFICATION_STATUS_DELIVERED", "OPT_OUT_BY_PROVIDER"}) {
    EXPECT_TRUE(seen.contains(wanted)) << wanted;
  }
}

TEST(Golden, ADumpThatIsCutOffIsRefused) {
  const std::string bytes = ReadFile("local_permissions.bin");
  const auto cut = log::DecodeDump(std::string_view(bytes).substr(0, bytes.size() - 1));
  ASSERT_FALSE(cut.ok());
  EXPECT_EQ(cut.error().code(), ErrorCode::kCorrupt);
  EXPECT_FALSE(log::DecodeDump("something else").ok());
  EXPECT_EQ(log::EncodeDump(log::DecodeDump(bytes).value()), bytes);
}

}  // namespace
}  // namespace alertstream::runtime
