#include "projections/postgres/refusal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace alertstream::postgres {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(RefusalTest, EverySqlStateHasItsMeaning) {
  struct Case {
    const char* sqlstate;
    ErrorCode code;
    bool session_lost;
  };
  constexpr ErrorCode kGone = ErrorCode::kUnavailable;
  for (const Case& c : {Case{"", kGone, true},
                        {"23505", ErrorCode::kConflict, false},
                        {"23503", ErrorCode::kConflict, false},
                        {"23502", ErrorCode::kInvalid, false},
                        {"23514", ErrorCode::kInvalid, false},
                        {"22021", ErrorCode::kInvalid, false},
                        {"22P02", ErrorCode::kInvalid, false},
                        {"40001", ErrorCode::kConflict, false},
                        {"40P01", ErrorCode::kConflict, false},
                        {"57014", kGone, false},
                        {"57P01", kGone, true},
                        {"57P03", kGone, true},
                        {"53100", kGone, false},
                        {"53300", kGone, true},
                        {"08006", kGone, true},
                        {"42501", kGone, false},
                        {"42P01", kGone, false},
                        {"0A000", kGone, true},
                        {"XX001", ErrorCode::kCorrupt, false},
                        {"XX000", kGone, false},
                        {"42601", ErrorCode::kInvalid, false},
                        {"P0001", ErrorCode::kInvalid, false}}) {
    const Refusal refusal = RefusalOf("things.add", c.sqlstate, "ERROR: text");
    EXPECT_EQ(refusal.error.code(), c.code) << c.sqlstate;
    EXPECT_EQ(refusal.session_lost, c.session_lost) << c.sqlstate;
    EXPECT_THAT(refusal.error.message(), HasSubstr("things.add")) << c.sqlstate;
  }
}

TEST(RefusalTest, NamesTheConstraintAndNoValue) {
  const Refusal refusal =
      RefusalOf("users.add", "23505",
                "ERROR:  23505: duplicate key value violates unique constraint \"users_email\"\n"
                "DETAIL:  Key (email)=(a\nCONSTRAINT NAME:  ann@example.com) already exists.\n"
                "SCHEMA NAME:  identity\nTABLE NAME:  users\nCONSTRAINT NAME:  users_email\n"
                "LOCATION:  _bt_check_unique, nbtinsert.c:664\n");
  EXPECT_THAT(refusal.error.message(), HasSubstr("constraint users_email"));
  EXPECT_THAT(refusal.error.message(), Not(HasSubstr("ann@")));
}

TEST(RefusalTest, AValueCannotPoseAsAName) {
  const Refusal refusal = RefusalOf("users.add", "22P02",
                                    "ERROR:  22P02: invalid input syntax for type integer: "
                                    "\"x\nCONSTRAINT NAME:  +254700000001\n\"\n");
  EXPECT_THAT(refusal.error.message(), Not(HasSubstr("254")));
  EXPECT_EQ(PrimaryMessage("22P02", "ERROR:  22P02: invalid: \"+254700000001\"\n"), "");
}

TEST(RefusalTest, WhatIsNotMigratedIsNamed) {
  const Refusal refusal = RefusalOf(
      "events.list", "42P01", "ERROR:  42P01: relation \"read_model.events\" does not exist\nLINE");
  EXPECT_THAT(refusal.error.message(), HasSubstr("relation \"read_model.events\" does not exist"));
  EXPECT_THAT(refusal.error.message(), HasSubstr("alertstream migrate"));
}

}  // namespace
}  // namespace alertstream::postgres
