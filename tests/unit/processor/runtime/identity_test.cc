#include "processor/runtime/identity.h"

#include <functional>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/log_dump.h"
#include "tests/support/runtime_story.h"

namespace alertstream::runtime {
namespace {

using log::LogDump;
using schemas::Topic;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

TEST(Identity, ANewLogGetsOneIdAndKeepsIt) {
  Story story(3);
  EXPECT_EQ(story.log_id().size(), 16U);
  EXPECT_EQ(story.writer.identity().partitions, 3);
  const auto again = EnsureMarkers(story.log, StoryKey(), 1s);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again.value().log_id, story.log_id());
  for (std::int32_t p = 0; p < 3; ++p) {
    const auto checked = CheckMarkers(story.log, StoryKey(), p, 1s);
    ASSERT_TRUE(checked.ok());
    EXPECT_EQ(checked.value().log_id, story.log_id());
    EXPECT_EQ(checked.value().partitions, 3);
  }
  EXPECT_NE(Story().log_id(), story.log_id());
}

TEST(Identity, IsShownAsAUuid) {
  LogIdentity identity;
  for (char c = 0; c < 16; ++c) {
    identity.log_id.push_back(c);
  }
  EXPECT_EQ(identity.ToText(), "00010203-0405-0607-0809-0a0b0c0d0e0f");
}

TEST(Identity, AnotherTokenKeyIsDenied) {
  Story story;
  const HmacKey other("another key");
  for (const auto& refused :
       {CheckMarkers(story.log, other, 0, 1s), EnsureMarkers(story.log, other, 1s)}) {
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code(), ErrorCode::kDenied);
    EXPECT_THAT(refused.error().message(), HasSubstr("token_key"));
  }
}

TEST(Identity, AMissingMarkerNamesTheCommandThatWritesIt) {
  ManualClock clock;
  log::MemoryEventLog log({.clock = clock});
  ASSERT_TRUE(log.ApplyTopics({.partitions = 1}, 1s).ok());
  const auto refused = CheckMarkers(log, StoryKey(), 0, 1s);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(refused.error().message(), HasSubstr("topics apply"));
}

struct Case {
  std::string name;
  std::function<void(LogDump*, const LogDump& other)> change;
  ErrorCode code;
  std::string message;
};

TEST(Identity, TopicsThatAreNotThisLogsAreRefused) {
  const Case cases[] = {
      {"made anew by somebody else",
       [](LogDump* dump, const LogDump& other) {
         for (const auto& record : other.records) {
           if (record.where.topic == Topic::kOptOuts) {
             *dump->Find(record.where, 0) = record;
           }
         }
       },
       ErrorCode::kConflict, "opt-outs partition 0: carries the marker of another log"},
      {"made anew and empty",
       [](LogDump* dump, const LogDump&) {
         dump->Remove({Topic::kFacts, 0}, 0);
       },
       ErrorCode::kNotFound, "facts partition 0: has no log marker"},
      {"begins with another record",
       [](LogDump* dump, const LogDump&) {
         dump->Find({Topic::kSiteEvents, 0}, 0)->value = "x";
       },
       ErrorCode::kConflict, "site-events partition 0: does not begin with a log marker"},
      {"the marker has another key",
       [](LogDump* dump, const LogDump&) {
         dump->Find({Topic::kSiteEvents, 0}, 0)->key = "acme";
       },
       ErrorCode::kConflict, "site-events partition 0: does not begin with a log marker"},
      {"the first records are gone",
       [](LogDump* dump, const LogDump&) {
         dump->Find({Topic::kJournal, 0}, 0)->offset = 5;
       },
       ErrorCode::kConflict, "journal partition 0: does not begin with a log marker"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    Story story;
    Story other;
    auto dump = log::ReadDump(story.log, 1s).value();
    c.change(&dump, log::ReadDump(other.log, 1s).value());
    const auto log = log::LoadDump(dump, story.clock);
    const auto checked = CheckMarkers(*log, StoryKey(), 0, 1s);
    ASSERT_FALSE(checked.ok());
    EXPECT_EQ(checked.error().code(), c.code);
    EXPECT_THAT(checked.error().message(), HasSubstr(c.message));
  }
}

TEST(Identity, OldLeasesMayHaveBeenDeletedWithTheirMarker) {
  Story story;
  const auto log = log::LoadDump(log::ReadDump(story.log, 1s).value(), story.clock);
  const log::NewRecord lease{Topic::kOwnership, 0, schemas::kLogKey, "a lease"};
  log->Place(lease, {.offset = 7, .append_time = story.clock.Now()});
  EXPECT_TRUE(CheckMarkers(*log, StoryKey(), 0, 1s).ok());
  const auto ensured = EnsureMarkers(*log, StoryKey(), 1s);
  ASSERT_TRUE(ensured.ok()) << ensured.error().message();
  EXPECT_EQ(ensured.value().log_id, story.log_id());
}

}  // namespace
}  // namespace alertstream::runtime
