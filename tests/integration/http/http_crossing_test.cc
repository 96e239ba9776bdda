// No answer reaches a client that did not ask for it, while clients vanish with answers pending.
//
// Clients connect, send a few requests whose paths no other request has, and go away at once, or
// read and compare. Half of the requests are parked and answered by another thread, so that
// answers are on their way while descriptors change their owner.
// usage: alertstream_http_crossing_test [--answers N]
#include <atomic>
#include <charconv>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/integration/http/raw_client.h"
#include "tests/integration/http/test_app.h"

namespace alertstream::http {
namespace {

std::uint64_t g_answers = 4'000;  // Compared answers; as many again are given up.

struct Tally {
  std::atomic<std::uint64_t> compared{0};
  std::atomic<std::uint64_t> wrong{0};
  std::atomic<std::uint64_t> lost{0};
  std::atomic<std::uint64_t> vanished{0};
};

// One connection: a few requests, then gone, or the answers compared.
void Visit(std::uint16_t port, int client, std::uint64_t round, std::mt19937_64& random,
           Tally& tally) {
  RawClient connection(port);
  std::vector<std::string> expected;
  std::string bytes;
  const std::uint64_t count = 1 + random() % 6;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::string word =
        std::to_string(client) + "-" + std::to_string(round) + "-" + std::to_string(i);
    const bool parks = random() % 2 == 0;
    bytes += Get((parks ? "/park/" : "/echo/") + word);
    expected.push_back(parks ? "/park/" + word : word);
  }
  connection.Send(bytes);
  if (random() % 2 == 0) {
    ++tally.vanished;
    connection.Close(random() % 2 == 0);
    return;
  }
  for (const std::string& body : expected) {
    const auto answer = connection.Read();
    if (!answer) {
      ++tally.lost;
      return;
    }
    ++tally.compared;
    tally.wrong += answer->body == body ? 0 : 1;
  }
}

TEST(HttpCrossingTest, EveryAnswerReachesItsOwnClient) {
  TestApp app;
  Tally tally;
  std::thread answering([&] {
    while (auto parked = app.NextParked()) {
      Response response;
      response.body = parked->request.path;
      parked->responder.Send(std::move(response));
    }
  });
  constexpr int kClients = 4;
  std::vector<std::thread> clients;
  clients.reserve(kClients);
  for (int client = 0; client < kClients; ++client) {
    clients.emplace_back([&, client] {
      std::mt19937_64 random(static_cast<std::uint64_t>(client));
      for (std::uint64_t round = 0; tally.compared < g_answers && tally.lost == 0; ++round) {
        Visit(app.server.port(), client, round, random, tally);
      }
    });
  }
  for (std::thread& client : clients) {
    client.join();
  }
  app.EndParking();
  answering.join();
  EXPECT_EQ(tally.wrong, 0U);
  EXPECT_EQ(tally.lost, 0U);
  EXPECT_GE(tally.compared, g_answers);
  EXPECT_GT(tally.vanished, 0U);
  EXPECT_TRUE(
      app.WaitFor([](const ServerStats& stats) { return stats.open == 0 && stats.parked == 0; }));
  EXPECT_EQ(app.server.stats().buffered_bytes, 0U);
}

}  // namespace
}  // namespace alertstream::http

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i + 1 < argc; ++i) {
    const std::string_view value = argv[i + 1];
    if (std::string_view(argv[i]) == "--answers") {
      std::from_chars(value.data(), value.data() + value.size(), alertstream::http::g_answers);
    }
  }
  return RUN_ALL_TESTS();
}
