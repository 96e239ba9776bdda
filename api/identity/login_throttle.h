// Login throttling: how long somebody has to wait after so many failures, for each account and for
// each address. An attempt counts as a failure before the password is looked at, so that many at
// once gain nothing. The rule is pure; the rest keeps identity.login_failures. Used by accounts.
#pragma once

#include <chrono>
#include <string_view>

#include "processor/base/result.h"
#include "processor/base/time.h"
#include "projections/sql/database.h"

namespace alertstream::api {

struct ThrottleRule {
  std::string_view kind;      // Part of the stored subject; never changes its meaning.
  int free_attempts = 0;      // In a row, without waiting.
  std::chrono::seconds base;  // The first wait, doubled by every further attempt.
  std::chrono::seconds max;
  std::chrono::seconds forgotten_after;  // Since the last attempt.
};

// People mistype; five times is a habit of guessing. At most four guesses an hour then.
inline constexpr ThrottleRule kAccountThrottle = {"account", 5, std::chrono::seconds(2),
                                                  std::chrono::minutes(15), std::chrono::hours(1)};
// An office or a carrier's gateway is one address for many.
inline constexpr ThrottleRule kAddressThrottle = {"address", 30, std::chrono::seconds(2),
                                                  std::chrono::minutes(15), std::chrono::hours(1)};
inline constexpr ThrottleRule kRegisterThrottle = {"register", 20, std::chrono::seconds(60),
                                                   std::chrono::hours(1), std::chrono::hours(6)};

// How many attempts a subject has at all, whatever becomes of them: so that who knows a password
// cannot keep the hashing threads busy, or fill the table of sessions.
struct LoginBound {
  std::string_view kind;      // As ThrottleRule's.
  std::chrono::seconds each;  // One attempt more comes back in this time, ...
  int burst = 0;              // ... up to so many.
};
// A person with every device they have, and scripts that log in anew each time.
inline constexpr LoginBound kAccountBound = {"account_all", std::chrono::seconds(30), 20};
// An office in the morning. An attempt costs 20 ms of a thread: one address takes 1 % of it.
inline constexpr LoginBound kAddressBound = {"address_all", std::chrono::seconds(2), 200};

// Of one session, whose access tokens are good for 15 minutes: somebody who changes between
// tenants. Every refresh leaves a row, for as long as the session lives.
inline constexpr LoginBound kRefreshBound = {"session_refresh", std::chrono::seconds(60), 20};

// The wait after `attempts` in a row; 0: none.
std::chrono::seconds WaitAfter(const ThrottleRule& rule, int attempts);

// Counts one attempt of `subject` (an e-mail address or an IP address; only its hash is stored).
// Not 0: this one is not allowed, and the next in so many seconds; it did not count.
Result<std::chrono::seconds> CountAttempt(sql::Session& session, const ThrottleRule& rule,
                                          std::string_view subject, LogTime now);
// Counts one attempt, which nothing gives back. Not 0: as CountAttempt.
Result<std::chrono::seconds> CountLogin(sql::Session& session, const LoginBound& bound,
                                        std::string_view subject, LogTime now);
// The attempt was a success: an account begins anew, an address is given this attempt back.
Status ForgiveAccount(sql::Session& session, std::string_view subject);
Status ForgiveAddress(sql::Session& session, std::string_view subject);
// Changes nothing but costs a write and its commit, as what is noted of a known account does: so
// that how long an answer takes does not tell which accounts there are.
Status RewriteAccount(sql::Session& session, std::string_view subject);

}  // namespace alertstream::api
