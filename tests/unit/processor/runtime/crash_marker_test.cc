// A record that kills the process: remembered when it was the fold's own doing, passed by a SKIP.
#include "processor/runtime/crash_marker.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "processor/runtime/task.h"
#include "tests/support/runtime_story.h"

namespace alertstream::runtime {
namespace {

using schemas::Topic;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::SizeIs;
using namespace std::chrono_literals;

constexpr std::string_view kAnyLog;  // To look at what a story's own log left.

// Uses up the stack; `depth` keeps the compiler from making a loop of it.
int Overflow(int depth) {  // NOLINT(misc-no-recursion)
  volatile char frame[1024] = {static_cast<char>(depth)};
  return depth < 0 ? 0 : Overflow(depth + 1) + frame[0];
}

class CrashTest : public ::testing::Test {
 protected:
  CrashTest()
      : path_((std::filesystem::temp_directory_path() /
               fmt::format("alertstream-crash-{}-{}", getpid(),
                           ::testing::UnitTest::GetInstance()->current_test_info()->name()))
                  .string()) {}
  ~CrashTest() override { std::filesystem::remove(path_); }

  InstanceOptions Options(engine::Fold::Probe probe = nullptr) const {
    InstanceOptions options;
    options.task.crash_marker_path = path_;
    options.task.probe = std::move(probe);
    return options;
  }

  // Runs the story's owner in a child until it dies of the signal on the record; what the child
  // did to the memory log is lost with it, as an uncommitted batch is.
  void Die(Story& story, Topic topic, std::int64_t offset, int signal) const {
    Die(story, topic, offset, [signal] { raise(signal); });
  }

  void Die(Story& story, Topic topic, std::int64_t offset,
           const std::function<void()>& crash) const {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      const rlimit no_core{0, 0};
      setrlimit(RLIMIT_CORE, &no_core);
      auto owner = story.Start(story.store, Options([&](Topic at, std::int64_t where) {
                                 if (at == topic && where == offset) {
                                   crash();
                                 }
                               }));
      if (owner != nullptr) {
        static_cast<void>(owner->RunUntilQuiet().ok());
      }
      _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_FALSE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "it did not die";
  }

