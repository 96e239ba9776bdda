#include "projections/postgres/target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace alertstream::postgres {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(TargetTest, DescribesWhereItIsWithoutTheRest) {
  struct Case {
    const char* url;
    const char* described;
  };
  for (const Case& c :
       {Case{"postgres://u@db.example:6000/alerts", "postgres://db.example:6000/alerts"},
        Case{"postgresql://u@db.example/alerts", "postgres://db.example:5432/alerts"},
        Case{"postgres:///alerts?host=/run/pg", "unix:/run/pg/alerts"},
        Case{"postgres://u@/a?host=/tmp/with%20space", "unix:/tmp/with space/a"},
        Case{"host=/run/pg dbname=x user=u", "unix:/run/pg/x"},
        Case{"dbname=x", "postgres://localhost:5432/x"}}) {
    const auto target = ParseTarget(c.url);
    ASSERT_TRUE(target.ok()) << c.url;
    EXPECT_EQ(DescribeTarget(target.value()), c.described);
  }
}

TEST(TargetTest, RefusesAPasswordAndWhatIsNoUrlAndRepeatsNeither) {
  for (const char* url :
       {"postgres://u:hunter2@h/d", "host=h password=hunter2", "postgres://h/d?password=hunter2"}) {
    const auto target = ParseTarget(url);
    ASSERT_FALSE(target.ok()) << url;
    EXPECT_EQ(target.error().code(), ErrorCode::kInvalid);
    EXPECT_THAT(target.error().message(), HasSubstr("postgres.password_file"));
    EXPECT_THAT(target.error().message(), Not(HasSubstr("hunter2")));
  }
  for (const char* url : {"hunter2", "postgres://u:hunter2%zz@h/d", "colour=hunter2"}) {
    const auto target = ParseTarget(url);
    ASSERT_FALSE(target.ok()) << url;
    EXPECT_THAT(target.error().message(), HasSubstr("postgres.url is no URL"));
    EXPECT_THAT(target.error().message(), Not(HasSubstr("hunter2")));
  }
}

TEST(TargetTest, QuotesForLibpq) {
  EXPECT_EQ(ConnectionText({{"dbname", "it's \\ x"}, {"host", ""}}),
            "dbname='it\\'s \\\\ x' host='' ");
}

}  // namespace
}  // namespace alertstream::postgres
