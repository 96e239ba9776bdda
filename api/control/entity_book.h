// EntityBook: which change made the version of a rule that is in force: enough to tell a change
// that changed nothing, whose fact has the version of an earlier one. Follows the facts of all
// partitions from the beginning. Thread-safe; used by the control endpoint.
//
// It only words answers. What a change does is the fold's to decide; a version whose making the
// book has not read yet counts as made by the change that is asked about.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "api/control/entities.h"
#include "processor/base/result.h"
#include "processor/log/event_log.h"

namespace alertstream::api {

struct EntityBookOptions {
  std::string log_id;
  std::int32_t partitions = 0;
};

class EntityBook {
 public:
  // Starts the thread. `log` outlives it.
  static Result<std::unique_ptr<EntityBook>> Start(log::EventLog& log,
                                                   const EntityBookOptions& options);
  // As Stop.
  ~EntityBook();

  // Takes in a fact that somebody else may have read first. True: the change changed nothing, an
  // earlier one made the fact's version. False for facts without an entity, too.
  bool Note(const v1::Fact& fact);

  // It has read what there was at the start.
  bool Ready() const;
  // Not empty: a partition cannot be followed; says which and why.
  std::string Problem() const;
  void Stop();

 private:
  struct Impl;
  explicit EntityBook(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace alertstream::api
