// ProjectionWait: tells when the read model covers records that were appended: read-your-writes
// over REST. Thread-safe. Used by routes that write and by reads with X-Min-Position.
//
// One thread asks the table of positions while somebody waits, and only then: woken by what the
// projector notifies, else every 25 ms.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "api/log/answer_watch.h"
#include "processor/base/clock.h"
#include "processor/base/result.h"
#include "projections/sql/database.h"

namespace alertstream::api {

// Together; each is an entry of a map while it lasts. More than the server lets wait.
inline constexpr std::size_t kProjectionWaitsMax = 20'000;

class ProjectionWait {
 public:
  // `database` and `clock` outlive it. The session is opened when the first caller waits.
  ProjectionWait(sql::Database& database, Clock& clock);
  // As Stop.
  ~ProjectionWait();
  ProjectionWait(const ProjectionWait&) = delete;
  ProjectionWait& operator=(const ProjectionWait&) = delete;

  // Calls `done` once, on the thread of this object, which it must not block, or before returning:
  // ok when the read model holds what follows from all `positions` (of input topics or of the
  // journal); kUnavailable: not until `deadline`, a time of Clock::SinceBoot, or
  // kProjectionWaitsMax wait; kInvalid: a position of another topic, which no projection covers.
  using Done = std::function<void(Status)>;
  void Await(std::vector<AppendedPosition> positions, std::chrono::microseconds deadline,
             Done done);

  // Ends the thread; waiting calls get kUnavailable, later ones too.
  void Stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace alertstream::api
