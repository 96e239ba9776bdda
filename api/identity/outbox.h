// Outbox: the records that rows of identity ask for and that did not reach the log yet, because the
// server died or the log was away; and what is old in the tables, which it deletes. One thread; it
// sleeps nearly always. Used by the program's wiring.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "api/identity/tenant_opening.h"
#include "processor/base/clock.h"
#include "processor/base/result.h"
#include "projections/sql/database.h"

namespace alertstream::api {

// Who registers appends the record itself; the outbox leaves it this long.
inline constexpr std::chrono::seconds kOutboxPatience{15};

struct OutboxOptions {
  std::chrono::milliseconds look_every{5'000};
  std::chrono::milliseconds clean_every{60 * 60'000};
};

class Outbox {
 public:
  // Starts the thread. All outlive it; `pool` is of the role alertstream_identity.
  Outbox(sql::Pool& pool, const TenantOpening& opening, Clock& clock, OutboxOptions options);
  // As Stop.
  ~Outbox();
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;
  void Stop();

  // Publishes the oldest row that is left behind. False: there is none. Blocks.
  Result<bool> PublishOne();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The row's records are on the log.
Status MarkPublished(sql::Session& session, std::int64_t outbox_id, LogTime now);
// Deletes what nobody asks for any more: sessions that are over, failures that are forgotten,
// published rows.
Status DeleteOld(sql::Session& session, LogTime now);

}  // namespace alertstream::api
