#include "ops/cli/health_listener.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "processor/base/clock.h"

namespace alertstream::cli {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

HealthSources Sources(bool ready) {
  return {.metrics_text = [] { return std::string("alertstream_x_total 1\n"); },
          .health =
              [ready] {
                return HealthState{.ready = ready,
                                   .body = ready ? R"({"status":"ready"})"
                                                 : R"({"status":"waiting","log":"unreachable"})"};
              }};
}

// Sends `request` as it is and returns all that comes back until the server closes.
std::string Exchange(std::uint16_t port, std::string_view request) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    ::close(fd);
    return "no connection";
  }
  (void)::send(fd, request.data(), request.size(), MSG_NOSIGNAL);
  std::string answer;
  std::array<char, 4096> buffer{};
  for (ssize_t got = 1; got > 0;) {
    got = ::recv(fd, buffer.data(), buffer.size(), 0);
    answer.append(buffer.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
  }
  ::close(fd);
  return answer;
}

TEST(HealthAnswerTest, EachPathAndMethodHasItsAnswer) {
  struct Case {
    std::string_view method;
    std::string_view path;
    bool ready;
    int status;
    std::string_view body;
  };
  for (const Case& c : {
           Case{"GET", "/metrics", false, 200, "alertstream_x_total 1"},
           Case{"GET", "/health/live", false, 200, "live"},
           Case{"GET", "/health/ready", true, 200, "ready"},
           Case{"GET", "/health/ready", false, 503, "unreachable"},
           Case{"GET", "/health", true, 200, "ready"},
           Case{"GET", "/health", false, 503, "unreachable"},
           Case{"HEAD", "/health/ready", false, 503, "unreachable"},
           Case{"POST", "/metrics", true, 405, "only GET"},
           Case{"GET", "/", true, 404, "not found"},
           Case{"GET", "/metrics/x", true, 404, "not found"},
           Case{"POST", "/x", true, 404, "not found"},
       }) {
    const HttpAnswer answer = AnswerHealthRequest(Sources(c.ready), c.method, c.path);
    EXPECT_EQ(answer.status, c.status) << c.method << " " << c.path;
    EXPECT_THAT(answer.body, HasSubstr(std::string(c.body))) << c.method << " " << c.path;
  }
}

class HealthListenerTest : public ::testing::Test {
 protected:
  // One for all: the library takes two seconds to stop.
  static void SetUpTestSuite() {
    auto listener = HealthListener::Start({.port = 0, .timeout = std::chrono::milliseconds(300)},
                                          Sources(false));
    ASSERT_TRUE(listener.ok()) << listener.error().message();
    listener_ = std::move(listener).value();
    ASSERT_NE(listener_->port(), 0);
  }

  static void TearDownTestSuite() { listener_.reset(); }

  static std::string Send(std::string_view request) { return Exchange(listener_->port(), request); }

  static std::unique_ptr<HealthListener> listener_;
};

std::unique_ptr<HealthListener> HealthListenerTest::listener_;

TEST_F(HealthListenerTest, ServesMetricsAndHealth) {
  const std::string metrics = Send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(metrics, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(metrics, HasSubstr("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  EXPECT_THAT(metrics, EndsWith("\r\n\r\nalertstream_x_total 1\n"));
  const std::string ready = Send("GET /health/ready?x=1 HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(ready, StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_THAT(ready, EndsWith(R"({"status":"waiting","log":"unreachable"})"));
  EXPECT_THAT(Send("GET /../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n"), StartsWith("HTTP/1.1 40"));
}

TEST_F(HealthListenerTest, HeadHasNoBody) {
  const std::string head = Send("HEAD /health/live HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(head, HasSubstr("Content-Length: 17\r\n"));
  EXPECT_THAT(head, EndsWith("\r\n\r\n"));
}

TEST_F(HealthListenerTest, OtherMethodsAreRefused) {
  const std::string post = Send("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
  EXPECT_THAT(post, StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(post, HasSubstr("Allow: GET, HEAD\r\n"));
}

TEST_F(HealthListenerTest, MalformedAndOverlongRequestsAreRefusedAndServiceGoesOn) {
  EXPECT_THAT(Send("\x01\x02\x03\r\n\r\n"), Not(HasSubstr("200 OK")));
  EXPECT_THAT(Send("GET /metrics HTTP/1.1\r\nX: " + std::string(2 * kHealthRequestBytesMax, 'x') +
                   "\r\n\r\n"),
              Not(HasSubstr("200 OK")));
  EXPECT_THAT(Send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), HasSubstr("200 OK"));
}

TEST_F(HealthListenerTest, AClientThatSendsNothingIsCutOff) {
  const auto begin = SystemClock().SinceBoot();
  EXPECT_THAT(Send("GET /metrics HT"), Not(HasSubstr("200 OK")));
  EXPECT_LT(SystemClock().SinceBoot() - begin, std::chrono::seconds(4));
}

TEST_F(HealthListenerTest, ATakenPortIsAnError) {
  const auto second = HealthListener::Start({.port = listener_->port()}, Sources(true));
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(second.error().message(), HasSubstr("cannot listen on 127.0.0.1:"));
  EXPECT_THAT(second.error().message(), HasSubstr("in use"));
}

TEST(HealthListenerOptionsTest, ANameOrAListIsNoAddress) {
  for (const char* address : {"localhost", "", "127.0.0.1,0.0.0.0", "127.0.0.1:80", "+1"}) {
    const auto listener = HealthListener::Start({.address = address, .port = 0}, Sources(true));
    ASSERT_FALSE(listener.ok()) << address;
    EXPECT_EQ(listener.error().code(), ErrorCode::kInvalid);
    EXPECT_THAT(listener.error().message(), HasSubstr("metrics.address"));
  }
}

}  // namespace
}  // namespace alertstream::cli
