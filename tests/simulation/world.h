// World: the one thread on which a simulated deployment lives. Every process is one or more fibers
// (stackful coroutines); a fiber gives up the thread in port calls only, and the seed decides who
// goes on, how long a call takes and, with the plan of faults, who dies in it. Time is simulated:
// it passes when everybody waits. Belongs to one thread; one World at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <vector>

#include "processor/base/clock.h"
#include "processor/base/time.h"

namespace alertstream::simulation {

using Micros = std::chrono::microseconds;

// Numbers that are the same everywhere for the same seed (SplitMix64).
class Rng {
 public:
  explicit Rng(std::uint64_t seed) : state_(seed) {}
  std::uint64_t Next();
  // REQUIRES: n > 0.
  std::uint64_t Below(std::uint64_t n) { return Next() % n; }
  std::int64_t Between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(Below(static_cast<std::uint64_t>(high - low) + 1));
  }
  bool Chance(double probability) {
    return static_cast<double>(Next() >> 11) * 0x1.0p-53 < probability;
  }
  Micros Time(Micros low, Micros high) { return Micros(Between(low.count(), high.count())); }

 private:
  std::uint64_t state_;
};

// The process dies here. No std::exception, so that nobody takes it for an error of a record.
struct Crash {};

// What dies, pauses and has a clock together.
struct Process {
  std::string name;
  bool down = false;                 // Dies at its next port call.
  std::optional<int> crash_in = {};  // Dies in the port call after so many more.
  Micros paused_until{};             // Its fibers do not run before that.
  Micros skew{};                     // Its wall clock minus the true one.
  Micros log_away_until{};           // Its calls to the log fail before that.
  int crashes = 0;
};

class World {
 public:
  explicit World(std::uint64_t seed);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // The one that exists; null: none.
  static World* Current();

  Rng& rng() { return rng_; }
  Micros now() const { return now_; }
  LogTime wall() const { return kStart + now_; }

  // A fiber of `process`, which outlives the world. It begins when Run is next on its way.
  void Spawn(Process& process, std::function<void()> body);
  // Runs `what` at `when`, between two steps of fibers.
  void At(Micros when, std::function<void()> what);
  // Until `when`, or until `done` says so (asked after every step).
  void Run(Micros when, const std::function<bool()>& done = nullptr);
  // Ends all fibers: each gets a Crash where it waits.
  void End();
  bool ending() const { return ending_; }

  // Of a fiber: goes on after `duration`. Throws Crash if the process died meanwhile.
  void Sleep(Micros duration);
  // A port call of the running process begins or ends: it may die here. False: it is dead already
  // and this is a destructor's call; fail without any effect.
  bool Step();
  // Step, then a time between `low` and `high`, then whether it is still alive.
  bool Delay(Micros low, Micros high);
  Process* running() const;

  // Of everything that happened, in its order.
  std::uint64_t digest() const { return digest_; }
  void Mix(std::uint64_t value) { digest_ = (digest_ ^ value) * 0x100000001b3ULL; }
  std::uint64_t steps() const { return steps_; }

  // 2026-11-20 12:00:00 UTC.
  static constexpr LogTime kStart = FromMicros(1'795'176'000'000'000);

 private:
  struct Fiber;
  struct Event {
    Micros when;
    std::uint64_t order;
    Fiber* fiber;  // Null: `what`.
    std::function<void()> what;
  };
  struct Later {
    bool operator()(const Event& a, const Event& b) const {
      return a.when != b.when ? a.when > b.when : a.order > b.order;
    }
  };
  void Resume(Fiber& fiber);
  static void Enter(unsigned low, unsigned high);

  Rng rng_;
  Micros now_{};
  std::uint64_t order_ = 0;
  std::uint64_t digest_ = 0xcbf29ce484222325ULL;
  std::uint64_t steps_ = 0;
  bool ending_ = false;
  Fiber* running_ = nullptr;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::priority_queue<Event, std::vector<Event>, Later> events_;
};

// The clock of a process: true time and its skew. SleepFor gives up the thread.
class ProcessClock final : public Clock {
 public:
  ProcessClock(World& world, const Process& process) : world_(world), process_(process) {}
  LogTime Now() const override { return world_.wall() + process_.skew; }
  std::chrono::microseconds SinceBoot() const override {
    return world_.now() + std::chrono::hours{1};
  }
  void SleepFor(std::chrono::milliseconds duration) override { world_.Sleep(duration); }

 private:
  World& world_;
  const Process& process_;
};

}  // namespace alertstream::simulation
