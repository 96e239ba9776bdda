// The HTTP server on real sockets, with clients that are slow, rude or gone.
#include <sys/resource.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "processor/base/clock.h"
#include "tests/integration/http/raw_client.h"
#include "tests/integration/http/test_app.h"

namespace alertstream::http {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

void AnswerWithPath(Parked parked) {
  Response response;
  response.body = parked.request.path;
  parked.responder.Send(std::move(response));
}

TEST(HttpServerTest, AnswersManyRequestsOnOneConnection) {
  TestApp app;
  RawClient client(app.server.port());
  for (const std::string text : {"a", "b", "c"}) {
    ASSERT_TRUE(client.Send(Get("/echo/" + text)));
    const auto answer = client.Read();
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(answer->body, text);
    EXPECT_TRUE(answer->Has("\r\nX-Peer: 127.0.0.1\r\n"));
    EXPECT_TRUE(answer->Has("\r\nConnection: keep-alive\r\n"));
    EXPECT_TRUE(answer->Has("\r\nDate: "));
  }
  EXPECT_EQ(app.server.stats().requests, 3U);
  EXPECT_EQ(app.server.stats().open, 1U);
}

TEST(HttpServerTest, APacketMayEndAnywhere) {
  TestApp app;
  RawClient client(app.server.port());
  const std::string bytes =
      "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
  for (const char byte : bytes) {
    ASSERT_TRUE(client.Send({&byte, 1}));
    SystemClock().SleepFor(1ms);  // So that the kernel does not join them.
  }
  const auto answer = client.Read();
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->body, "hi");
}

TEST(HttpServerTest, PipelinedRequestsAreAnsweredInTheirOrder) {
  TestApp app;
  RawClient client(app.server.port());
  ASSERT_TRUE(client.Send(Get("/echo/1") + Get("/park/2") + Post("/echo", "3") + Get("/park/4") +
                          Get("/nothing") + Get("/echo/6")));
  EXPECT_EQ(client.Read()->body, "1");
  AnswerWithPath(*app.NextParked());
  EXPECT_EQ(client.Read()->body, "/park/2");
  EXPECT_EQ(client.Read()->body, "3");
  AnswerWithPath(*app.NextParked());
  EXPECT_EQ(client.Read()->body, "/park/4");
  EXPECT_EQ(client.Read()->status, 404);
  EXPECT_EQ(client.Read()->body, "6");
}

TEST(HttpServerTest, ALargeBodyComesAsItWasSent) {
  TestApp app;
  RawClient client(app.server.port());
  std::string body(std::size_t{1024} * 1024, '\0');
  for (std::size_t i = 0; i < body.size(); ++i) {
    body[i] = static_cast<char>(i * 7);
  }
  ASSERT_TRUE(client.Send(Post("/echo", body)));
  const auto answer = client.Read();
  ASSERT_TRUE(answer.has_value());
  EXPECT_TRUE(answer->body == body);
  ASSERT_TRUE(client.Send(Post("/echo", body + "x")) || true);
  EXPECT_EQ(client.Read()->status, 413);
}

