// TenantOpening: the records of a tenant that registered, from the outbox to the log: appended,
// decided, shown by the read side. Thread-safe; nothing here blocks. Used by the route that
// registers, and by the outbox for what was left behind.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "api/log/answer_watch.h"
#include "api/log/log_writer.h"
#include "api/query/projection_wait.h"
#include "processor/base/clock.h"
#include "processor/base/result.h"

namespace alertstream::api {

// Everything outlives the last outcome.
struct TenantOpeningDeps {
  LogWriter& writer;
  AnswerWatch& watch;
  ProjectionWait& projected;
  const Clock& clock;
  std::int32_t partitions = 0;
};

enum class OpeningState {
  kNotAppended,  // Nothing of it, or not all.
  kAppended,     // The fold has not said anything yet, or not yes.
  kDecided,      // The tenant is there.
};

class TenantOpening {
 public:
  explicit TenantOpening(const TenantOpeningDeps& deps) : deps_(deps) {}

  // Appends what the outbox row `request` asks for, in the name of `actor`. Calls `done` once, on
  // some thread, which it must not block; may call it before returning. `deadline`: a time of
  // Clock::SinceBoot, until which it waits for the fold and the read side.
  using Done = std::function<void(OpeningState)>;
  void Run(const std::string& request, const std::string& actor, std::chrono::microseconds deadline,
           Done done) const;

 private:
  const TenantOpeningDeps deps_;
};

}  // namespace alertstream::api
