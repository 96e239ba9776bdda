#include "processor/dispatch/providers/twilio_codes.h"

#include <map>
#include <set>

#include <gtest/gtest.h>

namespace alertstream::dispatch {
namespace {

// The table, read the other way round: a class and all of its codes.
const std::map<OutcomeClass, std::set<int>> kExpected = {
    {v1::ATTEMPT_CLASS_RETRY, {20500, 30001, 30003, 30008, 30036}},
    {v1::ATTEMPT_CLASS_THROTTLE, {20429, 21611, 63018, 63119}},
    {v1::ATTEMPT_CLASS_PERM_ADDRESS,
     {21211, 21214, 21216, 21265, 21612, 21614, 21635, 30004, 30005, 30006, 30450, 63003}},
    {v1::ATTEMPT_CLASS_PERM_REQUEST,
     {21212, 21408, 21602, 21606, 21608, 21617, 21664, 21666, 21667, 30007, 30034, 30042, 63020}},
    {v1::ATTEMPT_CLASS_OPT_OUT, {21610, 30640, 63014}},
    {v1::ATTEMPT_CLASS_WINDOW, {30610, 63016}},
    {v1::ATTEMPT_CLASS_SUSPEND, {20003, 20005, 30002}},
};

TEST(TwilioCodesTest, EachCodeHasItsClass) {
  std::size_t count = 0;
  for (const auto& [outcome, codes] : kExpected) {
    for (const int code : codes) {
      const TwilioCode* found = FindTwilioCode(code);
      ASSERT_NE(found, nullptr) << code;
      EXPECT_EQ(found->code, code);
      EXPECT_EQ(found->outcome, outcome) << code;
      EXPECT_FALSE(found->meaning.empty()) << code;
      ++count;
    }
  }
  EXPECT_EQ(kTwilioCodes.size(), count);
}

TEST(TwilioCodesTest, NoCodeOccursTwice) {
  std::set<int> codes;
  for (const TwilioCode& code : kTwilioCodes) {
    EXPECT_TRUE(codes.insert(code.code).second) << code.code;
  }
}

TEST(TwilioCodesTest, OtherCodesAreNotFound) {
  for (const int code : {-1, 0, 1, 20002, 20004, 21213, 63120, 99999}) {
    EXPECT_EQ(FindTwilioCode(code), nullptr) << code;
  }
}

}  // namespace
}  // namespace alertstream::dispatch
