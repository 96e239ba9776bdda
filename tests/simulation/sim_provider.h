// SimProvider: the provider behind a simulated HTTP client: slow, silent, failing, cut off behind
// the request. It remembers which notification it accepted how often. sim_provider.cc defines
// dispatch::HttpClient anew: calls go here instead of to libcurl. Belongs to the world's thread.
#pragma once

#include <map>
#include <string>

#include "processor/dispatch/http_client.h"
#include "tests/simulation/world.h"

namespace alertstream::simulation {

class SimProvider {
 public:
  explicit SimProvider(World& world);
  ~SimProvider();

  Micros answer_time{40'000};  // At most, when nothing is wrong.
  Micros silent_until{};
  Micros failing_until{};
  Micros resetting_until{};

  // How often each notification (ntf_…) was accepted.
  const std::map<std::string, int>& accepted() const { return accepted_; }

  // The provider has got `request`; what becomes of it, and after how long it is known.
  struct Reaction {
    dispatch::HttpOutcome outcome;
    Micros after{};
  };
  Reaction Take(const dispatch::HttpCall& call);

  static SimProvider* Current();
  World& world() { return world_; }

 private:
  World& world_;
  Rng rng_;
  std::map<std::string, int> accepted_;
};

}  // namespace alertstream::simulation
