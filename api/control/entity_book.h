// EntityBook: which rules are in force, as digests: enough to answer that a change would change
// nothing. Follows the facts of all partitions from the beginning. Thread-safe; used by the control
// endpoint.
//
// It is a convenience: what it does not know yet is appended and gets the next version.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

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

  // The version in force if the entity is exactly `bytes`.
  std::optional<std::uint64_t> VersionOf(const EntityName& name, std::string_view bytes) const;
  // Takes in a fact that somebody else has read first. Facts without an entity do nothing.
  void Note(const v1::Fact& fact);

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
