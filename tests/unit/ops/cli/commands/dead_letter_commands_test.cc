// What is done about dead letters from the command line, over histories that are hard to come by.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "ops/cli/commands/dead_letters.h"
#include "ops/cli/commands/redrive.h"
#include "processor/base/id.h"
#include "tests/support/forged_batch.h"

namespace alertstream::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

class DeadLetterCommandsTest : public ::testing::Test {
 protected:
  DeadLetterCommandsTest() { EXPECT_TRUE(owner_->RunUntilQuiet().ok()); }

  Session Make() {
    out_.str("");
    err_.str("");
    return Session{.log = story_.log,
                   .identity = story_.writer.identity(),
                   .token_key = key_,
                   .clock = story_.clock,
                   .io = {.out = out_, .err = err_, .render = {.format = OutputFormat::kJson}},
                   .tenant = "acme",
                   .actor = "tester",
                   .processor = nullptr,
                   .interrupted = nullptr};
  }

  static std::string Id(char letter) {
    return FormatId(IdKind::kDeadLetter, std::string(16, letter));
  }

  void AddLetter(char id, v1::DeadLetterStage stage = v1::DEAD_LETTER_STAGE_TENANT,
                 std::int64_t offset = 1, char retry_of = 0) {
    v1::DeadLetter letter;
    letter.set_id(std::string(16, id));
    letter.set_tenant("acme");
    letter.set_stage(stage);
    letter.set_reason(stage == v1::DEAD_LETTER_STAGE_SKIP ? v1::DEAD_LETTER_REASON_CRASHED_PROCESS
                                                          : v1::DEAD_LETTER_REASON_UNKNOWN_SITE);
    letter.mutable_record()->set_topic(static_cast<std::uint32_t>(schemas::Topic::kSiteEvents));
    letter.mutable_record()->set_offset(offset);
    letter.set_append_time_us(ToMicros(story_.clock.Now()));
    letter.set_at_us(ToMicros(story_.clock.Now()));
    if (retry_of != 0) {
      letter.set_retry_of(std::string(16, retry_of));
    }
    v1::RawRecord record;
    record.set_key("acme");
    record.set_value("the bytes");
    letter.mutable_original()->set_plain(record.SerializeAsString());
    effects_.dead_letters.Add("acme", letter);
  }
  void AddFact(char id, v1::DeadLetterActionKind kind, v1::DeadLetterStatus status) {
    v1::Fact fact;
    fact.set_tenant("acme");
    fact.set_result(v1::FACT_RESULT_ACCEPTED);
    fact.mutable_dead_letter()->set_id(std::string(16, id));
    fact.mutable_dead_letter()->set_action(kind);
    fact.mutable_dead_letter()->set_status(status);
    effects_.facts.Add("acme", fact);
  }
  void Happen(std::uint32_t engine_version = engine::kEngineVersion) {
    runtime::ForgeBatch(story_, *owner_, effects_, engine_version);
    effects_.Clear();
  }

  RedriveOptions All() const {
    return {.filters = {}, .all = true, .dry_run = true, .reason = "again"};
  }

