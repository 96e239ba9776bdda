// What the framer takes and what it refuses, however the bytes are cut into packets.
#include "api/http/framing.h"

#include <cstddef>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace alertstream::http {
namespace {

using State = RequestFramer::State;
using ::testing::ElementsAre;

constexpr FramingLimits kSmall = {.head_bytes_max = 200, .body_bytes_max = 10, .fields_max = 5};

struct Read {
  std::vector<std::string> bodies;
  std::vector<bool> keep_alive;
  std::optional<FramingError> error;
  State state = State::kIdle;
};

// Everything that comes out of the bytes when they arrive `step` at a time.
Read ReadAll(std::string_view bytes, std::size_t step) {
  RequestFramer framer(kSmall);
  Read read;
  while (!bytes.empty()) {
    std::string_view packet = bytes.substr(0, step);
    bytes.remove_prefix(packet.size());
    while (!packet.empty() && framer.state() != State::kFailed) {
      packet.remove_prefix(framer.Read(packet));
      if (framer.state() == State::kComplete) {
        FramedRequest framed = framer.Take();
        read.bodies.push_back(framed.request.body);
        read.keep_alive.push_back(framed.keep_alive);
      }
    }
  }
  read.state = framer.state();
  if (read.state == State::kFailed) {
    read.error = framer.error();
  }
  return read;
}

struct Case {
  std::string name;
  std::string bytes;
  std::vector<std::string> bodies;
  std::optional<FramingError> error;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

const std::string kPost = "POST / HTTP/1.1\r\nHost: a\r\n";
const std::string kChunked = kPost + "Transfer-Encoding: chunked\r\n\r\n";

std::vector<Case> Accepted() {
  return {
      {"Get", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", {""}, {}},
      {"TwoInAPacket",
       "GET / HTTP/1.1\r\nHost: a\r\n\r\n" + kPost + "Content-Length: 2\r\n\r\nhi",
       {"", "hi"},
       {}},
      {"BytesOfTheNextAreNotTheBody",
       kPost + "Content-Length: 2\r\n\r\nhiGET / HTTP/1.1\r\nHost: a\r\n\r\n",
       {"hi", ""},
       {}},
      {"LengthZero", kPost + "Content-Length: 0\r\n\r\n", {""}, {}},
      {"LengthWithZeros", kPost + "Content-Length: 0003\r\n\r\nabc", {"abc"}, {}},
      {"TheLargestBody", kPost + "Content-Length: 10\r\n\r\n0123456789", {"0123456789"}, {}},
      {"Chunks", kChunked + "2\r\nhi\r\n3\r\n\r\n!\r\n0\r\n\r\n", {"hi\r\n!"}, {}},
      {"ChunkSizeInCapitals", kChunked + "A\r\n0123456789\r\n0\r\n\r\n", {"0123456789"}, {}},
      {"ChunkSizeWithZeros", kChunked + "001\r\na\r\n000\r\n\r\n", {"a"}, {}},
      {"CodingInCapitals",
       kPost + "transfer-encoding: Chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
       {"a"},
       {}},
      {"BinaryBody",
       kPost + "Content-Length: 3\r\n\r\n" + std::string("\0\xFF\n", 3),
       {std::string("\0\xFF\n", 3)},
       {}},
      {"OptionsOfTheServer", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", {""}, {}},
      {"AbsoluteTarget", "GET http://a:1/b HTTP/1.1\r\nHost: a:1\r\n\r\n", {""}, {}},
      {"OldVersionWithoutHost", "GET / HTTP/1.0\r\n\r\n", {""}, {}},
      {"BlanksAroundAValue", "GET / HTTP/1.1\r\nHost: \t a \t\r\n\r\n", {""}, {}},
      {"EmptyValue", "GET / HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n", {""}, {}},
      {"UnfinishedHead", "GET / HTTP/1.1\r\nHost: a\r\n", {}, {}},
      {"UnfinishedBody", kPost + "Content-Length: 5\r\n\r\nab", {}, {}},
      {"UnfinishedChunk", kChunked + "5\r\nab", {}, {}},
  };
}

std::vector<Case> Refused() {
  using enum FramingError;
  return {
      // Lines.
      {"EmptyLineFirst", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", {}, kSyntax},
      {"BareLf", "GET / HTTP/1.1\nHost: a\n\n", {}, kSyntax},
      {"BareCr", "GET / HTTP/1.1\rHost: a\r\n\r\n", {}, kSyntax},
      {"BareLfInAField", "GET / HTTP/1.1\r\nHost: a\r\nX: b\nY: c\r\n\r\n", {}, kSyntax},
      {"TlsHello", std::string("\x16\x03\x01\x02\x00", 5), {}, kSyntax},
      {"NulInAValue",
       std::string("GET / HTTP/1.1\r\nHost: a\r\nX: ") + '\0' + "\r\n\r\n",
       {},
       kSyntax},
      {"FoldedLine", "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", {}, kSyntax},
      {"BlankBeforeTheColon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", {}, kSyntax},
      {"NoColon", "GET / HTTP/1.1\r\nHost\r\n\r\n", {}, kSyntax},
      {"NoName", "GET / HTTP/1.1\r\n: a\r\n\r\n", {}, kSyntax},
      {"NameThatIsNoToken", "GET / HTTP/1.1\r\nHost: a\r\nX(Y): b\r\n\r\n", {}, kSyntax},
      // The request line.
      {"NoVersion", "GET /\r\nHost: a\r\n\r\n", {}, kSyntax},
      {"TwoBlanks", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", {}, kSyntax},
      {"BlankInTheTarget", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", {}, kSyntax},
      {"TargetWithoutSlash", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", {}, kSyntax},
      {"TargetThatIsNotAscii", "GET /\xC3\xA4 HTTP/1.1\r\nHost: a\r\n\r\n", {}, kSyntax},
      {"Fragment", "GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", {}, kSyntax},
      {"MethodThatIsNoToken", "GE:T / HTTP/1.1\r\nHost: a\r\n\r\n", {}, kSyntax},
      {"StarForAnotherMethod", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", {}, kSyntax},
      {"AbsoluteTargetWithoutPath", "GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", {}, kSyntax},
      {"LowerCaseVersion", "GET / http/1.1\r\nHost: a\r\n\r\n", {}, kSyntax},
      {"Version2", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", {}, kVersion},
      {"Version12", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", {}, kVersion},
      // Host.
      {"NoHost", "GET / HTTP/1.1\r\n\r\n", {}, kHost},
      {"TwoHosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", {}, kHost},
      {"TheSameHostTwice", "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", {}, kHost},
      {"EmptyHost", "GET / HTTP/1.1\r\nHost:\r\n\r\n", {}, kHost},
      {"ListOfHosts", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", {}, kHost},
      {"HostWithAUser", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", {}, kHost},
      {"TwoHostsInTheOldVersion", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", {}, kHost},
      {"AnotherAuthority", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", {}, kHost},
      // The length of the body.
      {"LengthAndCoding",
       kPost + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
       {},
       kAmbiguousLength},
      {"CodingAndLength",
       kPost + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
       {},
       kAmbiguousLength},
      {"TwoLengths",
       kPost + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
       {},
       kAmbiguousLength},
      {"TheSameLengthTwice",
       kPost + "Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
       {},
       kAmbiguousLength},
      {"TwoCodings",
       kPost + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
       {},
       kAmbiguousLength},
      {"ChunksInTheOldVersion",
       "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
       {},
       kAmbiguousLength},
      {"ListOfLengths", kPost + "Content-Length: 1, 1\r\n\r\na", {}, kSyntax},
      {"LengthInLetters", kPost + "Content-Length: abc\r\n\r\n", {}, kSyntax},
      {"LengthWithASign", kPost + "Content-Length: +1\r\n\r\na", {}, kSyntax},
      {"NegativeLength", kPost + "Content-Length: -1\r\n\r\n", {}, kSyntax},
      {"EmptyLength", kPost + "Content-Length:\r\n\r\n", {}, kSyntax},
      {"LengthOverTheLimit", kPost + "Content-Length: 11\r\n\r\n", {}, kBodyTooLarge},
      {"LengthThatOverflows",
       kPost + "Content-Length: 18446744073709551617\r\n\r\na",
       {},
       kBodyTooLarge},
      {"AnotherCoding", kPost + "Transfer-Encoding: gzip\r\n\r\n", {}, kTransferCoding},
      {"CodingsInAList", kPost + "Transfer-Encoding: gzip, chunked\r\n\r\n", {}, kTransferCoding},
      {"CodingIdentity", kPost + "Transfer-Encoding: identity\r\n\r\n", {}, kTransferCoding},
      {"CodingWithJunk", kPost + "Transfer-Encoding: xchunked\r\n\r\n", {}, kTransferCoding},
      {"AnotherExpectation", kPost + "Expect: tea\r\n\r\n", {}, kExpectation},
      // Chunks.
      {"ChunkWithoutSize", kChunked + "\r\nab", {}, kSyntax},
      {"ChunkSizeIsNoNumber", kChunked + "x\r\n", {}, kSyntax},
      {"ChunkSizeWithPrefix", kChunked + "0x2\r\nhi", {}, kSyntax},
      {"ChunkSizeWithASign", kChunked + "+2\r\nhi", {}, kSyntax},
      {"ChunkSizeWithABlank", kChunked + "2 \r\nhi", {}, kSyntax},
      {"ChunkSizeOfManyDigits", kChunked + "000000001\r\na", {}, kSyntax},
      {"ChunkExtension", kChunked + "2;a=b\r\nhi", {}, kSyntax},
      {"ChunkSizeEndsInLf", kChunked + "2\nhi", {}, kSyntax},
      {"ChunkSizeEndsInCr", kChunked + "2\rhi", {}, kSyntax},
      {"ChunkLongerThanItsSize", kChunked + "2\r\nhix\r\n", {}, kSyntax},
      {"ChunkEndsInLf", kChunked + "2\r\nhi\n0\r\n\r\n", {}, kSyntax},
      {"Trailer", kChunked + "0\r\nX: a\r\n\r\n", {}, kSyntax},
      {"ChunkOverTheLimit", kChunked + "b\r\n", {}, kBodyTooLarge},
      {"ChunksOverTheLimit", kChunked + "9\r\n123456789\r\n2\r\n", {}, kBodyTooLarge},
      {"HugeChunk", kChunked + "ffffffff\r\n", {}, kBodyTooLarge},
      // Sizes.
      {"LongLine", "GET /" + std::string(300, 'a'), {}, kHeadTooLarge},
      {"LongField", "GET / HTTP/1.1\r\nX: " + std::string(300, 'a'), {}, kHeadTooLarge},
      {"ManyFields",
       "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\n\r\n",
       {},
       kHeadTooLarge},
      // What came before the error is still served.
      {"AfterAGoodOne", "GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n\r\n", {""}, kSyntax},
  };
}

class FramingTest : public ::testing::TestWithParam<Case> {};

TEST_P(FramingTest, TheSameHoweverThePacketsAreCut) {
  const Case& c = GetParam();
  for (std::size_t step = 1; step <= c.bytes.size(); ++step) {
    const Read read = ReadAll(c.bytes, step);
    EXPECT_EQ(read.bodies, c.bodies) << "in packets of " << step;
    EXPECT_EQ(read.error, c.error) << "in packets of " << step;
  }
}

std::string NameOf(const ::testing::TestParamInfo<Case>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(Accepted, FramingTest, ::testing::ValuesIn(Accepted()), NameOf);
INSTANTIATE_TEST_SUITE_P(Refused, FramingTest, ::testing::ValuesIn(Refused()), NameOf);

TEST(FramingTest, TheRequestHoldsWhatWasSent) {
  RequestFramer framer(FramingLimits{});
  const std::string bytes =
      "PUT /a%20b/c?d=e&f HTTP/1.1\r\nhost: example.com\r\nX-Key:  a b \r\nx-key: c\r\n"
      "Content-Length: 2\r\n\r\nhi";
  EXPECT_EQ(framer.Read(bytes), bytes.size());
  ASSERT_EQ(framer.state(), State::kComplete);
  const FramedRequest framed = framer.Take();
  EXPECT_EQ(framed.request.method, "PUT");
  EXPECT_EQ(framed.request.path, "/a%20b/c");
  EXPECT_EQ(framed.request.query, "d=e&f");
  EXPECT_EQ(framed.request.headers.Find("HOST"), "example.com");
  EXPECT_EQ(framed.request.headers.Find("X-KEY"), "a b");
  EXPECT_EQ(framed.request.headers.Count("x-Key"), 2U);
  EXPECT_EQ(framed.request.headers.Find("X"), std::nullopt);
  EXPECT_EQ(framed.request.body, "hi");
  EXPECT_EQ(framer.state(), State::kIdle);
}

TEST(FramingTest, TheTargetOfAProxyIsReadAsAPath) {
  RequestFramer framer(FramingLimits{});
  framer.Read("GET http://a/b?c HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_EQ(framer.state(), State::kComplete);
  const FramedRequest framed = framer.Take();
  EXPECT_EQ(framed.request.path, "/b");
  EXPECT_EQ(framed.request.query, "c");
}

TEST(FramingTest, ATargetHasALimitOfItsOwn) {
  RequestFramer framer(FramingLimits{});
  framer.Read("GET /" + std::string(kTargetBytesMax, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_EQ(framer.state(), State::kFailed);
  EXPECT_EQ(framer.error(), FramingError::kTargetTooLong);
}

TEST(FramingTest, AfterAnErrorNothingIsRead) {
  RequestFramer framer(FramingLimits{});
  framer.Read("\n");
  ASSERT_EQ(framer.state(), State::kFailed);
  EXPECT_EQ(framer.Read("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 0U);
  EXPECT_EQ(framer.buffered_bytes(), 0U);
}

TEST(FramingTest, TheConnectionLivesOnAsTheClientSays) {
  const std::string head = " / HTTP/1.1\r\nHost: a\r\n";
  EXPECT_THAT(ReadAll("GET" + head + "\r\n", 100).keep_alive, ElementsAre(true));
  EXPECT_THAT(ReadAll("GET" + head + "Connection: close\r\n\r\n", 100).keep_alive,
              ElementsAre(false));
  EXPECT_THAT(ReadAll("GET" + head + "Connection: x, Close\r\n\r\n", 100).keep_alive,
              ElementsAre(false));
  EXPECT_THAT(ReadAll("GET / HTTP/1.0\r\n\r\n", 100).keep_alive, ElementsAre(false));
  EXPECT_THAT(ReadAll("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 100).keep_alive,
              ElementsAre(true));
}

TEST(FramingTest, AClientThatWaitsIsToldOnceToGoOn) {
  const std::string head = kPost + "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n";
  RequestFramer framer(FramingLimits{});
  framer.Read(head);
  EXPECT_TRUE(framer.TakeContinueWanted());
  EXPECT_FALSE(framer.TakeContinueWanted());
  framer.Read("hi");
  ASSERT_EQ(framer.state(), State::kComplete);
  EXPECT_EQ(framer.Take().request.body, "hi");

  framer.Read(head + "h");
  EXPECT_FALSE(framer.TakeContinueWanted()) << "the body came without waiting";
}

TEST(FramingTest, EveryErrorHasAStatusAndWords) {
  for (std::size_t i = 0; i < kFramingErrorCount; ++i) {
    const auto error = static_cast<FramingError>(i);
    EXPECT_NE(StatusText(StatusOf(error)), "Status") << i;
    EXPECT_FALSE(DetailOf(error).empty()) << i;
  }
}

}  // namespace
}  // namespace alertstream::http
