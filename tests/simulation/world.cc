#include "tests/simulation/world.h"

#include <sys/mman.h>
#include <ucontext.h>

#include <exception>

#include "processor/base/check.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ALERTSTREAM_SIMULATION_ASAN 1
#endif
#endif
#if defined(ALERTSTREAM_SIMULATION_ASAN)
#include <sanitizer/common_interface_defs.h>
#endif

namespace alertstream::simulation {
namespace {

World* g_current = nullptr;  // One thread, one world.

// The fold's deepest call takes some 100 KiB in a sanitizer build; pages are given on first use.
constexpr std::size_t kStackBytes = std::size_t{2} << 20;

// Stacks are used again by the next world: mapping them would cost more than a short run.
std::vector<void*>& FreeStacks() {
  static std::vector<void*> stacks;
  return stacks;
}

void* TakeStack() {
  auto& stacks = FreeStacks();
  if (!stacks.empty()) {
    void* stack = stacks.back();
    stacks.pop_back();
    return stack;
  }
  void* stack = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ALERTSTREAM_CHECK(stack != MAP_FAILED);
  return stack;
}

}  // namespace

std::uint64_t Rng::Next() {
  std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

struct World::Fiber {
  Process* process = nullptr;
  std::function<void()> body;
  void* stack = nullptr;
  ucontext_t context{};
  ucontext_t back{};
  bool done = false;
#if defined(ALERTSTREAM_SIMULATION_ASAN)
  void* fake_stack = nullptr;
  void* back_fake_stack = nullptr;
  const void* back_stack = nullptr;
  std::size_t back_size = 0;
#endif

  // From the scheduler into the fiber, until it waits or ends.
  void SwitchIn() {
#if defined(ALERTSTREAM_SIMULATION_ASAN)
    __sanitizer_start_switch_fiber(&back_fake_stack, stack, kStackBytes);
#endif
    ALERTSTREAM_CHECK(swapcontext(&back, &context) == 0);
#if defined(ALERTSTREAM_SIMULATION_ASAN)
    __sanitizer_finish_switch_fiber(back_fake_stack, nullptr, nullptr);
#endif
  }
  void Begun() {
#if defined(ALERTSTREAM_SIMULATION_ASAN)
    __sanitizer_finish_switch_fiber(nullptr, &back_stack, &back_size);
#endif
  }
  void SwitchOut() {
#if defined(ALERTSTREAM_SIMULATION_ASAN)
    __sanitizer_start_switch_fiber(done ? nullptr : &fake_stack, back_stack, back_size);
#endif
    ALERTSTREAM_CHECK(swapcontext(&context, &back) == 0);
#if defined(ALERTSTREAM_SIMULATION_ASAN)
    __sanitizer_finish_switch_fiber(fake_stack, &back_stack, &back_size);
#endif
  }
};

World::World(std::uint64_t seed) : rng_(seed) {
  ALERTSTREAM_CHECK(g_current == nullptr);
  g_current = this;
}

World::~World() {
  End();
  for (const auto& fiber : fibers_) {
    FreeStacks().push_back(fiber->stack);
  }
  g_current = nullptr;
}

World* World::Current() { return g_current; }

Process* World::running() const { return running_ == nullptr ? nullptr : running_->process; }

void World::Enter(unsigned low, unsigned high) {
  auto* fiber = reinterpret_cast<Fiber*>((static_cast<std::uintptr_t>(high) << 32) | low);
  fiber->Begun();
  try {
    fiber->body();
  } catch (const Crash&) {
    fiber->done = true;  // Ended from outside.
  }
  fiber->done = true;
  fiber->SwitchOut();
}

void World::Spawn(Process& process, std::function<void()> body) {
  auto fiber = std::make_unique<Fiber>();
  fiber->process = &process;
  fiber->body = std::move(body);
  fiber->stack = TakeStack();
  ALERTSTREAM_CHECK(getcontext(&fiber->context) == 0);
  fiber->context.uc_stack.ss_sp = fiber->stack;
  fiber->context.uc_stack.ss_size = kStackBytes;
  fiber->context.uc_link = nullptr;
  const auto address = reinterpret_cast<std::uintptr_t>(fiber.get());
  makecontext(&fiber->context, reinterpret_cast<void (*)()>(&World::Enter), 2,
              static_cast<unsigned>(address & 0xffffffffU), static_cast<unsigned>(address >> 32));
  events_.push({now_, order_++, fiber.get(), nullptr});
  fibers_.push_back(std::move(fiber));
}

void World::At(Micros when, std::function<void()> what) {
  events_.push({std::max(when, now_), order_++, nullptr, std::move(what)});
}

void World::Resume(Fiber& fiber) {
  running_ = &fiber;
  fiber.SwitchIn();
  running_ = nullptr;
}

void World::Run(Micros when, const std::function<bool()>& done) {
  while (!events_.empty() && events_.top().when <= when) {
    Event event = events_.top();
    events_.pop();
    if (event.fiber != nullptr && event.when < event.fiber->process->paused_until) {
      event.when = event.fiber->process->paused_until;
      events_.push(std::move(event));
      continue;
    }
    now_ = event.when;
    if (event.fiber == nullptr) {
      event.what();
    } else {
      Resume(*event.fiber);
    }
    if (done != nullptr && done()) {
      return;
    }
  }
  now_ = std::max(now_, when);
}

void World::End() {
  ending_ = true;
  for (std::size_t i = 0; i < fibers_.size(); ++i) {
    while (!fibers_[i]->done) {
      Resume(*fibers_[i]);
    }
  }
  events_ = {};
}

void World::Sleep(Micros duration) {
  Fiber& fiber = *running_;
  if (std::uncaught_exceptions() > 0) {
    return;  // The process is being torn down.
  }
  if (!ending_) {
    events_.push({now_ + std::max(duration, Micros(1)), order_++, &fiber, nullptr});
    fiber.SwitchOut();
  }
  if (ending_ || fiber.process->down) {
    throw Crash{};
  }
}

bool World::Step() {
  if (running_ == nullptr) {
    return true;
  }
  Process& process = *running_->process;
  if (std::uncaught_exceptions() > 0) {
    return false;
  }
  if (ending_ || process.down) {
    throw Crash{};
  }
  ++steps_;
  Mix(static_cast<std::uint64_t>(now_.count()));
  Mix(static_cast<std::uint64_t>(process.name[0]) << 8 ^
      static_cast<std::uint64_t>(process.name.back()));
  if (process.crash_in && (*process.crash_in)-- <= 0) {
    process.crash_in.reset();
    process.down = true;
    throw Crash{};
  }
  return true;
}

bool World::Delay(Micros low, Micros high) {
  if (running_ == nullptr) {
    return true;
  }
  if (!Step()) {
    return false;
  }
  Sleep(rng_.Time(low, high));
  return Step();
}

}  // namespace alertstream::simulation

namespace alertstream {
namespace {

// Takes the place of the machine's clock in everything that is linked into the simulation.
class SimulatedSystemClock final : public Clock {
 public:
  LogTime Now() const override {
    const auto* world = simulation::World::Current();
    if (world == nullptr) {
      return simulation::World::kStart;
    }
    const auto* process = world->running();
    return world->wall() + (process == nullptr ? simulation::Micros{} : process->skew);
  }
  std::chrono::microseconds SinceBoot() const override {
    const auto* world = simulation::World::Current();
    // Outside a fiber nothing makes time pass: every question takes a millisecond, so that a
    // deadline ends.
    if (world == nullptr || world->running() == nullptr) {
      outside_ += std::chrono::milliseconds(1);
    }
    return (world == nullptr ? std::chrono::microseconds{} : world->now()) + std::chrono::hours{1} +
           outside_;
  }
  void SleepFor(std::chrono::milliseconds duration) override {
    auto* world = simulation::World::Current();
    if (world != nullptr && world->running() != nullptr) {
      world->Sleep(duration);
      return;
    }
    outside_ += duration;
  }

 private:
  mutable std::chrono::microseconds outside_{};
};

}  // namespace

Clock& SystemClock() {
  static SimulatedSystemClock clock;
  return clock;
}

}  // namespace alertstream