  runtime::Story story_{1};
  std::unique_ptr<runtime::Instance> owner_ = story_.Start();
  HmacKey key_ = runtime::StoryKey();
  engine::Effects effects_;
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(DeadLetterCommandsTest, WhatEndedTheProcessOrHasNoRecordIsLeftOut) {
  AddLetter('a');
  AddLetter('b', v1::DEAD_LETTER_STAGE_SKIP);
  AddLetter('c', v1::DEAD_LETTER_STAGE_FOLD, -7);
  Happen();
  ASSERT_TRUE(RetryDeadLetters(Make(), All()).ok());
  EXPECT_EQ(out_.str(),
            R"({"dry_run":true,"skipped: a timer's, without a record":1,)"
            R"("skipped: crashed_process, which needs --force":1,"would be asked for":1})"
            "\n");
  RedriveOptions forced = All();
  forced.forced = true;
  ASSERT_TRUE(RetryDeadLetters(Make(), forced).ok());
  EXPECT_THAT(out_.str(), HasSubstr(R"("would be asked for":2)"));
  ASSERT_TRUE(ChangeDeadLetters(Make(), v1::DEAD_LETTER_ACTION_KIND_DROP, All()).ok());
  EXPECT_THAT(out_.str(), HasSubstr(R"("skipped: a timer's, without a record":1)"));
  EXPECT_THAT(out_.str(), HasSubstr(R"("would be asked for":2)"));
  const auto edited =
      EditDeadLetter(Make(), {.id = Id('b'), .value = "other bytes", .reason = "mended"});
  ASSERT_FALSE(edited.ok());
  EXPECT_EQ(edited.error().code(), ErrorCode::kConflict);
  EXPECT_THAT(edited.error().message(), HasSubstr("--force"));
}

TEST_F(DeadLetterCommandsTest, BelowVersionFiveNothingIsAsked) {
  AddLetter('a');
  Happen(4);
  const auto retried = RetryDeadLetters(Make(), All());
  ASSERT_FALSE(retried.ok());
  EXPECT_EQ(retried.error().code(), ErrorCode::kConflict);
  EXPECT_THAT(retried.error().message(), HasSubstr("engine activate 5"));
  const auto edited = EditDeadLetter(Make(), {.id = Id('a'), .value = "v", .reason = "mended"});
  ASSERT_FALSE(edited.ok());
  EXPECT_THAT(edited.error().message(), HasSubstr("engine activate 5"));
}

TEST_F(DeadLetterCommandsTest, PurgedBytesAreShownOfNoRelative) {
  AddLetter('a');
  AddLetter('b', v1::DEAD_LETTER_STAGE_TENANT, 2, 'a');
  AddLetter('c', v1::DEAD_LETTER_STAGE_TENANT, 3);
  Happen();
  AddFact('a', v1::DEAD_LETTER_ACTION_KIND_PURGE, v1::DEAD_LETTER_STATUS_PURGED);
  Happen();
  const std::string bytes = ToHex("the bytes");
  for (const char id : {'a', 'b'}) {
    const auto shown = ShowDeadLetter(Make(), Id(id), true);
    ASSERT_TRUE(shown.ok());
    EXPECT_EQ(shown.value(), ExitCode::kConflict);
    EXPECT_THAT(out_.str(), Not(HasSubstr(bytes)));
    EXPECT_THAT(out_.str(), HasSubstr(R"("purged":true)"));
    EXPECT_THAT(err_.str(), HasSubstr("purged"));
  }
  ASSERT_TRUE(ExportDeadLetters(Make(), {}, true).ok());
  EXPECT_EQ(out_.str().find(bytes), out_.str().rfind(bytes)) << "of c only";
  EXPECT_THAT(out_.str(), HasSubstr(bytes));
  EXPECT_THAT(err_.str(), HasSubstr("2 of them were purged"));
  ASSERT_TRUE(RetryDeadLetters(Make(), All()).ok());
  EXPECT_THAT(out_.str(), HasSubstr(R"("skipped: purged":2)"));
}

TEST_F(DeadLetterCommandsTest, ALetterThatComesAgainIsOneAndOpen) {
  AddLetter('a');
  Happen();
  AddFact('a', v1::DEAD_LETTER_ACTION_KIND_RETRY, v1::DEAD_LETTER_STATUS_RESOLVED);
  Happen();
  ASSERT_TRUE(RetryDeadLetters(Make(), All()).ok());
  EXPECT_THAT(out_.str(), HasSubstr(R"("skipped: resolved":1)"));
  AddLetter('a');
  Happen();
  ASSERT_TRUE(RetryDeadLetters(Make(), All()).ok());
  EXPECT_THAT(out_.str(), HasSubstr(R"("would be asked for":1)"));
  const auto book = ReadLetters(Make(), {});
  ASSERT_TRUE(book.ok());
  ASSERT_THAT(book.value().letters, SizeIs(1));
  EXPECT_EQ(book.value().letters[0].status(), v1::DEAD_LETTER_STATUS_OPEN);
}

}  // namespace
}  // namespace alertstream::cli
