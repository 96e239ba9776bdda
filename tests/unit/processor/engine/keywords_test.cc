#include "processor/engine/keywords.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace alertstream::engine {
namespace {

using enum InboundKeyword;

struct KeywordCase {
  std::string_view body;
  InboundKeyword keyword;
};

TEST(KeywordsTest, KnowsTheWords) {
  const KeywordCase cases[] = {
      {"STOP", kStop},           {"STOPALL", kStop}, {"STOP ALL", kStop}, {"UNSUBSCRIBE", kStop},
      {"CANCEL", kStop},         {"END", kStop},     {"QUIT", kStop},     {"REVOKE", kStop},
      {"OPTOUT", kStop},         {"OPT OUT", kStop}, {"OPT-OUT", kStop},  {"REMOVE", kStop},
      {"ARRET", kStop},          {"TD", kStop},      {"START", kStart},   {"UNSTOP", kStart},
      {"YES", kStartIfOptedOut}, {"HELP", kHelp},    {"INFO", kHelp},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(ClassifyInbound(c.body), c.keyword) << c.body;
  }
}

TEST(KeywordsTest, FoldsHowPeopleAndTelephonesWriteThem) {
  const KeywordCase cases[] = {
      {"stop", kStop},
      {"Stop", kStop},
      {"  stop\r\n", kStop},
      {"stop!", kStop},
      {"stop!!!111", kNone},  // Digits are not punctuation.
      {"'STOP'", kStop},
      {"\"stop.\"", kStop},
      {"\xE2\x80\x9CSTOP\xE2\x80\x9D", kStop},  // Curly quotes.
      {"S.T.O.P", kStop},
      {"s t o p", kStop},
      {"stop-all", kStop},
      {"Opt-Out", kStop},
      {"opt  out", kStop},
      {"opt\xE2\x80\x91out", kStop},  // Non-breaking hyphen.
      {"stop\xC2\xA0"
       "all",
       kStop},                                                     // No-break space.
      {"st\xC2\xADop", kStop},                                     // Soft hyphen.
      {"\xEF\xBB\xBFstop", kStop},                                 // Byte order mark.
      {"s\xE2\x80\x8Btop", kStop},                                 // Zero-width space.
      {"stop \xF0\x9F\x9B\x91", kStop},                            // Stop sign.
      {"\xF0\x9F\x91\x8D\xF0\x9F\x8F\xBD yes", kStartIfOptedOut},  // Thumb with skin tone.
      {"stop \xF0\x9F\xAB\xA8", kStop},  // U+1FAE8, newer than the table's Unicode version.
      {"\xEF\xBC\xB3\xEF\xBC\xB4\xEF\xBC\xAF\xEF\xBC\xB0", kStop},  // Full width.
      {"\xE2\x93\xA2\xE2\x93\xA3\xE2\x93\x9E\xE2\x93\x9F", kStop},  // Circled letters.
      {"\xF0\x9D\x90\x92\xF0\x9D\x90\x93\xF0\x9D\x90\x8E\xF0\x9D\x90\x8F", kStop},  // Bold.
      {"Arr\xC3\xAAt", kStop},
      {"Arre\xCC\x82t", kStop},  // Combining circumflex.
      {"ARR\xC3\x8AT", kStop},
      {"QU\xC4\xB0T", kStop},  // Dotted capital I.
      {"\xC5\xBFtop", kStop},  // Long s.
      {"hElP?", kHelp},
      {"<info>", kHelp},
      {"Yes, ", kStartIfOptedOut},
      {"un-stop", kStart},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(ClassifyInbound(c.body), c.keyword) << c.body;
  }
}

TEST(KeywordsTest, MatchesWholeMessagesOnly) {
  const std::string_view bodies[] = {
      "",
      " ",
      "!!!",
      "please stop",
      "stopp",
      "sto",
      "stop it",
      "stop stop",
      "don't stop",
      "stop1",
      "helpme",
      "yes please",
      "no",
      "the end",
      "unsubscribed",
      "unsubscribe me",
      "\xD1\x81\xD1\x82\xD0\xBE\xD0\xBF",  // Russian "stop".
      "stop\xD1\x8A",                      // A foreign letter behind it.
      "\xD0\x85TOP",                       // Cyrillic DZE, a look-alike.
      "\xE5\x81\x9C\xE6\xAD\xA2",          // Chinese "stop".
      "stop \xE0\xA4\xB9",                 // Devanagari letter behind it.
      "\xF0\x9F\x9B\x91",                  // A stop sign alone.
  };
  for (const auto body : bodies) {
    EXPECT_EQ(ClassifyInbound(body), kNone) << body;
  }
}

TEST(KeywordsTest, StepsOverMalformedBytes) {
  const KeywordCase cases[] = {
      {"stop\xFF", kStop},
      {"\xC0\x80stop", kStop},
      {"st\xE2\x80op", kStop},          // Cut off inside.
      {"stop\xF0\x9F\x9B", kStop},      // Cut off at the end.
      {"\xED\xA0\xBDstop", kStop},      // Surrogate.
      {"\xF5\x80\x80\x80stop", kStop},  // Beyond U+10FFFF.
      {"\xFF\xFE\xFD", kNone},
      {std::string_view("st\0op", 5), kStop},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(ClassifyInbound(c.body), c.keyword) << testing::PrintToString(c.body);
  }
}

TEST(KeywordsTest, ReadsLongMessages) {
  EXPECT_EQ(ClassifyInbound("stop" + std::string(100'000, '.')), kStop);
  EXPECT_EQ(ClassifyInbound(std::string(100'000, 's')), kNone);
}

}  // namespace
}  // namespace alertstream::engine
