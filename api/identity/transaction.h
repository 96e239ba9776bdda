// InTransaction: one transaction on a session of a pool, for code that blocks. Used by the tables
// of identity.
#pragma once

#include <chrono>
#include <type_traits>
#include <utility>

#include "processor/base/result.h"
#include "projections/sql/database.h"

namespace alertstream::api {

// A worker waits for a session no longer than its client would for an answer.
inline constexpr std::chrono::milliseconds kSessionWaitMax{2'000};

// Runs `body(session)`, which returns a Status or a Result, and commits if it is ok. kUnknown of
// the commit becomes kUnavailable: whoever asked has to ask again, and everything here may be asked
// for twice or says that it is there already.
template <typename Body>
auto InTransaction(sql::Pool& pool, Body body) -> std::invoke_result_t<Body, sql::Session&> {
  auto lease = pool.Take(kSessionWaitMax);
  if (!lease.ok()) {
    return lease.error();
  }
  sql::Session& session = *lease.value();
  ALERTSTREAM_RETURN_IF_ERROR(session.Begin({}));
  auto done = body(session);
  if (!done.ok()) {
    session.Rollback();
    return done;
  }
  const Status committed = session.Commit();
  if (!committed.ok()) {
    const ErrorCode code = committed.error().code();
    return Error(code == ErrorCode::kUnknown ? ErrorCode::kUnavailable : code,
                 committed.error().message());
  }
  return done;
}

}  // namespace alertstream::api
