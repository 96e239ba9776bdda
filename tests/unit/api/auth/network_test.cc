// Networks of addresses, and who the client behind proxies is.
#include "api/auth/network.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace alertstream::api {
namespace {

std::vector<Network> NetworksOf(const std::vector<std::string>& texts) {
  std::vector<Network> networks;
  for (const std::string& text : texts) {
    networks.push_back(ParseNetwork(text).value());
  }
  return networks;
}

TEST(NetworkTest, WhatIsReadIsWrittenBack) {
  for (const std::string text :
       {"10.0.0.0/8", "192.0.2.7", "0.0.0.0/0", "2001:db8::/32", "::1", "::/0", "10.0.0.0/31"}) {
    const auto network = ParseNetwork(text);
    ASSERT_TRUE(network.ok()) << text;
    EXPECT_EQ(FormatNetwork(network.value()), text);
  }
}

TEST(NetworkTest, WhatIsNoNetworkIsRefused) {
  for (const std::string text :
       {"", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0", "10.0.0.1/8",
        "2001:db8::/129", "2001:db8::1/32", "example.com", "10.0.0.0/8/8"}) {
    const auto network = ParseNetwork(text);
    ASSERT_FALSE(network.ok()) << text;
    EXPECT_EQ(network.error().code(), ErrorCode::kInvalid);
  }
}

TEST(NetworkTest, AnAddressIsInItsNetworksOnly) {
  const auto networks = NetworksOf({"10.0.0.0/8", "192.0.2.7", "2001:db8::/32"});
  for (const std::string inside :
       {"10.0.0.0", "10.255.255.255", "192.0.2.7", "2001:db8::1", "::ffff:10.1.1.1"}) {
    EXPECT_TRUE(Contains(networks, inside)) << inside;
  }
  for (const std::string outside : {"11.0.0.0", "192.0.2.8", "2001:db9::1", "", "localhost"}) {
    EXPECT_FALSE(Contains(networks, outside)) << outside;
  }
  EXPECT_TRUE(Contains(NetworksOf({"0.0.0.0/0"}), "203.0.113.9"));
  EXPECT_FALSE(Contains(NetworksOf({"0.0.0.0/0"}), "2001:db8::1"));
}

TEST(NetworkTest, ANetworkCoversWhatLiesWithinIt) {
  const auto networks = NetworksOf({"10.0.0.0/8", "192.0.2.7", "2001:db8::/32"});
  for (const std::string inside :
       {"10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "192.0.2.7", "2001:db8:1::/48"}) {
    EXPECT_TRUE(Covers(networks, ParseNetwork(inside).value())) << inside;
  }
  for (const std::string outside :
       {"0.0.0.0/0", "10.0.0.0/7", "11.0.0.0/16", "192.0.2.6/31", "::/0", "2001:db8::/31"}) {
    EXPECT_FALSE(Covers(networks, ParseNetwork(outside).value())) << outside;
  }
  EXPECT_FALSE(Covers({}, ParseNetwork("10.1.2.3").value()));
}

TEST(ClientAddressTest, OnlyTrustedProxiesAreBelieved) {
  const auto trusted = NetworksOf({"127.0.0.1", "10.0.0.0/8"});
  struct Case {
    std::string peer;
    std::string forwarded_for;
    std::string expected;
  };
  const std::vector<Case> cases = {
      {"203.0.113.9", "", "203.0.113.9"},
      {"203.0.113.9", "198.51.100.1", "203.0.113.9"},
      {"127.0.0.1", "", "127.0.0.1"},
      {"127.0.0.1", "198.51.100.1", "198.51.100.1"},
      {"127.0.0.1", "192.0.2.66, 198.51.100.1", "198.51.100.1"},
      {"127.0.0.1", "192.0.2.66, 198.51.100.1, 10.0.0.5", "198.51.100.1"},
      {"127.0.0.1", "nonsense", "127.0.0.1"},
      {"127.0.0.1", "198.51.100.1,", "127.0.0.1"},
      {"127.0.0.1", " 2001:db8::1 ", "2001:db8::1"},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(ClientAddress(c.peer, c.forwarded_for, trusted), c.expected)
        << c.peer << " " << c.forwarded_for;
  }
  EXPECT_EQ(ClientAddress("127.0.0.1", "198.51.100.1", {}), "127.0.0.1");
}

TEST(SubscriberTest, EverybodyWithIpv6HasANetwork) {
  EXPECT_EQ(SubscriberOf("203.0.113.9"), "203.0.113.9");
  EXPECT_EQ(SubscriberOf("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  EXPECT_EQ(SubscriberOf("2001:db8:1:2::9"), SubscriberOf("2001:db8:1:2:ffff::1"));
  EXPECT_NE(SubscriberOf("2001:db8:1:2::9"), SubscriberOf("2001:db8:1:3::9"));
  EXPECT_EQ(SubscriberOf("nonsense"), "nonsense");
}

}  // namespace
}  // namespace alertstream::api