  const std::string path_;
};

TEST_F(CrashTest, AnEventThatCrashesTwiceIsSkippedAndEverythingElseIsDecided) {
  Story story;
  story.writer.Shop("acme");
  const auto first = story.writer.Order("acme", "o1");
  const auto bad = story.writer.Order("acme", "o2");
  const auto last = story.writer.Order("acme", "o3");
  Die(story, Topic::kSiteEvents, bad.offset, SIGSEGV);
  // The first time it gets another chance, alone: the records around it are not held up.
  Die(story, Topic::kSiteEvents, bad.offset, SIGSEGV);
  const auto owner = story.Start(story.store, Options());
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  EXPECT_FALSE(owner->task().stopped().has_value());

  const Outputs outputs = story.Read();
  EXPECT_THAT(outputs.DecisionsByEvent(), ElementsAre(Pair(first.offset, 1), Pair(last.offset, 1)));
  ASSERT_THAT(outputs.dead_letters, SizeIs(1));
  EXPECT_EQ(outputs.dead_letters[0].reason(), v1::DEAD_LETTER_REASON_CRASHED_PROCESS);
  EXPECT_EQ(outputs.dead_letters[0].stage(), v1::DEAD_LETTER_STAGE_SKIP);
  EXPECT_EQ(outputs.dead_letters[0].record().offset(), bad.offset);
  std::vector<v1::JournalRecord> skips;
  for (const auto& record : outputs.journal) {
    if (record.kind() == v1::JOURNAL_KIND_SKIP) {
      skips.push_back(record);
    }
  }
  ASSERT_THAT(skips, SizeIs(1));
  EXPECT_TRUE(skips[0].skip().automatic());
  EXPECT_EQ(skips[0].skip().record().offset(), bad.offset);
  story.ExpectAuditAgrees(*owner);

  // It is forgotten: the next start is a normal one.
  const auto marker = CrashMarker::Open(path_, kAnyLog);
  ASSERT_TRUE(marker.ok());
  EXPECT_FALSE(marker.value()->suspect().has_value());
}

TEST_F(CrashTest, AFoldThatUsesUpItsStackIsRememberedToo) {
  Story story;
  story.writer.Shop("acme");
  const auto bad = story.writer.Order("acme", "o1");
  Die(story, Topic::kSiteEvents, bad.offset, [] { static_cast<void>(Overflow(1)); });
  const auto suspect = CrashMarker::Open(path_, kAnyLog).value()->suspect();
  ASSERT_TRUE(suspect.has_value());
  EXPECT_EQ(suspect->topic, Topic::kSiteEvents);
  EXPECT_EQ(suspect->offset, bad.offset);
  EXPECT_EQ(suspect->crashes, 1U);
}

TEST_F(CrashTest, ACrashInAnotherLogSaysNothingAboutThisOne) {
  Story story;
  story.writer.Shop("acme");
  const auto bad = story.writer.Order("acme", "o1");
  Die(story, Topic::kSiteEvents, bad.offset, SIGSEGV);
  EXPECT_FALSE(CrashMarker::Open(path_, "another log id!!").value()->suspect().has_value());
}

TEST_F(CrashTest, ACrashThatDoesNotComeAgainIsForgotten) {
  Story story;
  story.writer.Shop("acme");
  story.writer.Order("acme", "o1");
  const auto suspect = story.writer.Order("acme", "o2");
  Die(story, Topic::kSiteEvents, suspect.offset, SIGABRT);
  const auto owner = story.Start(story.store, Options());
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  EXPECT_THAT(story.Read().decisions, SizeIs(2));
  EXPECT_THAT(story.Read().dead_letters, SizeIs(0));
  const auto marker = CrashMarker::Open(path_, kAnyLog);
  EXPECT_FALSE(marker.value()->suspect().has_value());
  story.ExpectAuditAgrees(*owner);
}

TEST_F(CrashTest, APermissionThatCrashesStopsThePartitionUntilAnOperatorSkipsIt) {
  Story story;
  story.writer.Shop("acme");
  const auto bad = story.writer.Consent("acme", v1::CONSENT_STATUS_GRANTED);
  story.writer.Order("acme", "o1");
  Die(story, Topic::kConsentChanges, bad.offset, SIGSEGV);
  Die(story, Topic::kConsentChanges, bad.offset, SIGSEGV);
  const auto owner = story.Start(story.store, Options());
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  ASSERT_TRUE(owner->task().stopped().has_value());
  EXPECT_THAT(*owner->task().stopped(),
              HasSubstr(fmt::format("consent-changes partition 0 offset {}", bad.offset)));
  EXPECT_THAT(*owner->task().stopped(),
              HasSubstr(fmt::format("dlq skip consent-changes/0/{}", bad.offset)));
  EXPECT_THAT(story.Read().decisions, SizeIs(0));

  // A request for another record changes nothing.
  story.writer.SkipRequested(Topic::kConsentChanges, bad.offset + 1);
  story.clock.Advance(2s);
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  EXPECT_TRUE(owner->task().stopped().has_value());

  const auto request = story.writer.SkipRequested(Topic::kConsentChanges, bad.offset, "seen it");
  story.clock.Advance(2s);
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  EXPECT_FALSE(owner->task().stopped().has_value());
  EXPECT_TRUE(owner->task().idle());
  const Outputs outputs = story.Read();
  EXPECT_THAT(outputs.decisions, SizeIs(1));
  ASSERT_THAT(outputs.dead_letters, SizeIs(1));
  EXPECT_EQ(outputs.dead_letters[0].reason(), v1::DEAD_LETTER_REASON_SKIPPED_BY_OPERATOR);
  EXPECT_EQ(outputs.dead_letters[0].detail(), "seen it");
  for (const auto& record : outputs.journal) {
    if (record.kind() == v1::JOURNAL_KIND_SKIP) {
      EXPECT_FALSE(record.skip().automatic());
      EXPECT_EQ(record.skip().request().offset(), request.offset);
      EXPECT_EQ(record.skip().actor(), "story");
    }
  }
  story.ExpectAuditAgrees(*owner);
}

TEST_F(CrashTest, AKillLeavesNoMark) {
  Story story;
  story.writer.Shop("acme");
  const auto event = story.writer.Order("acme", "o1");
  for (int i = 0; i < 3; ++i) {
    Die(story, Topic::kSiteEvents, event.offset, SIGKILL);
  }
  const auto marker = CrashMarker::Open(path_, kAnyLog);
  ASSERT_TRUE(marker.ok());
  EXPECT_FALSE(marker.value()->suspect().has_value());
}

TEST_F(CrashTest, ACrashOutsideTheFoldLeavesNoMark) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const rlimit no_core{0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    auto marker = CrashMarker::Open(path_, kAnyLog);
    marker.value()->Enter();
    marker.value()->At(Topic::kSiteEvents, 7);
    marker.value()->Leave();
    raise(SIGSEGV);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  const auto marker = CrashMarker::Open(path_, kAnyLog);
  ASSERT_TRUE(marker.ok());
  EXPECT_FALSE(marker.value()->suspect().has_value());
}

TEST_F(CrashTest, AFileOfAnotherLayoutIsStartedAnew) {
  {
    std::FILE* file = std::fopen(path_.c_str(), "w");
    ASSERT_NE(file, nullptr);
    std::fputs("something of somebody else, longer than the marker itself is, and no marker", file);
    std::fclose(file);
  }
  EXPECT_FALSE(CrashMarker::Peek(path_).has_value());
  const auto marker = CrashMarker::Open(path_, kAnyLog);
  ASSERT_TRUE(marker.ok());
  EXPECT_FALSE(marker.value()->suspect().has_value());
  EXPECT_FALSE(CrashMarker::Peek(path_).has_value());
}

TEST_F(CrashTest, WhereThereIsNoFileNothingIsSeenAndNoneIsMade) {
  EXPECT_FALSE(CrashMarker::Peek(path_ + ".none").has_value());
  EXPECT_FALSE(std::filesystem::exists(path_ + ".none"));
}

TEST_F(CrashTest, APathThatCannotBeOpenedIsSaid) {
  const auto marker = CrashMarker::Open("/proc/no-such-place/marker", kAnyLog);
  ASSERT_FALSE(marker.ok());
  EXPECT_EQ(marker.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(marker.error().message(), HasSubstr("/proc/no-such-place/marker"));
}

}  // namespace
}  // namespace alertstream::runtime
