#include "processor/dispatch/http_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <utility>

#include "tests/support/raw_http_server.h"

namespace alertstream::dispatch {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::Not;

std::unique_ptr<HttpClient> Client(const HttpClientOptions& options = {}) {
  auto client = HttpClient::Create(options);
  EXPECT_TRUE(client.ok());
  return std::move(client).value();
}

HttpCall PostTo(const std::string& url, std::string body = "To=x&Body=y") {
  HttpCall call{.base_url = url};
  call.request = {.method = "POST", .path = "/Messages.json"};
  call.request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
  call.request.authorization = Redacted<std::string>("Basic QUM6dG9rZW4=");
  call.request.body = Redacted<std::string>(std::move(body));
  return call;
}

std::future<HttpOutcome> Submit(HttpClient& client, HttpCall call) {
  auto done = std::make_shared<std::promise<HttpOutcome>>();  // Shared with the client's thread.
  auto outcome = done->get_future();
  client.Submit(std::move(call),
                [done](HttpOutcome result) { done->set_value(std::move(result)); });
  return outcome;
}

HttpOutcome Send(HttpClient& client, HttpCall call) {
  return Submit(client, std::move(call)).get();
}

std::string NameOf(const HttpOutcome& outcome) {
  const auto* const failure = std::get_if<TransportFailure>(&outcome);
  return failure == nullptr ? "answer" : std::string(TransportFailureName(*failure));
}

void AnswerAll(RawConnection& connection) {
  while (connection.Read()) {
    connection.Answer(201, "{}");
  }
}

TEST(HttpClientTest, SendsTheRequestAsItIsAndReturnsTheAnswer) {
  std::promise<RawRequest> seen;
  RawHttpServer server([&](RawConnection& connection) {
    seen.set_value(*connection.Read());
    connection.Answer(201, R"({"sid":"SM1"})", "X-One: 1\r\nRetry-After:  7 \r\n");
  });
  const auto client = Client();
  HttpCall call = PostTo(server.Url() + "/base");
  call.request.headers.push_back({"X-Empty", ""});
  const auto outcome = Send(*client, std::move(call));
  ASSERT_EQ(NameOf(outcome), "answer");
  const auto& answer = std::get<HttpAnswer>(outcome);
  EXPECT_EQ(answer.status, 201);
  EXPECT_EQ(answer.body.Reveal(), R"({"sid":"SM1"})");
  EXPECT_EQ(FindHeader(answer.headers, "x-one"), "1");
  EXPECT_EQ(FindHeader(answer.headers, "retry-after"), "7");
  const RawRequest request = seen.get_future().get();
  EXPECT_EQ(request.RequestLine(), "POST /base/Messages.json HTTP/1.1");
  EXPECT_EQ(request.body, "To=x&Body=y");
  EXPECT_THAT(request.head, HasSubstr("\r\nAuthorization: Basic QUM6dG9rZW4=\r\n"));
  EXPECT_THAT(request.head, HasSubstr("\r\nContent-Type: application/x-www-form-urlencoded\r\n"));
  EXPECT_THAT(request.head, HasSubstr("\r\nX-Empty:\r\n"));
  EXPECT_THAT(request.head, Not(HasSubstr("Expect:")));
  EXPECT_EQ(client->pending(), 0U);
}

TEST(HttpClientTest, WritesEveryMethodWithAndWithoutABody) {
  std::promise<RawRequest> seen;
  RawHttpServer server([&](RawConnection& connection) {
    while (const auto request = connection.Read()) {
      connection.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Line: " + request->RequestLine() +
                      " " + std::to_string(request->body.size()) + "\r\n\r\n");
      if (!request->head.starts_with("HEAD")) {
        connection.Send("{}");
      }
    }
  });
  const auto client = Client();
  const std::pair<const char*, const char*> cases[] = {
      {"GET", ""}, {"HEAD", ""}, {"POST", ""}, {"DELETE", ""}, {"PUT", "ab"}, {"PATCH", "abc"}};
  for (const auto& [method, body] : cases) {
    HttpCall call{.base_url = server.Url()};
    call.request = {.method = method, .path = "/a/../b?c=d"};
    call.request.body = Redacted<std::string>(body);
    const auto outcome = Send(*client, std::move(call));
    ASSERT_EQ(NameOf(outcome), "answer") << method;
    EXPECT_EQ(
        FindHeader(std::get<HttpAnswer>(outcome).headers, "X-Line"),
        std::string(method) + " /a/../b?c=d HTTP/1.1 " + std::to_string(std::string(body).size()));
  }
}

TEST(HttpClientTest, KeepsConnections) {
  RawHttpServer server(AnswerAll);
  const auto client = Client();
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(NameOf(Send(*client, PostTo(server.Url()))), "answer");
  }
  EXPECT_EQ(server.connections(), 1);
}

