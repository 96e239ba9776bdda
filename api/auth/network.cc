#include "api/auth/network.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

#include "processor/base/text.h"

namespace alertstream::api {
namespace {

using AddressBytes = std::array<std::uint8_t, 16>;

constexpr int kV4PrefixBits = 96;  // Of ::ffff:0:0/96, where IPv4 lies.
constexpr AddressBytes kV4Prefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0};
constexpr std::size_t kAddressCharactersMax = 64;

bool IsV4(const AddressBytes& address) {
  return std::equal(address.begin(), address.begin() + 12, kV4Prefix.begin());
}

std::optional<AddressBytes> ParseAddress(std::string_view text) {
  if (text.size() > kAddressCharactersMax) {
    return std::nullopt;
  }
  const std::string copy(text);
  AddressBytes address = kV4Prefix;
  if (inet_pton(AF_INET, copy.c_str(), address.data() + 12) == 1 ||
      inet_pton(AF_INET6, copy.c_str(), address.data()) == 1) {
    return address;
  }
  return std::nullopt;
}

// The bits behind the prefix set to 0.
AddressBytes Masked(AddressBytes address, int bits) {
  for (int i = 0; i < 16; ++i) {
    const int kept = std::clamp(bits - i * 8, 0, 8);
    const auto mask = static_cast<unsigned>(0xff00 >> kept) & 0xffU;
    address[static_cast<std::size_t>(i)] &= static_cast<std::uint8_t>(mask);
  }
  return address;
}

bool Contains(std::span<const Network> networks, const AddressBytes& address) {
  return std::any_of(networks.begin(), networks.end(), [&](const Network& network) {
    return Masked(address, network.bits) == network.address;
  });
}

}  // namespace

Result<Network> ParseNetwork(std::string_view text) {
  const Error malformed(ErrorCode::kInvalid,
                        "expected an IP address or a network such as 192.0.2.0/24");
  const std::size_t slash = text.find('/');
  const auto address = ParseAddress(text.substr(0, slash));
  if (!address) {
    return malformed;
  }
  Network network{.address = *address, .bits = 128};
  if (slash != std::string_view::npos) {
    const std::string_view digits = text.substr(slash + 1);
    const int first =
        IsV4(*address) && text.find(':') == std::string_view::npos ? kV4PrefixBits : 0;
    int bits = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
    if (error != std::errc() || end != digits.data() + digits.size() || bits < 0 ||
        bits > 128 - first) {
      return malformed;
    }
    network.bits = first + bits;
  }
  if (Masked(*address, network.bits) != *address) {
    return Error(ErrorCode::kInvalid, "the network's address has bits behind its prefix");
  }
  return network;
}

std::string FormatNetwork(const Network& network) {
  std::array<char, INET6_ADDRSTRLEN> text = {};
  const bool is_v4 = IsV4(network.address) && network.bits >= kV4PrefixBits;
  inet_ntop(is_v4 ? AF_INET : AF_INET6, network.address.data() + (is_v4 ? 12 : 0), text.data(),
            text.size());
  std::string formatted = text.data();
  if (network.bits < 128) {
    formatted += "/" + std::to_string(network.bits - (is_v4 ? kV4PrefixBits : 0));
  }
  return formatted;
}

bool Contains(std::span<const Network> networks, std::string_view address) {
  const auto parsed = ParseAddress(address);
  return parsed && Contains(networks, *parsed);
}

bool Covers(std::span<const Network> networks, const Network& inner) {
  return std::any_of(networks.begin(), networks.end(), [&](const Network& outer) {
    return outer.bits <= inner.bits && Masked(inner.address, outer.bits) == outer.address;
  });
}

std::string SubscriberOf(std::string_view address) {
  constexpr int kSubscriberBits = 64;
  constexpr std::size_t kSubscriberBytes = kSubscriberBits / 8;
  const auto parsed = ParseAddress(address);
  if (!parsed || IsV4(*parsed)) {
    return std::string(address);
  }
  Network network{.address = *parsed, .bits = kSubscriberBits};
  std::fill(network.address.begin() + kSubscriberBytes, network.address.end(), 0);
  return FormatNetwork(network);
}

std::string ClientAddress(std::string_view peer, std::string_view forwarded_for,
                          std::span<const Network> trusted_proxies) {
  std::string client(peer);
  std::string_view rest = forwarded_for;
  for (std::size_t hop = 0; hop < kForwardedHopsMax && !rest.empty(); ++hop) {
    if (!Contains(trusted_proxies, std::string_view(client))) {
      break;
    }
    const std::size_t comma = rest.rfind(',');
    const std::string_view entry =
        Trimmed(comma == std::string_view::npos ? rest : rest.substr(comma + 1));
    if (!ParseAddress(entry)) {
      break;  // What a trusted proxy wrote is an address; this is not from one.
    }
    client = entry;
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(0, comma);
  }
  return client;
}

}  // namespace alertstream::api