TEST(HttpServerTest, AfterAnErrorNothingOfTheConnectionIsARequest) {
  const std::vector<std::pair<std::string, int>> cases = {
      {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: "
       "chunked\r\n\r\n0\r\n\r\n",
       400},
      {"GET /echo/a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
      {"GET /echo/a HTTP/1.1\r\nHost: a\r\nX: " + std::string(17'000, 'x') + "\r\n\r\n", 431},
      {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
      {"GET /echo/a HTTP/3.0\r\nHost: a\r\n\r\n", 505},
      {"\x16\x03\x01", 400},
  };
  TestApp app;
  for (const auto& [bytes, status] : cases) {
    RawClient client(app.server.port());
    ASSERT_TRUE(client.Send(bytes + Get("/echo/smuggled")));
    const auto answer = client.Read();
    ASSERT_TRUE(answer.has_value()) << bytes;
    EXPECT_EQ(answer->status, status) << bytes;
    EXPECT_TRUE(answer->Has("\r\nConnection: close\r\n"));
    EXPECT_TRUE(answer->Has("\r\nContent-Type: application/problem+json\r\n"));
    EXPECT_TRUE(client.AtEnd()) << bytes;
  }
  EXPECT_EQ(app.server.stats().requests, 0U);
  EXPECT_EQ(app.server.stats().RefusedFor(Refusal::kFraming), cases.size());
}

TEST(HttpServerTest, EveryAnswerNamesItsRequest) {
  TestApp app;
  RawClient client(app.server.port());
  ASSERT_TRUE(client.Send("GET /echo/a HTTP/1.1\r\nHost: a\r\nX-Request-Id: mine 7\r\n\r\n"));
  const auto given = client.Read();
  ASSERT_TRUE(given.has_value());
  EXPECT_TRUE(given->Has("\r\nX-Request-Id: mine 7\r\n"));
  EXPECT_TRUE(given->Has("\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"));
  // What cannot be echoed is replaced, and the server's own refusals have an id as well.
  const std::vector<std::string> requests = {
      "GET /nothing HTTP/1.1\r\nHost: a\r\nX-Request-Id: " + std::string(129, 'x') + "\r\n\r\n",
      "PUT /echo/a HTTP/1.1\r\nHost: a\r\n\r\n", Get("/throw"),
      "GET /echo/a HTTP/1.1\r\nX: y\r\n\r\n"};
  const std::vector<std::string> codes = {"not_found", "method_not_allowed", "internal",
                                          "malformed_request"};
  std::string last;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    ASSERT_TRUE(client.Send(requests[i]));
    const auto answer = client.Read();
    ASSERT_TRUE(answer.has_value());
    constexpr std::string_view kField = "\r\nX-Request-Id: ";
    const std::size_t at = answer->head.find(kField);
    ASSERT_NE(at, std::string::npos) << answer->head;
    const std::string id = answer->head.substr(at + kField.size(), 36);
    EXPECT_NE(id, last);
    EXPECT_NE(answer->body.find("\"code\":\"" + codes[i] + "\""), std::string::npos);
    EXPECT_TRUE(answer->body.ends_with(",\"request_id\":\"" + id + "\"}")) << answer->body;
    last = id;
  }
}

TEST(HttpServerTest, TheAnswerToHeadHasNoBody) {
  TestApp app;
  RawClient client(app.server.port());
  ASSERT_TRUE(client.Send("HEAD /echo/abc HTTP/1.1\r\nHost: a\r\n\r\n" + Get("/echo/next")));
  const auto head = client.Read(true);
  ASSERT_TRUE(head.has_value());
  EXPECT_TRUE(head->Has("\r\nContent-Length: 3\r\n"));
  EXPECT_EQ(client.Read()->body, "next");
}

TEST(HttpServerTest, AClientThatAsksFirstIsToldToGoOn) {
  TestApp app;
  RawClient client(app.server.port());
  ASSERT_TRUE(client.Send(
      "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"));
  EXPECT_EQ(client.Read()->status, 100);
  ASSERT_TRUE(client.Send("hi"));
  EXPECT_EQ(client.Read()->body, "hi");
}

TEST(HttpServerTest, TheClientsWishToCloseIsGranted) {
  TestApp app;
  for (const std::string request : {"GET /echo/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
                                    "GET /echo/a HTTP/1.0\r\n\r\n"}) {
    RawClient client(app.server.port());
    ASSERT_TRUE(client.Send(request + Get("/echo/b")));
    EXPECT_EQ(client.Read()->body, "a");
    EXPECT_TRUE(client.AtEnd());
  }
  EXPECT_EQ(app.server.stats().requests, 2U);
}

TEST(HttpServerTest, AHandlerThatFailsIsA500ThatTellsNothing) {
  TestApp app;
  RawClient client(app.server.port());
  for (const std::string path : {"/throw", "/throw-int", "/drop"}) {
    ASSERT_TRUE(client.Send(Get(path)));
    const auto answer = client.Read();
    ASSERT_TRUE(answer.has_value()) << path;
    EXPECT_EQ(answer->status, 500) << path;
    EXPECT_THAT(answer->body, Not(HasSubstr("secret")));
  }
  ASSERT_TRUE(client.Send(Get("/echo/a")));
  EXPECT_EQ(client.Read()->body, "a");
  EXPECT_EQ(app.server.stats().vanished, 0U);
}

TEST(HttpServerTest, AnAnswerToAClientThatHasGoneGoesNowhere) {
  TestApp app;
  for (const bool reset : {false, true}) {
    RawClient client(app.server.port());
    ASSERT_TRUE(client.Send(Get("/park/a")));
    auto parked = app.NextParked();
    ASSERT_TRUE(parked.has_value());
    ASSERT_TRUE(app.WaitFor([](const ServerStats& stats) { return stats.parked == 1; }));
    client.Close(reset);
    ASSERT_TRUE(app.WaitFor([](const ServerStats& stats) { return stats.open == 0; }));
    RawClient next(app.server.port());  // Very likely with the same descriptor in the server.
    ASSERT_TRUE(next.Send(Get("/echo/mine")));
    AnswerWithPath(*std::move(parked));
    EXPECT_EQ(next.Read()->body, "mine");
    EXPECT_EQ(app.server.stats().parked, 0U);
  }
  EXPECT_EQ(app.server.stats().vanished, 2U);
}

ServerOptions Impatient() {
  ServerOptions options;
  options.timeouts = {.head = 500ms,
                      .body = 500ms,
                      .idle = 500ms,
                      .answer = 500ms,
                      .write = 500ms,
                      .linger = 500ms};
  return options;
}

TEST(HttpServerTest, ASlowRequestIsEndedHoweverSteadilyItDrips) {
  struct Case {
    std::string start;
    Refusal refusal;
  };
  const std::vector<Case> cases = {
      {"GET /echo/a HTTP/1.1\r\nHost: a\r\nX: ", Refusal::kHeadTimeout},
      {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n", Refusal::kBodyTimeout},
  };
  for (const Case& c : cases) {
    TestApp app(Impatient());
    RawClient client(app.server.port());
    ASSERT_TRUE(client.Send(c.start));
    for (int i = 0; i < 400 && app.server.stats().RefusedFor(c.refusal) == 0; ++i) {
      ASSERT_TRUE(client.Send("x"));
      SystemClock().SleepFor(25ms);
    }
    const auto answer = client.Read();
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(answer->status, 408);
    EXPECT_TRUE(client.AtEnd());
    EXPECT_EQ(app.server.stats().RefusedFor(c.refusal), 1U);
  }
}

TEST(HttpServerTest, ASilentConnectionIsClosedWithoutAWord) {
  TestApp app(Impatient());
  RawClient silent(app.server.port());
  RawClient idle(app.server.port());
  ASSERT_TRUE(idle.Send(Get("/echo/a")));
  EXPECT_EQ(idle.Read()->body, "a");
  EXPECT_TRUE(silent.AtEnd());
  EXPECT_TRUE(idle.AtEnd());
  EXPECT_TRUE(app.WaitFor([](const ServerStats& stats) { return stats.open == 0; }));
}

TEST(HttpServerTest, ARequestThatIsParkedTooLongIs504) {
  TestApp app(Impatient());
  RawClient client(app.server.port());
  ASSERT_TRUE(client.Send(Get("/park/a")));
  auto parked = app.NextParked();
  ASSERT_TRUE(parked.has_value());
  EXPECT_EQ(client.Read()->status, 504);
  AnswerWithPath(*std::move(parked));
  EXPECT_TRUE(client.AtEnd());
  EXPECT_EQ(app.server.stats().vanished, 1U);
  EXPECT_EQ(app.server.stats().parked, 0U);
}

constexpr std::size_t kLarge = std::size_t{20} * 1024 * 1024;  // More than the kernel keeps.

TEST(HttpServerTest, AClientThatDoesNotReadHoldsNobodyUp) {
  ServerOptions options;
  options.threads = 1;
  options.timeouts.write = 1s;
  TestApp app(options);
  RawClient deaf(app.server.port(), 4096);
  ASSERT_TRUE(deaf.Send(Get("/large/" + std::to_string(kLarge))));
  ASSERT_TRUE(
      app.WaitFor([](const ServerStats& stats) { return stats.buffered_bytes > 1'000'000; }));
  RawClient other(app.server.port());
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(other.Send(Get("/echo/a")));
    ASSERT_EQ(other.Read()->body, "a");
  }
  EXPECT_TRUE(app.WaitFor([](const ServerStats& stats) {
    return stats.RefusedFor(Refusal::kSlowReader) == 1 && stats.buffered_bytes < 1'000'000;
  }));
}

TEST(HttpServerTest, AClientThatReadsSlowlyGetsItAll) {
  TestApp app;
  RawClient client(app.server.port(), 4096);
  ASSERT_TRUE(client.Send(Get("/large/" + std::to_string(kLarge)) + Get("/echo/next")));
  const auto answer = client.Read();
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->body.size(), kLarge);
  EXPECT_EQ(client.Read()->body, "next");
  EXPECT_TRUE(app.WaitFor([](const ServerStats& stats) { return stats.buffered_bytes == 0; }));
}

// The write that a client's next request makes possible may be the one that empties the output.
TEST(HttpServerTest, ARequestThatComesWhenTheClientHasJustCaughtUpIsRead) {
  TestApp app;
  std::size_t taken = 0;  // By the kernel, of an answer that nobody reads.
  {
    RawClient client(app.server.port(), 4096);
    ASSERT_TRUE(client.Send(Get("/large/" + std::to_string(kLarge))));
    std::uint64_t left = 0;
    ASSERT_TRUE(app.WaitFor([&left](const ServerStats& stats) {
      const bool steady = stats.buffered_bytes == left && left > 0 && left < kLarge;
      left = stats.buffered_bytes;
      return steady;
    }));
    taken = kLarge - left;
  }
  for (std::size_t round = 0; round < 20; ++round) {
    ASSERT_TRUE(app.WaitFor([](const ServerStats& stats) { return stats.open == 0; }));
    RawClient client(app.server.port(), 4096);
    const std::size_t size = taken + 200 * round;
    ASSERT_TRUE(client.Send(Get("/large/" + std::to_string(size))));
    std::string read = client.ReadBytes(2000 + 1000 * (round % 5));
    ASSERT_TRUE(client.Send(Get("/echo/next")));
    const std::size_t head = read.find("\r\n\r\n") + 4;
    read += client.ReadBytes(head + size - read.size());
    ASSERT_EQ(read.size(), head + size);
    const auto next = client.Read();
    ASSERT_TRUE(next.has_value()) << "round " << round;
    EXPECT_EQ(next->body, "next");
  }
}

TEST(HttpServerTest, AnAnswerThatResetsTheConnectionIsNoAnswer) {
  TestApp app;
  RawClient at_once(app.server.port());
  ASSERT_TRUE(at_once.Send(Get("/reset") + Get("/echo/behind")));
  EXPECT_FALSE(at_once.Read().has_value());

  RawClient parked(app.server.port());
  ASSERT_TRUE(parked.Send(Get("/park/a")));
  auto request = app.NextParked();
  ASSERT_TRUE(request.has_value());
  Response reset;
  reset.resets_connection = true;
  request->responder.Send(reset);
  EXPECT_FALSE(parked.Read().has_value());
  EXPECT_TRUE(app.WaitFor([](const ServerStats& stats) {
    return stats.open == 0 && stats.parked == 0 && stats.buffered_bytes == 0;
  }));
}

TEST(HttpServerTest, ConnectionsBeyondTheLimitAreToldSo) {
  ServerOptions options;
  options.connections_max = 2;
  TestApp app(options);
  RawClient first(app.server.port());
  auto second = std::make_unique<RawClient>(app.server.port());
  for (RawClient* client : {&first, second.get()}) {
    ASSERT_TRUE(client->Send(Get("/echo/a")));
    EXPECT_EQ(client->Read()->body, "a");
  }
  {
    RawClient third(app.server.port());
    EXPECT_EQ(third.Read()->status, 503);
    EXPECT_TRUE(third.AtEnd());
  }
  EXPECT_EQ(app.server.stats().RefusedFor(Refusal::kConnections), 1U);
  second.reset();
  ASSERT_TRUE(app.WaitFor([](const ServerStats& stats) { return stats.open == 1; }));
  RawClient fourth(app.server.port());
  ASSERT_TRUE(fourth.Send(Get("/echo/a")));
  EXPECT_EQ(fourth.Read()->body, "a");
}

TEST(HttpServerTest, ParkedRequestsBeyondTheLimitAreRefused) {
  ServerOptions options;
  options.parked_max = 1;
  TestApp app(options);
  RawClient first(app.server.port());
  ASSERT_TRUE(first.Send(Get("/park/a")));
  auto parked = app.NextParked();
  ASSERT_TRUE(app.WaitFor([](const ServerStats& stats) { return stats.parked == 1; }));
  RawClient second(app.server.port());
  ASSERT_TRUE(second.Send(Get("/park/b")));
  const auto refused = second.Read();
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(refused->status, 503);
  EXPECT_TRUE(refused->Has("\r\nRetry-After: 1\r\n"));
  AnswerWithPath(*std::move(parked));
  EXPECT_EQ(first.Read()->body, "/park/a");
  ASSERT_TRUE(second.Send(Get("/echo/c")));
  EXPECT_EQ(second.Read()->body, "c") << "the connection lives on";
}

TEST(HttpServerTest, AClientThatSendsWithoutEndBehindAParkedRequestIsDropped) {
  TestApp app;
  RawClient client(app.server.port());
  ASSERT_TRUE(client.Send(Get("/park/a")));
  std::optional<Parked> parked = app.NextParked();
  const std::string junk(std::size_t{64} * 1024, 'x');
  for (int i = 0; i < 1000 && client.Send(junk); ++i) {
  }
  EXPECT_TRUE(app.WaitFor([](const ServerStats& stats) { return stats.open == 0; }));
  EXPECT_EQ(app.server.stats().RefusedFor(Refusal::kMemory), 1U);
  EXPECT_EQ(app.server.stats().parked, 1U) << "somebody still holds the request";
  EXPECT_GT(app.server.stats().buffered_bytes, 0U);
  AnswerWithPath(*std::move(parked));
  EXPECT_EQ(app.server.stats().parked, 0U);
  EXPECT_EQ(app.server.stats().buffered_bytes, 0U);
}

TEST(HttpServerTest, WhenMemoryIsShortLargeClientsAreDropped) {
  ServerOptions options;
  options.buffered_bytes_max = 100'000;
  TestApp app(options);
  RawClient large(app.server.port());
  large.Send(Post("/echo", std::string(500'000, 'x')));
  EXPECT_FALSE(large.Read().has_value());
  EXPECT_EQ(app.server.stats().RefusedFor(Refusal::kMemory), 1U);
  RawClient small(app.server.port());
  ASSERT_TRUE(small.Send(Get("/echo/a")));
  EXPECT_EQ(small.Read()->body, "a");
}

TEST(HttpServerTest, AConnectionEndsAfterItsShareOfRequests) {
  ServerOptions options;
  options.requests_per_connection_max = 2;
  TestApp app(options);
  RawClient client(app.server.port());
  ASSERT_TRUE(client.Send(Get("/echo/a") + Get("/echo/b") + Get("/echo/c")));
  EXPECT_TRUE(client.Read()->Has("keep-alive"));
  EXPECT_TRUE(client.Read()->Has("\r\nConnection: close\r\n"));
  EXPECT_TRUE(client.AtEnd());
}

TEST(HttpServerTest, DrainingWaitsForAnswersAndTakesNoNewClients) {
  TestApp app;
  RawClient idle(app.server.port());
  ASSERT_TRUE(idle.Send(Get("/echo/a")));
  EXPECT_EQ(idle.Read()->body, "a");
  RawClient busy(app.server.port());
  ASSERT_TRUE(busy.Send(Get("/park/b")));
  auto parked = app.NextParked();
  EXPECT_FALSE(app.server.Drain(50ms)) << "one request is parked";
  EXPECT_TRUE(idle.AtEnd());
  RawClient late(app.server.port());
  EXPECT_EQ(late.Read()->status, 503);
  std::thread answering([&] {
    SystemClock().SleepFor(50ms);
    AnswerWithPath(*std::move(parked));
  });
  EXPECT_TRUE(app.server.Drain(10s));
  answering.join();
  const auto answer = busy.Read();
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->body, "/park/b");
  EXPECT_TRUE(answer->Has("\r\nConnection: close\r\n"));
  EXPECT_TRUE(busy.AtEnd());
  EXPECT_EQ(app.server.stats().RefusedFor(Refusal::kDraining), 1U);
}

std::ptrdiff_t OpenDescriptors() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                       std::filesystem::directory_iterator());
}

TEST(HttpServerTest, ClientsThatHaveGoneLeaveNoDescriptor) {
  TestApp app;
  const auto before = OpenDescriptors();
  {
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int i = 0; i < 50; ++i) {
      clients.push_back(std::make_unique<RawClient>(app.server.port()));
      ASSERT_TRUE(clients.back()->Send(Get("/echo/a")));
      EXPECT_EQ(clients.back()->Read()->body, "a");
    }
    EXPECT_GE(OpenDescriptors(), before + 100);
  }
  EXPECT_TRUE(app.WaitFor(
      [&](const ServerStats& stats) { return stats.open == 0 && OpenDescriptors() == before; }));
}

TEST(HttpServerTest, ThousandsOfConnectionsAreServedAtOnce) {
  constexpr std::size_t kClients = 2000;
  TestApp app;
  if (app.server.connections_max() < 2 * kClients) {  // A third descriptor each is the client's.
    GTEST_SKIP() << "the process may not have " << 3 * kClients << " descriptors";
  }
  std::vector<std::unique_ptr<RawClient>> clients;
  clients.reserve(kClients);
  for (std::size_t i = 0; i < kClients; ++i) {
    clients.push_back(std::make_unique<RawClient>(app.server.port()));
  }
  for (std::size_t i = 0; i < kClients; ++i) {
    ASSERT_TRUE(clients[i]->Send(Get("/echo/" + std::to_string(i))));
  }
  for (std::size_t i = 0; i < kClients; ++i) {
    ASSERT_EQ(clients[i]->Read()->body, std::to_string(i));
  }
  EXPECT_EQ(app.server.stats().open, kClients);
}

TEST(HttpServerTest, TheLimitOnConnectionsFitsTheDescriptors) {
  const auto check = [] {
    const rlimit few{2048, 2048};
    setrlimit(RLIMIT_NOFILE, &few);
    const TestApp app;
    std::_Exit(app.server.connections_max() == 512 ? 0 : 1);
  };
  EXPECT_EXIT(check(), ::testing::ExitedWithCode(0), "");
}

TEST(HttpServerTest, AResponderMayOutliveTheServer) {
  std::optional<Parked> parked;
  {
    TestApp app;
    RawClient client(app.server.port());
    ASSERT_TRUE(client.Send(Get("/park/a")));
    parked = app.NextParked();
    ASSERT_TRUE(app.WaitFor([](const ServerStats& stats) { return stats.parked == 1; }));
    app.server.Stop();
    EXPECT_EQ(app.server.stats().open, 0U);
    EXPECT_EQ(app.server.stats().parked, 1U);
    EXPECT_FALSE(client.Read().has_value());
  }
  AnswerWithPath(*std::move(parked));
}

TEST(HttpServerTest, AnAddressThatCannotBeBoundIsSaid) {
  ServerOptions options;
  options.address = "192.0.2.1";  // For documentation: no machine has it.
  Server server(
      options, [](const Request& /*request*/, const Responder& /*responder*/) {}, SystemClock());
  const Status status = server.Start();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(status.error().message(), HasSubstr("192.0.2.1"));
}

TEST(HttpServerTest, OptionsOutOfRangeAreSaid) {
  ServerOptions options;
  options.threads = 0;
  Server server(
      options, [](const Request& /*request*/, const Responder& /*responder*/) {}, SystemClock());
  const Status status = server.Start();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code(), ErrorCode::kInvalid);
  EXPECT_THAT(status.error().message(), HasSubstr("threads"));
}

}  // namespace
}  // namespace alertstream::http
