#include "processor/runtime/output_reader.h"

#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "processor/journal/merkle.h"
#include "tests/support/log_dump.h"
#include "tests/support/runtime_story.h"

namespace alertstream::runtime {
namespace {

std::string EncodeStamp(const journal::Stamp& stamp) {
  std::string bytes;
  journal::AppendStamp(stamp, &bytes);
  return bytes;
}

using schemas::Topic;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using namespace std::chrono_literals;

OutputReaderOptions Options(const Story& story, std::vector<Topic> topics) {
  return {.log_id = story.log_id(), .topics = std::move(topics), .read_timeout = 50ms};
}

TEST(OutputReader, ReleasesEachBatchWithTheWantedTopicsOnly) {
  Story story;
  story.writer.Shop("acme");
  const auto owner = story.Start();
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  story.writer.Order("acme", "o1");
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  const auto reader = OutputReader::Open(story.log, Options(story, {Topic::kDecisions}));
  ASSERT_TRUE(reader.ok());
  for (const std::size_t outputs : {0U, 0U, 1U}) {
    EXPECT_FALSE(reader.value()->AtOpeningEnd());
    const auto batch = reader.value()->Next(1s);
    ASSERT_TRUE(batch.ok() && batch.value().has_value());
    EXPECT_THAT(batch.value()->outputs, SizeIs(outputs));
  }
  EXPECT_TRUE(reader.value()->AtOpeningEnd());
  const auto none = reader.value()->Next(0ms);
  ASSERT_TRUE(none.ok());
  EXPECT_FALSE(none.value().has_value());
}

TEST(OutputReader, FromTheEndItSeesWhatComesAfter) {
  Story story;
  story.writer.Shop("acme");
  story.writer.Order("acme", "o1");
  const auto owner = story.Start();
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  auto options = Options(story, {Topic::kDecisions, Topic::kNotificationCommands});
  options.from_end = true;
  const auto reader = OutputReader::Open(story.log, options);
  ASSERT_TRUE(reader.ok());
  EXPECT_TRUE(reader.value()->AtOpeningEnd());
  EXPECT_FALSE(reader.value()->Next(0ms).value().has_value());
  const auto event = story.writer.Order("acme", "o2");
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  const auto batch = reader.value()->Next(1s);
  ASSERT_TRUE(batch.ok() && batch.value().has_value());
  ASSERT_THAT(batch.value()->outputs, SizeIs(2));
  v1::DecisionRecord decision;
  const auto value = batch.value()->outputs[0].record.value;
  ASSERT_TRUE(decision.ParseFromArray(value.data(), static_cast<int>(value.size())));
  EXPECT_EQ(decision.event().offset(), event.offset);
}

TEST(OutputReader, GoesOnFromWhereAnotherStood) {
  Story story;
  story.writer.Shop("acme");
  const auto owner = story.Start();
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  const std::vector<Topic> topics = {Topic::kDecisions, Topic::kNotificationCommands};
  const auto first = OutputReader::Open(story.log, Options(story, topics));
  std::vector<ResumePoint> points = {first.value()->resume_point()};
  std::vector<std::uint64_t> seqs;
  std::vector<std::size_t> outputs;
  for (const char* const order : {"o1", "o2", "o3"}) {
    story.writer.Order("acme", order);
    ASSERT_TRUE(owner->RunUntilQuiet().ok());
  }
  for (;;) {
    const auto batch = first.value()->Next(0ms);
    ASSERT_TRUE(batch.ok());
    if (!batch.value()) {
      break;
    }
    seqs.push_back(batch.value()->journal.seq());
    outputs.push_back(batch.value()->outputs.size());
    points.push_back(first.value()->resume_point());
  }
  ASSERT_THAT(seqs, SizeIs(5));
  // The very first place is the beginning, which needs no trust.
  for (std::size_t i = 1; i < seqs.size(); ++i) {
    EXPECT_EQ(points[i].seq, seqs[i - 1]);
    auto options = Options(story, topics);
    options.resume = points[i];
    const auto second = OutputReader::Open(story.log, options);
    ASSERT_TRUE(second.ok());
    for (std::size_t k = i; k < seqs.size(); ++k) {
      const auto batch = second.value()->Next(1s);
      ASSERT_TRUE(batch.ok() && batch.value());
      EXPECT_EQ(batch.value()->journal.seq(), seqs[k]);
      EXPECT_THAT(batch.value()->outputs, SizeIs(outputs[k]));
    }
    EXPECT_TRUE(second.value()->AtOpeningEnd());
    EXPECT_EQ(second.value()->tail(), first.value()->tail());
  }
}

TEST(OutputReader, APlaceOfAnotherHistoryStopsIt) {
  Story story;
  story.writer.Shop("acme");
  const auto owner = story.Start();
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  auto options = Options(story, {Topic::kDecisions});
  options.resume = ResumePoint{.seq = 7, .journal_offset = 1, .topics = {{Topic::kDecisions, 0}}};
  const auto reader = OutputReader::Open(story.log, options);
  ASSERT_TRUE(reader.ok());
  const auto batch = reader.value()->Next(1s);
  ASSERT_FALSE(batch.ok());
  EXPECT_EQ(batch.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(batch.error().message(), HasSubstr("seq 1 lies where 8 is expected"));
  options.resume->topics.clear();
  const auto without = OutputReader::Open(story.log, options);
  ASSERT_FALSE(without.ok());
  EXPECT_EQ(without.error().code(), ErrorCode::kInvalid);
  EXPECT_THAT(without.error().message(), HasSubstr("no offset of decisions"));
}

TEST(OutputReader, WakeEndsAWait) {
  Story story;
  const auto reader = OutputReader::Open(story.log, Options(story, {Topic::kDecisions}));
  reader.value()->Wake();
  const auto before = reader.value()->Next(1h);  // It was woken before it waited.
  ASSERT_TRUE(before.ok());
  EXPECT_FALSE(before.value());
  std::thread other([&] { reader.value()->Wake(); });
  const auto during = reader.value()->Next(1h);
  other.join();
  ASSERT_TRUE(during.ok());
  EXPECT_FALSE(during.value());
}

TEST(OutputReader, FromTheEndOfAnEmptyJournalItSeesTheFirstClaim) {
  Story story;
  auto options = Options(story, {Topic::kDecisions});
  options.from_end = true;
  const auto reader = OutputReader::Open(story.log, options);
  const auto owner = story.Start();
  const auto batch = reader.value()->Next(1s);
  ASSERT_TRUE(batch.ok() && batch.value().has_value());
  EXPECT_EQ(batch.value()->journal.kind(), v1::JOURNAL_KIND_CLAIM);
}

TEST(OutputReader, OutputsOfASupersededOwnerAreDroppedAndCounted) {
  Story story;
  story.writer.Shop("acme");
  const auto first = story.Start();
  ASSERT_TRUE(first->RunUntilQuiet().ok());
  const auto second = story.Start();
  const std::string stamp = EncodeStamp(
      {.partition = 0, .seq = 3, .index = 0, .owner_epoch = first->task().owner().epoch});
  const log::Header header{journal::kStampHeader, stamp};
  story.writer.Raw(Topic::kDecisions, "acme", "of the first owner", 0, std::span(&header, 1));
  story.writer.Order("acme", "o1");
  ASSERT_TRUE(second->RunUntilQuiet().ok());
  const Outputs outputs = story.Read();
  EXPECT_EQ(outputs.dropped, 1U);
  EXPECT_THAT(outputs.decisions, SizeIs(1));
}

TEST(OutputReader, RecordsOfSomebodyElseStopIt) {
  const std::string wrong_seq =
      EncodeStamp({.partition = 0, .seq = 99, .index = 0, .owner_epoch = 1});
  const std::string wrong_partition =
      EncodeStamp({.partition = 1, .seq = 3, .index = 0, .owner_epoch = 1});
  const std::string wrong_index =
      EncodeStamp({.partition = 0, .seq = 3, .index = 1, .owner_epoch = 1});
  const std::string short_stamp = "short";
  for (const std::string* stamp : {static_cast<const std::string*>(nullptr), &wrong_seq,
                                   &wrong_partition, &wrong_index, &short_stamp}) {
    Story story;
    story.writer.Shop("acme");
    const auto owner = story.Start();
    ASSERT_TRUE(owner->RunUntilQuiet().ok());
    const std::string_view value = stamp == nullptr ? std::string_view() : *stamp;
    const log::Header header{journal::kStampHeader, value};
    story.writer.Raw(Topic::kDecisions, "acme", "foreign", 0,
                     std::span(&header, stamp == nullptr ? 0 : 1));
    story.writer.Order("acme", "o1");
    ASSERT_TRUE(owner->RunUntilQuiet().ok());
    const auto read = ReadOutputs(story.log, story.log_id());
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.error().code(), ErrorCode::kCorrupt);
    EXPECT_THAT(read.error().message(), HasSubstr("something else wrote to this topic"));
    EXPECT_THAT(read.error().message(), HasSubstr("decisions partition 0 offset 1"));
  }
}

TEST(OutputReader, AChangedOutputStopsIt) {
  Story story;
  story.writer.Shop("acme");
  story.writer.Order("acme", "o1");
  const auto owner = story.Start();
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  auto dump = log::ReadDump(story.log, kStoryTimeout).value();
  for (auto& record : dump.records) {
    if (record.where.topic == Topic::kNotificationCommands && record.offset > 0) {
      record.value += "x";
    }
  }
  const auto changed = log::LoadDump(dump, story.clock);
  const auto read = ReadOutputs(*changed, story.log_id());
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(read.error().message(), HasSubstr("notification-commands partition 0 seq 2"));
}

TEST(OutputReader, ABatchWhoseOutputsCannotBeReadYetIsNotLost) {
  Story story;
  story.writer.Shop("acme");
  const auto owner = story.Start();
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  story.writer.Order("acme", "o1");
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  const auto reader = OutputReader::Open(
      story.log, Options(story, {Topic::kNotificationCommands, Topic::kDecisions}));
  ASSERT_TRUE(reader.value()->Next(1s).ok());
  ASSERT_TRUE(reader.value()->Next(1s).ok());
  story.log.FailReads(Topic::kDecisions, true);
  for (int i = 0; i < 2; ++i) {
    const auto away = reader.value()->Next(1s);
    ASSERT_FALSE(away.ok());
    EXPECT_EQ(away.error().code(), ErrorCode::kUnavailable);
  }
  story.log.FailReads(Topic::kDecisions, false);
  const auto batch = reader.value()->Next(1s);
  ASSERT_TRUE(batch.ok() && batch.value().has_value());
  EXPECT_EQ(batch.value()->journal.seq(), 3U);
  EXPECT_THAT(batch.value()->outputs, SizeIs(2));
}

TEST(OutputReader, AnotherLogsJournalStopsIt) {
  Story story;
  const auto owner = story.Start();
  const auto read = ReadOutputs(story.log, std::string(16, 'x'));
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(read.error().message(), HasSubstr("another log"));
}

}  // namespace
}  // namespace alertstream::runtime
