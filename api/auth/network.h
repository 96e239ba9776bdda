// Network: a block of IP addresses (CIDR, RFC 4632 and 4291), and who the client is when trusted
// proxies stand in front. Pure. Used by the allow-lists of API keys and by login throttling.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "processor/base/result.h"

namespace alertstream::api {

inline constexpr std::size_t kNetworksPerKeyMax = 64;  // A tenant's servers, by their networks.
// More proxies than stand between anybody and us; further entries are not looked at.
inline constexpr std::size_t kForwardedHopsMax = 32;

struct Network {
  std::array<std::uint8_t, 16> address = {};  // IPv4 as ::ffff:a.b.c.d.
  int bits = 128;                             // Of the prefix, 0 to 128.
  friend bool operator==(const Network&, const Network&) = default;
};

// "10.0.0.0/8", "2001:db8::/32", or one address: "192.0.2.7". kInvalid says what was expected, also
// for bits behind the prefix, which nearly always mean another network than was written.
Result<Network> ParseNetwork(std::string_view text);
// As ParseNetwork reads it; one address without its prefix.
std::string FormatNetwork(const Network& network);

// False for what is no address.
bool Contains(std::span<const Network> networks, std::string_view address);

// True if one of the networks holds all of `inner`.
bool Covers(std::span<const Network> networks, const Network& inner);

// What one client can speak from, as limits count it: an IPv4 address, or the /64 that everybody
// with IPv6 has to himself (RFC 6177). What is no address, as it is.
std::string SubscriberOf(std::string_view address);

// The client's address: `peer`, or if that is a trusted proxy the last address of X-Forwarded-For
// (`forwarded_for`, its values joined by commas) that is none. What stands before the first
// address that we do not trust can be anybody's invention.
std::string ClientAddress(std::string_view peer, std::string_view forwarded_for,
                          std::span<const Network> trusted_proxies);

}  // namespace alertstream::api
