#include "schemas/topics.h"

#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace alertstream::schemas {
namespace {

// What is stored under these names and numbers stays: a line may be added, never changed.
TEST(TopicsTest, CatalogueIsPinned) {
  struct Pinned {
    int number;
    std::string_view name;
    TopicRole role;
    bool permission;
    std::int32_t value_bytes_max;
    std::int64_t retention_ms;
  };
  constexpr std::int32_t kInputBytes = 1'310'720;
  const std::vector<Pinned> pinned = {
      {1, "site-events", TopicRole::kInput, false, kInputBytes, -1},
      {2, "consent-changes", TopicRole::kInput, true, kInputBytes, -1},
      {3, "opt-outs", TopicRole::kInput, true, kInputBytes, -1},
      {4, "inbound-messages", TopicRole::kInput, true, kInputBytes, -1},
      {5, "delivery-receipts", TopicRole::kInput, false, kInputBytes, -1},
      {6, "delivery-attempts", TopicRole::kInput, false, kInputBytes, -1},
      {7, "account-changes", TopicRole::kInput, true, kInputBytes, -1},
      {8, "notification-commands", TopicRole::kOutput, false, kInputBytes, -1},
      {9, "decisions", TopicRole::kOutput, false, kInputBytes, -1},
      {10, "facts", TopicRole::kOutput, false, kInputBytes, -1},
      {11, "dead-letters", TopicRole::kOutput, false, 2'097'152, -1},
      {12, "journal", TopicRole::kJournal, false, kInputBytes, -1},
      {13, "ownership", TopicRole::kOwnership, false, 4096, 604'800'000},
  };
  ASSERT_EQ(kTopics.size(), pinned.size());
  for (const auto& expected : pinned) {
    const TopicSpec& spec = SpecOf(static_cast<Topic>(expected.number));
    EXPECT_EQ(static_cast<int>(spec.topic), expected.number);
    EXPECT_EQ(spec.name, expected.name);
    EXPECT_EQ(spec.role, expected.role) << spec.name;
    EXPECT_EQ(spec.permission, expected.permission) << spec.name;
    EXPECT_EQ(spec.value_bytes_max, expected.value_bytes_max) << spec.name;
    EXPECT_EQ(spec.retention_ms, expected.retention_ms) << spec.name;
    EXPECT_EQ(TopicByName(expected.name), spec.topic);
  }
  EXPECT_EQ(TopicByName("site_events"), std::nullopt);
}

TEST(TopicsTest, InputsAreFoldedInCanonicalOrder) {
  std::string order;
  for (const Topic topic : kInputTopics) {
    EXPECT_EQ(SpecOf(topic).role, TopicRole::kInput);
    order.append(NameOf(topic)).append(" ");
  }
  EXPECT_EQ(order,
            "account-changes opt-outs consent-changes inbound-messages delivery-attempts "
            "delivery-receipts site-events ");
}

// Values of the Java client's own tests, in its signed form.
TEST(TopicsTest, PartitionIsThatOfTheJavaClient) {
  struct Vector {
    std::string_view key;
    std::int32_t murmur2;
  };
  const std::vector<Vector> vectors = {
      {"21", -973932308},
      {"foobar", -790332482},
      {"a-little-bit-long-string", -985981536},
      {"a-little-bit-longer-string", -1486304829},
      {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
      {"abc", 479470107},
  };
  constexpr std::int32_t kMax = std::numeric_limits<std::int32_t>::max();
  for (const auto& [key, murmur2] : vectors) {
    const std::int32_t positive = murmur2 & kMax;
    EXPECT_EQ(PartitionOf(key, kMax), positive) << key;
    EXPECT_EQ(PartitionOf(key, 12), positive % 12) << key;
    EXPECT_EQ(PartitionOf(key, 1), 0) << key;
  }
}

TEST(TopicsTest, TenantIdsAreLowerCaseAndShort) {
  const std::string longest(kTenantIdBytesMax, 'a');
  for (const std::string& id : {std::string("a"), std::string("0-_z"), longest}) {
    EXPECT_TRUE(IsTenantId(id)) << id;
  }
  for (const std::string& id :
       {std::string(), std::string("_log"), std::string("-a"), std::string("Acme"),
        std::string("a.b"), std::string("a\0b", 3), std::string("a#1"), longest + "a"}) {
    EXPECT_FALSE(IsTenantId(id)) << id;
  }
}

}  // namespace
}  // namespace alertstream::schemas
