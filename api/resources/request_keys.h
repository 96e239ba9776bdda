// RequestKeys: Idempotency-Key of requests that change one thing. Whoever sends the same request
// with the same key within a day gets the first answer, and the change is made once. Kept in the
// table identity.request_keys, so every server knows it. Thread-safe; blocks: for workers only.
//
// A request claims its key before anything is appended, and leaves its answer there. A claim whose
// server died is free after a minute for the same request; its change may have been appended, so a
// change that is made twice must be harmless (request_keys is no lock on the log).
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "api/http/message.h"
#include "processor/base/clock.h"
#include "processor/base/result.h"
#include "projections/sql/database.h"

namespace alertstream::api {

inline constexpr std::chrono::hours kRequestKeyLife{24};
// No request of ours is under way for longer: five seconds, and what a slow database adds.
inline constexpr std::chrono::seconds kRequestClaimMax{60};

struct KeyedRequest {
  std::string tenant;
  std::string route;  // "POST /api/v1/consents"
  std::string key;
  std::string body;
};

// That a request may be made now. Given back by Finish or Release.
struct RequestClaim {
  std::string tenant;
  std::string route;
  std::string key_sha256;
  std::string claim;
};

enum class KeyRefusal {
  kInProgress,  // The same request is under way.
  kReused,      // The key belongs to another request.
};

class RequestKeys {
 public:
  // `pool` has sessions of the role alertstream_identity; both outlive the object.
  RequestKeys(sql::Pool& pool, const Clock& clock) : pool_(pool), clock_(clock) {}

  // The claim; or the first answer, with Idempotent-Replayed; or why neither. kUnavailable: the
  // database is not there.
  using Outcome = std::variant<RequestClaim, http::Response, KeyRefusal>;
  Result<Outcome> Claim(const KeyedRequest& request);

  // Leaves the answer. An answer of 429 or 5xx is not kept: the key is free again.
  Status Finish(const RequestClaim& claim, const http::Response& response);

 private:
  sql::Pool& pool_;
  const Clock& clock_;
};

}  // namespace alertstream::api
