// alertstream_simulation: runs seeds of the simulator, replays and shrinks what fails.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "tests/simulation/runner.h"

namespace alertstream::simulation {
namespace {

struct Flags {
  std::uint64_t first = 1;
  std::uint64_t seeds = 500;
  int jobs = 2;
  bool verbose = false;
  bool one = false;
  bool shrink = true;
};

int Usage() {
  std::fputs(
      "usage: alertstream_simulation [--seeds N] [--first S] [--jobs J] [--no-shrink]\n"
      "       alertstream_simulation --seed S [--verbose] [--no-shrink]\n"
      "Runs N seeds from S on; exit 1 and the smallest plan of faults if one breaks an invariant.\n"
      "example: alertstream_simulation --seeds 500 --jobs 2\n",
      stderr);
  return 2;
}

std::optional<Flags> Parse(int argc, char** argv) {
  Flags flags;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--verbose") {
      flags.verbose = true;
      continue;
    }
    if (flag == "--no-shrink") {
      flags.shrink = false;
      continue;
    }
    if (i + 1 >= argc) {
      return std::nullopt;
    }
    const char* text = argv[++i];
    std::uint64_t value = 0;
    const char* end = text + std::strlen(text);
    if (std::from_chars(text, end, value).ptr != end) {
      return std::nullopt;
    }
    if (flag == "--seeds") {
      flags.seeds = value;
    } else if (flag == "--first") {
      flags.first = value;
    } else if (flag == "--jobs") {
      flags.jobs = static_cast<int>(std::clamp<std::uint64_t>(value, 1, 64));
    } else if (flag == "--seed") {
      flags.first = value;
      flags.seeds = 1;
      flags.jobs = 1;
      flags.one = true;
    } else {
      return std::nullopt;
    }
  }
  return flags;
}

bool RunSeed(std::uint64_t seed, const Flags& flags) {
  const FaultPlan plan = MakePlan(seed);
  const Violations found = RunPlan(seed, plan, flags.verbose && flags.one);
  if (found.empty()) {
    return true;
  }
  std::string report = "seed " + std::to_string(seed) + " breaks " + found[0].invariant + "\n";
  for (std::size_t i = 0; i < std::min<std::size_t>(found.size(), 5); ++i) {
    report += "  " + found[i].invariant + ": " + found[i].what + "\n";
  }
  const FaultPlan few = flags.shrink ? Shrink(seed, plan, found[0].invariant) : plan;
  report += "  " + std::to_string(few.size()) + " of " + std::to_string(plan.size()) + " faults:\n";
  for (const Fault& fault : few) {
    report += "    " + TextOf(fault) + "\n";
  }
  report += "  again: alertstream_simulation --seed " + std::to_string(seed) + " --verbose\n";
  std::fputs(report.c_str(), stdout);
  std::fflush(stdout);
  return false;
}

// Every job is a process of one thread; job j takes every jobs-th seed.
int RunJob(const Flags& flags, int job) {
  int failed = 0;
  for (std::uint64_t i = static_cast<std::uint64_t>(job); i < flags.seeds;
       i += static_cast<std::uint64_t>(flags.jobs)) {
    failed += RunSeed(flags.first + i, flags) ? 0 : 1;
  }
  return failed;
}

int Main(int argc, char** argv) {
  const auto flags = Parse(argc, argv);
  if (!flags) {
    return Usage();
  }
  std::printf("simulation: seeds %llu to %llu\n", static_cast<unsigned long long>(flags->first),
              static_cast<unsigned long long>(flags->first + flags->seeds - 1));
  std::fflush(stdout);
  bool failed = false;
  if (flags->jobs == 1) {
    failed = RunJob(*flags, 0) > 0;
  } else {
    for (int job = 0; job < flags->jobs; ++job) {
      if (fork() == 0) {
        std::exit(RunJob(*flags, job) > 0 ? 1 : 0);
      }
    }
    for (int status = 0; wait(&status) > 0;) {
      failed = failed || status != 0;
    }
  }
  std::puts(failed ? "simulation: FAILED" : "simulation: every invariant held");
  return failed ? 1 : 0;
}

}  // namespace
}  // namespace alertstream::simulation

int main(int argc, char** argv) { return alertstream::simulation::Main(argc, argv); }
