#include "ops/simulator/faults.h"

#include <algorithm>

#include <fmt/format.h>

namespace alertstream::simulator {
namespace {

constexpr std::array<std::string_view, kFaultCount> kNames = {
    "http_429", "http_500", "opt_out_21610",       "accept_then_hang",
    "hang",     "reset",    "duplicate_callbacks", "reorder_callbacks"};

constexpr std::size_t IndexOf(Fault fault) { return static_cast<std::size_t>(fault); }

}  // namespace

std::string_view FaultName(Fault fault) { return kNames[IndexOf(fault)]; }

std::optional<Fault> FaultByName(std::string_view name) {
  const auto* const found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) {
    return std::nullopt;
  }
  return static_cast<Fault>(found - kNames.begin());
}

void Faults::Set(Fault fault, std::uint32_t times) {
  const std::lock_guard lock(mutex_);
  left_[IndexOf(fault)] = times;
}

void Faults::Clear() {
  const std::lock_guard lock(mutex_);
  left_.fill(0);
}

std::optional<Fault> Faults::TakeOfRequest() {
  for (const Fault fault : {Fault::kHttp429, Fault::kHttp500, Fault::kOptOut21610,
                            Fault::kAcceptThenHang, Fault::kHang, Fault::kReset}) {
    if (Take(fault)) {
      return fault;
    }
  }
  return std::nullopt;
}

bool Faults::Take(Fault fault) {
  const std::lock_guard lock(mutex_);
  std::uint32_t& left = left_[IndexOf(fault)];
  if (left == 0) {
    return false;
  }
  --left;
  return true;
}

std::string Faults::Json() const {
  const std::lock_guard lock(mutex_);
  std::string json;
  for (std::size_t i = 0; i < kFaultCount; ++i) {
    json += fmt::format(R"({}"{}":{})", i == 0 ? "{" : ",", kNames[i], left_[i]);
  }
  return json.append("}");
}

}  // namespace alertstream::simulator
