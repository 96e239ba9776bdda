// Accounts: people, the tenants they work for, and their sessions, in the tables of identity.
// Thread-safe; blocks, and hashes passwords (20 ms and 19 MiB each): called by a pool of few
// threads, which bounds both, and by the command line.
//
// A session is a family of refresh tokens: each is used once and gives the next. A second use is
// somebody else's, so it ends the family - but for 10 s, in which the client may just not have had
// our answer, and gets the same successor again.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "api/identity/access_tokens.h"
#include "api/identity/roles.h"
#include "processor/base/clock.h"
#include "processor/base/password_hash.h"
#include "processor/base/redacted.h"
#include "processor/base/result.h"
#include "processor/base/sealing.h"
#include "processor/base/time.h"
#include "projections/sql/database.h"

namespace alertstream::api {

inline constexpr std::string_view kRefreshPrefix = "rt_";
inline constexpr std::chrono::hours kSessionIdleMax{30 * 24};
inline constexpr std::chrono::hours kSessionLifeMax{90 * 24};
inline constexpr std::chrono::seconds kRefreshGrace{10};
inline constexpr std::size_t kPasswordCharactersMin = 10;  // NIST SP 800-63B asks for 8.
inline constexpr std::size_t kUsersListedMax = 10'000;     // Of one tenant.

// What somebody who logged in holds.
struct Grant {
  std::string user;
  std::string tenant;
  Role role = Role::kViewer;
  Redacted<std::string> access_token;
  LogTime access_expires_at;
  Redacted<std::string> refresh_token;
  LogTime refresh_expires_at;
};

struct RegisterAsk {
  Redacted<std::string> email;  // In lower case.
  Redacted<std::string> password;
  std::string tenant_name;
  std::string device;
  std::string address;  // Of the client.
};

struct LoginAsk {
  Redacted<std::string> email;
  Redacted<std::string> password;
  std::string tenant;  // "": the user's first.
  std::string device;
  std::string address;
};

// kDenied: wrong, and nothing tells what. kExhausted: too often; `retry_after` says when again.
// kConflict: of registering, the e-mail address has an account.
struct Refusal {
  Error error;
  std::chrono::seconds retry_after{0};
};

struct Registered {
  Grant grant;
  std::int64_t outbox_id = 0;  // Of the row that asks for the tenant's record.
  std::string request;         // What it asks: for the control endpoint's parser.
};

struct UserSummary {
  std::string id;
  std::string email;
  Role role = Role::kViewer;
  bool is_active = true;
  LogTime created_at;
  std::optional<LogTime> last_login_at;
};

struct AccountsDeps {
  sql::Pool& pool;  // Of the role alertstream_identity.
  const Sealer& sealer;
  const AccessTokens& tokens;
  const Clock& clock;
  PasswordCost cost = {};
};

class Accounts {
 public:
  explicit Accounts(const AccountsDeps& deps);

  std::variant<Registered, Refusal> Register(const RegisterAsk& ask);
  // A user who does not exist costs the same work as one who does.
  std::variant<Grant, Refusal> LogIn(const LoginAsk& ask);
  // `tenant` not empty: the session goes on for that one. kDenied: not valid, and what follows from
  // a second use is kept; kExhausted: kRefreshBound, and the token stays good; kUnavailable.
  Result<Grant> Refresh(const Redacted<std::string>& refresh_token, const std::string& tenant);
  // Ends the family. False: there was none to end, or it was over; nothing was changed.
  Result<bool> LogOut(const Redacted<std::string>& refresh_token);

  // For the command line. With a password: a new user; kConflict if there is one of that address,
  // who keeps theirs. With an empty one: whoever is there already becomes a member; kConflict: is
  // one, kNotFound: there is no such user. The user's id.
  Result<std::string> CreateUser(const std::string& tenant, const Redacted<std::string>& email,
                                 const Redacted<std::string>& password, Role role,
                                 const std::string& actor);
  Result<std::vector<UserSummary>> ListUsers(const std::string& tenant);
  // kNotFound; kConflict: the tenant would be left without an owner. Old access tokens end within
  // seconds.
  Status SetRole(const std::string& tenant, const std::string& user, Role role,
                 const std::string& actor);
  // Ends the user's sessions, in all tenants. As SetRole.
  Status DisableUser(const std::string& tenant, const std::string& user, const std::string& actor);

 private:
  struct Person;
  Result<Grant> StartSession(sql::Session& session, const Person& person, const std::string& device,
                             LogTime now);
  Result<Grant> Continue(sql::Session& session, const Redacted<std::string>& refresh_token,
                         const std::string& tenant, LogTime now);
  Result<std::chrono::seconds> Throttle(const LoginAsk& ask, LogTime now);
  Result<Person> FindPerson(sql::Session& session, const std::string& email,
                            const std::string& tenant);
  // For the audit of the person's tenant; of none, a write that costs as much and leaves nothing.
  Status NoteFailure(sql::Session& session, const LoginAsk& ask, const Person& person, LogTime now);
  Status FinishLogin(sql::Session& session, const LoginAsk& ask, const Person& person,
                     const std::string& new_hash, LogTime now);

  const AccountsDeps deps_;
  std::string nobody_hash_;  // What the password of an unknown user is compared with.
};

// The tenant's row, of one that was not made by registering; ok if there is one.
Status EnsureTenant(sql::Session& session, const std::string& tenant, LogTime now);

}  // namespace alertstream::api
