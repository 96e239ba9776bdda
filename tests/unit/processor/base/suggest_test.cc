#include "processor/base/suggest.h"

#include <array>
#include <string>

#include <gtest/gtest.h>

namespace alertstream {
namespace {

constexpr std::array<std::string_view, 4> kWords = {"template", "recipients", "when", "max_age"};

TEST(SuggestTest, NamesTheNearestKnownWord) {
  struct Case {
    std::string_view word;
    std::string_view nearest;
  };
  for (const Case& c : {
           Case{"templat", "template"},
           Case{"tempalte", "template"},  // Swapped neighbours are one mistake.
           Case{"recipient", "recipients"},
           Case{"When", "when"},
           Case{"wen", "when"},
           Case{"max-age", "max_age"},
           Case{"cooldown", ""},
           Case{"xxxx", ""},
           Case{"", ""},
       }) {
    EXPECT_EQ(Nearest(c.word, kWords), c.nearest) << c.word;
  }
  EXPECT_EQ(Nearest(std::string(100'000, 'w'), kWords), "");
}

TEST(SuggestTest, WritesTheHint) {
  EXPECT_EQ(DidYouMean("wehn", kWords), "; did you mean 'when'?");
  EXPECT_EQ(DidYouMean("colour", kWords), "");
}

}  // namespace
}  // namespace alertstream
