// alertstream_simulation_mutants: leaves out one safeguard after the other and counts the seeds
// that it takes until a model notices. Prints the table of README.md; fails if one is not missed.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "processor/base/safeguards.h"
#include "tests/simulation/runner.h"

namespace alertstream {
namespace {

Safeguard g_left_out{};
bool g_any_left_out = false;

}  // namespace

bool Holds(Safeguard safeguard) { return !g_any_left_out || safeguard != g_left_out; }

namespace simulation {
namespace {

// Every safeguard is missed within far fewer.
constexpr std::uint64_t kSeedsMax = 1000;

struct Mutation {
  Safeguard safeguard;
  const char* name;
};
constexpr Mutation kMutations[] = {
    {Safeguard::kPrevHash, "prev-hash check"},
    {Safeguard::kClaimOnA, "CLAIM on A"},
    {Safeguard::kTailAfterFences, "tail read after both fences"},
    {Safeguard::kApplyAfterCommit, "apply after commit"},
    {Safeguard::kPermissionFirst, "permission first"},
    {Safeguard::kReadThroughJournal, "readers through the journal"},
    {Safeguard::kPositionRow, "position row"},
    {Safeguard::kDispatcherFence, "dispatcher's fence"},
    {Safeguard::kRootComparison, "root comparison"},
    {Safeguard::kDedupeWindow, "dedupe window"},
};

// In the child: seed after seed, the first that breaks something is written to `out`.
void Search(Safeguard safeguard, std::FILE* out) {
  g_left_out = safeguard;
  for (std::uint64_t seed = 1; seed <= kSeedsMax; ++seed) {
    // Told before, in case that the program itself stops the run.
    std::fprintf(out, "%llu CHECK own check of the program\n",
                 static_cast<unsigned long long>(seed));
    std::fflush(out);
    g_any_left_out = true;
    const Violations found = RunPlan(seed, MakePlan(seed), false);
    if (!found.empty()) {
      // That somebody waits for ever is the least telling of what is found.
      const auto told = std::find_if(found.begin(), found.end(),
                                     [](const Violation& each) { return each.invariant != "I7"; });
      const Violation& shown = told == found.end() ? found[0] : *told;
      std::fprintf(out, "%llu %s %s\n", static_cast<unsigned long long>(seed),
                   shown.invariant.c_str(), shown.what.c_str());
      std::fflush(out);
      std::_Exit(1);
    }
  }
  std::_Exit(0);
}

// True: it is missed.
bool Try(const Mutation& mutation) {
  int ends[2];
  if (pipe(ends) != 0) {
    return false;
  }
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    // What the program says of its own end is not wanted here.
    static_cast<void>(std::freopen("/dev/null", "w", stderr));
    Search(mutation.safeguard, fdopen(ends[1], "w"));
  }
  close(ends[1]);
  std::string last;
  std::FILE* in = fdopen(ends[0], "r");
  char line[1024];
  while (std::fgets(line, sizeof(line), in) != nullptr) {
    last = line;
  }
  std::fclose(in);
  int status = 0;
  waitpid(child, &status, 0);
  if (status == 0) {
    std::printf("| %-28s | not missed in %llu seeds |\n", mutation.name,
                static_cast<unsigned long long>(kSeedsMax));
    return false;
  }
  char invariant[16] = "";
  unsigned long long seed = 0;
  int end = 0;
  std::sscanf(last.c_str(), "%llu %15s %n", &seed, invariant, &end);
  std::string what = last.substr(static_cast<std::size_t>(end));
  while (!what.empty() && what.back() == '\n') {
    what.pop_back();
  }
  std::printf("| %-28s | %-5s | %4llu | %s |\n", mutation.name, invariant, seed, what.c_str());
  return true;
}

}  // namespace
}  // namespace simulation
}  // namespace alertstream

int main(int argc, char** argv) {
  using namespace alertstream::simulation;
  std::printf("| %-28s | %-5s | %s | %s |\n", "safeguard left out", "found", "seeds", "as");
  bool all = true;
  for (const Mutation& mutation : kMutations) {
    if (argc < 2 || std::strstr(mutation.name, argv[1]) != nullptr) {
      all = Try(mutation) && all;
    }
  }
  return all ? 0 : 1;
}