TEST(HttpClientTest, SendsManyAtOnceWithinTheLimits) {
  std::atomic<int> at_once = 0;
  std::atomic<int> at_once_max = 0;
  RawHttpServer server([&](RawConnection& connection) {
    while (connection.Read()) {
      const int now = ++at_once;
      int seen = at_once_max.load();
      while (now > seen && !at_once_max.compare_exchange_weak(seen, now)) {
      }
      --at_once;
      connection.Answer(201, "{}");
    }
  });
  const auto client = Client({.calls_max = 16, .connections_per_host_max = 4});
  constexpr std::size_t kCalls = 300;
  std::vector<std::future<HttpOutcome>> outcomes;
  outcomes.reserve(kCalls);
  for (std::size_t i = 0; i < kCalls; ++i) {
    outcomes.push_back(Submit(*client, PostTo(server.Url())));
  }
  for (auto& outcome : outcomes) {
    EXPECT_EQ(NameOf(outcome.get()), "answer");
  }
  EXPECT_LE(server.connections(), 4);
  EXPECT_LE(at_once_max, 4);
}

TEST(HttpClientTest, FollowsNoRedirect) {
  RawHttpServer server([](RawConnection& connection) {
    while (connection.Read()) {
      connection.Answer(302, "", "Location: /elsewhere\r\n");
    }
  });
  const auto client = Client();
  const auto outcome = Send(*client, PostTo(server.Url()));
  ASSERT_EQ(NameOf(outcome), "answer");
  EXPECT_EQ(std::get<HttpAnswer>(outcome).status, 302);
}

TEST(HttpClientTest, DropsTheHeadersOfInterimAnswers) {
  RawHttpServer server([](RawConnection& connection) {
    connection.Read();
    connection.Send("HTTP/1.1 103 Early Hints\r\nX-Interim: 1\r\n\r\n");
    connection.Answer(200, "{}");
  });
  const auto client = Client();
  const auto outcome = Send(*client, PostTo(server.Url()));
  ASSERT_EQ(NameOf(outcome), "answer");
  EXPECT_EQ(std::get<HttpAnswer>(outcome).status, 200);
  EXPECT_FALSE(FindHeader(std::get<HttpAnswer>(outcome).headers, "X-Interim"));
}

