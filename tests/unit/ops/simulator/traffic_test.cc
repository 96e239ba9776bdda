#include "ops/simulator/traffic.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ops/simulator/faults.h"
#include "schemas/json.h"

namespace alertstream::simulator {
namespace {

std::string KeyOf(char c) { return "ntf_01JD3JAAAAAAAAAAAAAAAAAAA" + std::string(1, c); }

Message MessageOf(std::string key) {
  Message message;
  message.key = std::move(key);
  message.sid = "SM";
  message.received_at = FromMicros(1'795'176'000'000'000);
  return message;
}

std::int64_t Number(const std::string& json, std::string_view name) {
  schemas::JsonDocument document;
  EXPECT_TRUE(document.Parse(json).ok()) << json;
  return document.root().Find(name)->AsInt();
}

std::size_t Rows(const std::string& json, std::string_view name) {
  schemas::JsonDocument document;
  EXPECT_TRUE(document.Parse(json).ok()) << json;
  return document.root().Find(name)->size();
}

TEST(TrafficTest, CountsHowOftenAKeyWasAccepted) {
  Traffic traffic;
  EXPECT_EQ(traffic.Accept(MessageOf(KeyOf('A')))->attempt, 1U);
  EXPECT_EQ(traffic.Accept(MessageOf(KeyOf('B')))->attempt, 1U);
  EXPECT_EQ(traffic.Accept(MessageOf(KeyOf('A')))->attempt, 2U);
  EXPECT_EQ(traffic.Accept(MessageOf(""))->attempt, 1U);
  const std::string json = traffic.MessagesJson(10);
  EXPECT_EQ(Number(json, "distinct_keys"), 2);
  EXPECT_EQ(Number(json, "total"), 4);
  EXPECT_EQ(Rows(json, "messages"), 4U);
  EXPECT_THAT(json, ::testing::HasSubstr(R"("attempt":2,"received_at":"2026-11-20T12:00:00Z")"));
}

TEST(TrafficTest, KeepsTheNewestAndCountsTheRest) {
  Traffic traffic({.messages_max = 2, .requests_max = 1, .keys_max = 2});
  for (const char c : {'A', 'B', 'C', 'A'}) {
    traffic.Accept(MessageOf(KeyOf(c)));
    traffic.Note({.path = std::string(1, c)});
  }
  const std::string json = traffic.MessagesJson(10);
  EXPECT_EQ(Number(json, "total"), 4);
  EXPECT_EQ(Number(json, "kept"), 2);
  EXPECT_EQ(Rows(json, "messages"), 2U);
  EXPECT_EQ(Number(json, "distinct_keys"), 2);
  EXPECT_EQ(Number(json, "keys_uncounted"), 1);
  EXPECT_EQ(Rows(traffic.MessagesJson(1), "messages"), 1U);
  EXPECT_EQ(Number(traffic.RequestsJson(5), "total"), 4);
  EXPECT_EQ(Rows(traffic.RequestsJson(5), "requests"), 1U);
  traffic.Clear();
  EXPECT_EQ(Number(traffic.MessagesJson(10), "distinct_keys"), 0);
  EXPECT_EQ(traffic.Accept(MessageOf(KeyOf('A')))->attempt, 1U);
}

TEST(TrafficTest, KeepsTheBeginningOfALongPath) {
  Traffic traffic;
  traffic.Note({.path = "/" + std::string(100'000, 'x')});
  EXPECT_THAT(traffic.RequestsJson(1),
              ::testing::HasSubstr("\"/" + std::string(kPathBytesMax - 1, 'x') + "\""));
}

TEST(FaultsTest, AreUsedUp) {
  Faults faults;
  EXPECT_FALSE(faults.TakeOfRequest());
  faults.Set(Fault::kReset, 1);
  faults.Set(Fault::kHttp500, 2);
  faults.Set(Fault::kDuplicateCallbacks, 1);
  EXPECT_EQ(faults.TakeOfRequest(), Fault::kHttp500);
  EXPECT_EQ(faults.TakeOfRequest(), Fault::kHttp500);
  EXPECT_EQ(faults.TakeOfRequest(), Fault::kReset);
  EXPECT_FALSE(faults.TakeOfRequest());
  EXPECT_TRUE(faults.TakeDuplicate());
  EXPECT_FALSE(faults.TakeDuplicate());
  EXPECT_FALSE(faults.TakeReorder());
  faults.Set(Fault::kHang, 7);
  EXPECT_EQ(Number(faults.Json(), "hang"), 7);
  faults.Clear();
  EXPECT_EQ(Number(faults.Json(), "hang"), 0);
}

TEST(FaultsTest, HaveTheNamesOfTheApi) {
  for (const std::string_view name :
       {"http_429", "http_500", "opt_out_21610", "accept_then_hang", "hang", "reset",
        "duplicate_callbacks", "reorder_callbacks"}) {
    const auto fault = FaultByName(name);
    ASSERT_TRUE(fault.has_value()) << name;
    EXPECT_EQ(FaultName(*fault), name);
  }
  EXPECT_FALSE(FaultByName("http_418"));
}

}  // namespace
}  // namespace alertstream::simulator