TEST(HttpClientTest, TellsFailuresApartByWhatMayHaveArrived) {
  // Far more than sockets of both sides take.
  const std::string large(std::size_t{32} << 20, 'x');
  struct Case {
    const char* name;
    RawHttpServer::Handler handler;
    std::string body;
    const char* expected;
  };
  const Case cases[] = {
      {"closes behind the head", [](RawConnection& c) { c.ReadHead(); }, large,
       "closed_before_sent"},
      {"reads the head only", [](RawConnection& c) { c.ReadHead(), c.AwaitStop(); }, large,
       "timeout_before_sent"},
      {"closes behind the request", [](RawConnection& c) { c.Read(); }, "a=b", "closed_after_sent"},
      {"resets behind the request", [](RawConnection& c) { c.Read(), c.Reset(); }, "a=b",
       "closed_after_sent"},
      {"is silent", [](RawConnection& c) { c.Read(), c.AwaitClose(); }, "a=b",
       "timeout_after_sent"},
      {"is silent to a GET", [](RawConnection& c) { c.Read(), c.AwaitClose(); }, "",
       "timeout_after_sent"},
      {"stops within the head", [](RawConnection& c) { c.Read(), c.Send("HTTP/1.1 20"); }, "a=b",
       "closed_after_sent"},
      {"stops within the body",
       [](RawConnection& c) { c.Read(), c.Send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"); },
       "a=b", "closed_after_sent"},
      {"answers something else",
       [](RawConnection& c) { c.Read(), c.Send("220 mail.example.com ESMTP\r\n\r\n"); }, "a=b",
       "unreadable_answer"},
      {"answers too much",
       [](RawConnection& c) { c.Read(), c.Answer(200, std::string(2000, 'x')); }, "a=b",
       "unreadable_answer"},
      {"answers too long a head",
       [](RawConnection& c) {
         c.Read();
         c.Answer(200, "{}", "X-Long: " + std::string(2000, 'x') + "\r\n");
       },
       "a=b", "unreadable_answer"},
      {"answers early",
       [](RawConnection& c) {
         c.ReadHead(), c.Answer(413, "{}", "Connection: close\r\n"), c.AwaitClose();
       },
       large, "answer"},
  };
  for (const Case& test : cases) {
    RawHttpServer server(test.handler);
    const auto client = Client({.answer_bytes_max = 1000});
    HttpCall call = PostTo(server.Url(), test.body);
    if (test.body.empty()) {
      call.request.method = "GET";
    }
    call.total_timeout = milliseconds(300);
    EXPECT_EQ(NameOf(Send(*client, std::move(call))), test.expected) << test.name;
  }
}

TEST(HttpClientTest, NobodyThereIsNotConnected) {
  const auto client = Client();
  int port = 0;
  {
    RawHttpServer server(AnswerAll);
    port = server.port();
  }
  EXPECT_EQ(NameOf(Send(*client, PostTo("http://127.0.0.1:" + std::to_string(port)))),
            "not_connected");
  EXPECT_EQ(NameOf(Send(*client, PostTo("ftp://127.0.0.1"))), "not_connected");
  RawHttpServer plain([](RawConnection& connection) { connection.Answer(400, ""); });
  EXPECT_EQ(NameOf(Send(*client, PostTo("https://127.0.0.1:" + std::to_string(plain.port())))),
            "not_connected");
}

TEST(HttpClientTest, ATlsPeerThatIsSilentIsAConnectTimeout) {
  RawHttpServer server([](RawConnection& connection) { connection.AwaitClose(); });
  const auto client = Client();
  HttpCall call = PostTo("https://127.0.0.1:" + std::to_string(server.port()));
  call.connect_timeout = milliseconds(100);
  EXPECT_EQ(NameOf(Send(*client, std::move(call))), "connect_timeout");
}

// libcurl repeats a request by itself when a kept connection dies: never once it may have arrived.
TEST(HttpClientTest, NeverSendsARequestTwiceThatMayHaveArrived) {
  for (const std::string body : {"a=b", ""}) {
    std::atomic<int> requests = 0;
    RawHttpServer server([&](RawConnection& connection) {
      if (connection.Read()) {
        ++requests;
        connection.Answer(201, "{}");
      }
      if (connection.Read()) {
        ++requests;  // And closes without a word.
      }
    });
    const auto client = Client();
    ASSERT_EQ(NameOf(Send(*client, PostTo(server.Url(), "first"))), "answer");
    const auto outcome = NameOf(Send(*client, PostTo(server.Url(), body)));
    EXPECT_EQ(requests, 2);
    EXPECT_EQ(outcome, body.empty() ? "answer" : "closed_after_sent");
  }
}

TEST(HttpClientTest, AConnectionThatWasClosedWhileIdleIsNotUsed) {
  RawHttpServer server([&](RawConnection& connection) {
    if (connection.number() > 0) {
      AnswerAll(connection);
      return;
    }
    connection.Read();
    connection.Answer(201, "{}");
  });
  const auto client = Client();
  ASSERT_EQ(NameOf(Send(*client, PostTo(server.Url()))), "answer");
  server.AwaitClosed();
  EXPECT_EQ(NameOf(Send(*client, PostTo(server.Url()))), "answer");
  EXPECT_EQ(server.connections(), 2);
}

TEST(HttpClientTest, WhatWouldForgeARequestIsNotSent) {
  RawHttpServer server(AnswerAll);
  const auto client = Client();
  const auto refused = [&](const std::function<void(HttpCall&)>& change) {
    HttpCall call = PostTo(server.Url());
    change(call);
    return NameOf(Send(*client, std::move(call)));
  };
  EXPECT_EQ(refused([](HttpCall& call) {
              call.request.headers.push_back({"X-A", "1\r\nX-B: 2"});
            }),
            "not_connected");
  EXPECT_EQ(refused([](HttpCall& call) {
              call.request.headers.push_back({"X-A\n", "1"});
            }),
            "not_connected");
  EXPECT_EQ(refused([](HttpCall& call) {
              call.request.headers.push_back({"X-A: 1", "1"});
            }),
            "not_connected");
  EXPECT_EQ(refused([](HttpCall& call) {
              call.request.authorization = Redacted<std::string>("Basic a\r\nX: y");
            }),
            "not_connected");
  EXPECT_EQ(refused([](HttpCall& call) { call.request.path = "/a b"; }), "not_connected");
  EXPECT_EQ(refused([](HttpCall& call) { call.request.path = ".evil.example/"; }), "not_connected");
  EXPECT_EQ(refused([](HttpCall& call) { call.request.method = "POST /x"; }), "not_connected");
  EXPECT_EQ(server.connections(), 0);
}

TEST(HttpClientTest, StopEndsAllCalls) {
  std::promise<void> read;
  RawHttpServer server([&](RawConnection& connection) {
    connection.Read();
    read.set_value();
    connection.AwaitClose();
  });
  const auto client = Client({.calls_max = 1});
  auto sent = Submit(*client, PostTo(server.Url()));
  auto waiting = Submit(*client, PostTo(server.Url()));
  EXPECT_EQ(client->pending(), 2U);
  read.get_future().wait();
  client->Stop();
  EXPECT_EQ(NameOf(sent.get()), "closed_after_sent");
  EXPECT_EQ(NameOf(waiting.get()), "closed_before_sent");
  EXPECT_EQ(NameOf(Send(*client, PostTo(server.Url()))), "not_connected");
  EXPECT_EQ(client->pending(), 0U);
}

}  // namespace
}  // namespace alertstream::dispatch
