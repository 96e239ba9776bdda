#include "api/identity/identity_mirror.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <map>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "api/identity/key_store.h"
#include "api/identity/mirrored_keys.h"
#include "processor/base/crypto.h"

namespace alertstream::api {
namespace {

using std::chrono::milliseconds;

constexpr const char* kChannel = "alertstream_identity";
constexpr milliseconds kRetryPause{1'000};
// A change becomes visible when its transaction commits, at most this long after its changed_at.
constexpr std::chrono::seconds kCommitDelayMax{60};
constexpr std::size_t kUsesAtOnceMax = 1'000;
constexpr std::size_t kKeysPage = 5'000;  // Of rows in memory at a time; about 5 MB.

#define ALERTSTREAM_KEY_COLUMNS                                                              \
  "k.tenant_id, k.key_id, coalesce(k.site_id, ''), k.kind = 'secret', k.key_sha256, "        \
  "array_to_string(k.origins, E'\\n'), array_to_string(k.networks, E'\\n'), "                \
  "k.events_per_second, k.burst, k.expires_at, k.revoked_at IS NOT NULL, "                   \
  "(SELECT string_agg(encode(s.secret_sealed, 'hex') || ':' || "                             \
  "coalesce((extract(epoch FROM s.expires_at) * 1000000)::bigint::text, ''), E'\\n' "        \
  "ORDER BY s.number DESC) FROM identity.signing_secrets s WHERE s.tenant_id = k.tenant_id " \
  "AND s.key_id = k.key_id AND (s.expires_at IS NULL OR s.expires_at > $1::timestamptz)), "  \
  "coalesce(array_to_string(k.scopes, ' '), ''), k.created_at "

constexpr sql::Statement kNow = {"identity.now", "SELECT now()"};
constexpr sql::Statement kLoadKeys = {
    "identity.mirror_keys", "SELECT " ALERTSTREAM_KEY_COLUMNS
                            "FROM identity.api_keys k WHERE k.revoked_at IS NULL "
                            "AND (k.expires_at IS NULL OR k.expires_at > $1::timestamptz) "
                            "AND (k.created_at, k.tenant_id, k.key_id) > ($3::timestamptz, $4, $5) "
                            "ORDER BY k.created_at, k.tenant_id, k.key_id LIMIT $2::int"};
constexpr sql::Statement kCountKeys = {
    "identity.mirror_keys_count",
    "SELECT count(*) FROM identity.api_keys k WHERE k.revoked_at IS NULL "
    "AND (k.expires_at IS NULL OR k.expires_at > $1::timestamptz)"};
constexpr sql::Statement kChangedKeys = {
    "identity.mirror_keys_changed",
    "SELECT " ALERTSTREAM_KEY_COLUMNS
    "FROM identity.api_keys k WHERE k.changed_at > $2::timestamptz"};
constexpr sql::Statement kRevokedSessions = {
    "identity.mirror_sessions",
    "SELECT session_id FROM identity.sessions WHERE revoked_at > $1::timestamptz LIMIT $2::int"};
constexpr sql::Statement kChangedMembers = {
    "identity.mirror_members",
    "SELECT tenant_id, user_id, version FROM identity.memberships "
    "WHERE version > 1 AND changed_at > $1::timestamptz LIMIT $2::int"};
constexpr sql::Statement kNoteUses = {
    "identity.mirror_uses",
    "INSERT INTO identity.api_key_uses AS u (tenant_id, key_id, last_used_at) "
    "SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[]) "
    "ON CONFLICT (tenant_id, key_id) DO UPDATE "
    "SET last_used_at = greatest(u.last_used_at, EXCLUDED.last_used_at)"};

#undef ALERTSTREAM_KEY_COLUMNS

sql::Params Limited(LogTime since, std::size_t limit) {
  sql::Params params;
  params.Time(since).Integer(static_cast<std::int64_t>(limit));
  return params;
}

// "<hex>:<µs or nothing>" a line.
Result<std::vector<MirroredSecret>> SecretsOf(std::string_view lines, const std::string& context,
                                              const Sealer& sealer) {
  std::vector<MirroredSecret> secrets;
  for (const std::string& line : SplitLines(lines)) {
    const std::size_t colon = line.find(':');
    ALERTSTREAM_ASSIGN_OR_RETURN(const Redacted<std::string> secret,
                                 sealer.Open(FromHex(line.substr(0, colon)), context));
    MirroredSecret& one = secrets.emplace_back(MirroredSecret{.key = HmacKey(secret.Reveal())});
    if (colon != std::string::npos && colon + 1 < line.size()) {
      one.expires_at = FromMicros(std::strtoll(line.c_str() + colon + 1, nullptr, 10));
    }
  }
  return secrets;
}

Result<std::shared_ptr<MirroredKey>> KeyOf(const sql::Rows& rows, std::size_t row,
                                           const Sealer& sealer) {
  auto key = std::make_shared<MirroredKey>();
  key->base = {.id = std::string(rows.Text(row, 1)),
               .kind = rows.Boolean(row, 3) ? KeyKind::kSecret : KeyKind::kPublishable,
               .tenant = std::string(rows.Text(row, 0)),
               .site = std::string(rows.Text(row, 2)),
               .origins = SplitLines(rows.Text(row, 5))};
  for (const std::string& text : SplitLines(rows.Text(row, 6))) {
    ALERTSTREAM_ASSIGN_OR_RETURN(const Network network, ParseNetwork(text));
    key->base.networks.push_back(network);
  }
  if (!rows.IsNull(row, 7) && !rows.IsNull(row, 8)) {
    key->base.own_rate =
        EventRate{.per_second = std::strtod(std::string(rows.Text(row, 7)).c_str(), nullptr),
                  .burst = static_cast<std::uint32_t>(rows.Integer(row, 8))};
  }
  if (!rows.IsNull(row, 9)) {
    key->expires_at = rows.Time(row, 9);
    key->base.expires_at = key->expires_at;
  }
  key->base.scopes = ScopesOf(SplitWords(rows.Text(row, 12)), key->base.kind);
  if (!rows.IsNull(row, 11)) {
    ALERTSTREAM_ASSIGN_OR_RETURN(
        key->secrets, SecretsOf(rows.Text(row, 11),
                                SigningSecretContext(key->base.tenant, key->base.id), sealer));
  }
  return key;
}

Result<Digest> DigestAt(const sql::Rows& rows, std::size_t row) {
  const std::string bytes = rows.Bytes(row, 4);
  Digest digest{};
  if (bytes.size() != digest.size()) {
    return Error(ErrorCode::kCorrupt, "identity.api_keys: key_sha256 is not 32 bytes long");
  }
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(digest.data()));
  return digest;
}

struct ReadKey {
  Digest digest{};
  std::shared_ptr<MirroredKey> key;
};

Result<ReadKey> ReadKeyAt(const sql::Rows& rows, std::size_t row, const Sealer& sealer) {
  ReadKey read;
  ALERTSTREAM_ASSIGN_OR_RETURN(read.digest, DigestAt(rows, row));
  ALERTSTREAM_ASSIGN_OR_RETURN(read.key, KeyOf(rows, row, sealer));
  return read;
}

MirroredKeys::Name NameAt(const sql::Rows& rows, std::size_t row) {
  return {std::string(rows.Text(row, 0)), std::string(rows.Text(row, 1))};
}

}  // namespace

struct IdentityMirror::Impl {
  Impl(sql::Database& database_in, const Sealer& sealer_in, const AccessTokens& tokens_in,
       Clock& clock_in, IdentityMirrorOptions options_in)
      : database(database_in),
        sealer(sealer_in),
        tokens(tokens_in),
        clock(clock_in),
        options(std::move(options_in)) {}

  void Run();
  Status Serve(sql::Session& session);
  Status Load(sql::Session& session);
  Result<MirroredKeys> LoadKeys(sql::Session& session, LogTime now);
  Status LookForChanges(sql::Session& session);
  Status LookAtKeys(sql::Session& session);
  ReadKey TryRead(const sql::Rows& rows, std::size_t row);
  Status LookAtRevocations(sql::Session& session);
  Status CountKeys(sql::Session& session);
  Status TakeKeys(sql::Session& session);
  Status Fullness() const;
  Status NoteUses(sql::Session& session);
  void Tell(const Status& status);
  bool Stopping() const {
    const std::lock_guard lock(thread_mutex);
    return stopping;
  }

  sql::Database& database;
  const Sealer& sealer;
  const AccessTokens& tokens;
  Clock& clock;
  const IdentityMirrorOptions options;

  mutable std::shared_mutex mutex;  // Of what follows.
  MirroredKeys keys;
  std::set<std::string, std::less<>> revoked_sessions;
  std::map<std::pair<std::string, std::string>, std::int64_t> member_versions;

  std::mutex look_mutex;  // Looks come one after the other; and of what follows.
  LogTime looked_to{};    // By the database's clock.
  std::set<MirroredKeys::Name> unreadable;

  std::atomic<bool> is_loaded{false};
  std::atomic<std::size_t> left_out{0};       // Live keys beyond options.keys_max.
  std::atomic<std::int64_t> looked_at_us{0};  // By SinceBoot.

  mutable std::mutex thread_mutex;  // Of what follows.
  std::condition_variable changed;
  bool stopping = false;
  bool tried = false;
  std::string problem;
  bool told = false;

  std::thread thread;
};

// Without a key if the row cannot be read. REQUIRES: look_mutex is held.
ReadKey IdentityMirror::Impl::TryRead(const sql::Rows& rows, std::size_t row) {
  MirroredKeys::Name name = NameAt(rows, row);
  auto read = ReadKeyAt(rows, row, sealer);
  if (read.ok()) {
    unreadable.erase(name);
    return std::move(read).value();
  }
  const auto [place, is_news] = unreadable.insert(std::move(name));
  if (is_news && options.on_unreadable_key) {
    options.on_unreadable_key(place->first, place->second, read.error());
  }
  return {};
}

// The oldest ones, up to keys_max, a page at a time.
// REQUIRES: look_mutex is held.
Result<MirroredKeys> IdentityMirror::Impl::LoadKeys(sql::Session& session, LogTime now) {
  MirroredKeys loaded;
  LogTime after_at{};
  MirroredKeys::Name after;
  std::size_t seen = 0;
  while (seen < options.keys_max) {
    const std::size_t page = std::min(kKeysPage, options.keys_max - seen);
    sql::Params params = Limited(now, page);
    params.Time(after_at).Text(after.first).Text(after.second);
    ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows rows, session.Run(kLoadKeys, params));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      ReadKey read = TryRead(rows, i);
      if (read.key != nullptr) {
        loaded.Put(read.digest, std::move(read.key), now);
      }
    }
    seen += rows.size();
    if (rows.size() < page) {
      break;
    }
    after_at = rows.Time(rows.size() - 1, 13);
    after = NameAt(rows, rows.size() - 1);
  }
  return loaded;
}

Status IdentityMirror::Impl::CountKeys(sql::Session& session) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows rows,
                               session.Run(kCountKeys, sql::Params().Time(clock.Now())));
  const auto live = static_cast<std::size_t>(rows.Integer(0, 0));
  left_out = live > options.keys_max ? live - options.keys_max : 0;
  if (options.on_count) {
    options.on_count(std::min(live, options.keys_max), left_out);
  }
  return Status::Ok();
}

// REQUIRES: look_mutex is held.
Status IdentityMirror::Impl::TakeKeys(sql::Session& session) {
  ALERTSTREAM_ASSIGN_OR_RETURN(MirroredKeys loaded, LoadKeys(session, clock.Now()));
  const std::unique_lock lock(mutex);
  loaded.InheritUses(keys);
  keys = std::move(loaded);
  return Status::Ok();
}

Status IdentityMirror::Impl::Load(sql::Session& session) {
  const std::lock_guard look_lock(look_mutex);
  ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows now_row, session.Run(kNow));
  ALERTSTREAM_RETURN_IF_ERROR(CountKeys(session));
  ALERTSTREAM_RETURN_IF_ERROR(TakeKeys(session));
  ALERTSTREAM_RETURN_IF_ERROR(LookAtRevocations(session));
  const std::unique_lock lock(mutex);
  looked_to = now_row.Time(0, 0);
  looked_at_us = clock.SinceBoot().count();
  is_loaded = true;
  return Status::Ok();
}

Status IdentityMirror::Impl::LookAtRevocations(sql::Session& session) {
  const LogTime since = clock.Now() - kRevocationKept;
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const sql::Rows sessions,
      session.Run(kRevokedSessions, Limited(since, kMirroredRevocationsMax + 1)));
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const sql::Rows members,
      session.Run(kChangedMembers, Limited(since, kMirroredRevocationsMax + 1)));
  if (std::max(sessions.size(), members.size()) > kMirroredRevocationsMax) {
    return Error(ErrorCode::kExhausted, "identity: more revocations than a server holds");
  }
  std::set<std::string, std::less<>> revoked;
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    revoked.emplace(sessions.Text(i, 0));
  }
  std::map<std::pair<std::string, std::string>, std::int64_t> versions;
  for (std::size_t i = 0; i < members.size(); ++i) {
    versions[{std::string(members.Text(i, 0)), std::string(members.Text(i, 1))}] =
        members.Integer(i, 2);
  }
  const std::unique_lock lock(mutex);
  revoked_sessions = std::move(revoked);
  member_versions = std::move(versions);
  return Status::Ok();
}

// What was revoked holds whether or not the keys can be looked at, and the other way round.
Status IdentityMirror::Impl::LookForChanges(sql::Session& session) {
  const std::lock_guard look_lock(look_mutex);
  const Status revocations = LookAtRevocations(session);
  ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows now_row, session.Run(kNow));
  ALERTSTREAM_RETURN_IF_ERROR(LookAtKeys(session));
  ALERTSTREAM_RETURN_IF_ERROR(revocations);
  const std::unique_lock lock(mutex);
  looked_to = now_row.Time(0, 0);
  looked_at_us = clock.SinceBoot().count();
  return Status::Ok();
}

// REQUIRES: look_mutex is held.
Status IdentityMirror::Impl::LookAtKeys(sql::Session& session) {
  const LogTime now = clock.Now();
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const sql::Rows rows,
      session.Run(kChangedKeys, sql::Params().Time(now).Time(looked_to - kCommitDelayMax)));
  std::vector<ReadKey> reads;  // Without a key: revoked, or not to be read.
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const bool is_revoked = rows.Boolean(i, 10);
    reads.push_back(is_revoked ? ReadKey{} : TryRead(rows, i));
  }
  bool is_full = false;
  std::unique_lock lock(mutex);
  for (std::size_t i = 0; i < reads.size(); ++i) {
    if (reads[i].key == nullptr) {
      keys.Remove(NameAt(rows, i));
    } else if (keys.size() < options.keys_max || keys.Find(reads[i].digest) != nullptr) {
      keys.Put(reads[i].digest, std::move(reads[i].key), now);
    } else {
      is_full = true;
    }
  }
  keys.Expire(now);
  lock.unlock();
  const std::size_t before = left_out;
  if (!is_full && before == 0) {
    return Status::Ok();
  }
  ALERTSTREAM_RETURN_IF_ERROR(CountKeys(session));
  // There is room for one that was left out.
  return left_out < before ? TakeKeys(session) : Status::Ok();
}

// Of what is held while not all is; ok if all is.
Status IdentityMirror::Impl::Fullness() const {
  return left_out == 0
             ? Status::Ok()
             : Error(ErrorCode::kExhausted,
                     "identity.api_keys: " + std::to_string(left_out) +
                         " live keys more than the " + std::to_string(options.keys_max) +
                         " that a server holds; the newest are not served: revoke keys that "
                         "nobody uses (alertstream keys list, LAST USED)");
}

Status IdentityMirror::Impl::NoteUses(sql::Session& session) {
  std::vector<std::optional<std::string>> tenants;
  std::vector<std::optional<std::string>> ids;
  std::vector<std::optional<LogTime>> times;
  {
    const std::shared_lock lock(mutex);
    for (const auto& [digest, key] : keys.keys()) {
      const std::int64_t used = key->last_used_us.exchange(0);
      if (used > 0 && ids.size() < kUsesAtOnceMax) {
        tenants.emplace_back(key->base.tenant);
        ids.emplace_back(key->base.id);
        times.emplace_back(FromMicros(used));
      }
    }
  }
  if (ids.empty()) {
    return Status::Ok();
  }
  ALERTSTREAM_RETURN_IF_ERROR(
      session.Run(kNoteUses, sql::Params().Texts(tenants).Texts(ids).Times(times)));
  return Status::Ok();
}

void IdentityMirror::Impl::Tell(const Status& status) {
  bool is_news = false;
  {
    const std::lock_guard lock(thread_mutex);
    const std::string now = status.ok() ? "" : status.error().message();
    is_news = !told || now.empty() != problem.empty();
    told = true;
    tried = true;
    problem = now;
  }
  changed.notify_all();
  if (is_news && options.on_change) {
    options.on_change(status);
  }
}

// Until something fails or it stops.
Status IdentityMirror::Impl::Serve(sql::Session& session) {
  ALERTSTREAM_RETURN_IF_ERROR(session.Listen(kChannel));
  if (is_loaded) {
    // What was removed holds, even if not all can be loaded.
    ALERTSTREAM_RETURN_IF_ERROR(LookForChanges(session));
  }
  ALERTSTREAM_RETURN_IF_ERROR(Load(session));
  Tell(Fullness());
  auto loaded_at = clock.SinceBoot();
  auto noted_at = loaded_at;
  bool is_full = !Fullness().ok();
  // Short waits, so that Stop is soon heard.
  constexpr milliseconds kSliceMax{250};
  auto looked_at = loaded_at;
  while (!Stopping()) {
    ALERTSTREAM_ASSIGN_OR_RETURN(const std::vector<std::string> payloads,
                                 session.AwaitPayloads(std::min(options.look_every, kSliceMax)));
    const auto now = clock.SinceBoot();
    if (!payloads.empty() || now - looked_at >= options.look_every) {
      ALERTSTREAM_RETURN_IF_ERROR(LookForChanges(session));
      looked_at = now;
    }
    if (Fullness().ok() == is_full) {
      is_full = !is_full;
      Tell(Fullness());
    }
    if (now - noted_at >= options.note_uses_every) {
      ALERTSTREAM_RETURN_IF_ERROR(NoteUses(session));
      noted_at = now;
    }
    if (now - loaded_at >= options.reload_every) {
      ALERTSTREAM_RETURN_IF_ERROR(Load(session));
      loaded_at = now;
    }
  }
  return NoteUses(session);
}

void IdentityMirror::Impl::Run() {
  while (!Stopping()) {
    auto session =
        database.Open({.role = "alertstream_identity", .application_name = "alertstream-identity"});
    const Status served = session.ok() ? Serve(*session.value()) : Status(session.error());
    if (served.ok()) {
      return;
    }
    Tell(served);
    std::unique_lock lock(thread_mutex);
    changed.wait_for(lock, kRetryPause, [this] { return stopping; });
  }
}

IdentityMirror::IdentityMirror(sql::Database& database, const Sealer& sealer,
                               const AccessTokens& tokens, Clock& clock,
                               IdentityMirrorOptions options)
    : impl_(std::make_unique<Impl>(database, sealer, tokens, clock, std::move(options))) {
  impl_->thread = std::thread([impl = impl_.get()] { impl->Run(); });
  std::unique_lock lock(impl_->thread_mutex);
  impl_->changed.wait(lock, [this] { return impl_->tried; });
}

IdentityMirror::~IdentityMirror() { Stop(); }

void IdentityMirror::Stop() {
  {
    const std::lock_guard lock(impl_->thread_mutex);
    impl_->stopping = true;
  }
  impl_->changed.notify_all();
  if (impl_->thread.joinable()) {
    impl_->thread.join();
  }
}

Status IdentityMirror::Look(sql::Session& session) {
  return impl_->is_loaded ? impl_->LookForChanges(session) : impl_->Load(session);
}

std::shared_ptr<const ApiKey> IdentityMirror::FindKey(std::string_view presented) const {
  const Digest digest = Sha256::Of(presented);
  std::shared_ptr<const ApiKey> view;
  std::shared_ptr<const MirroredKey> key;
  {
    const std::shared_lock lock(impl_->mutex);
    key = impl_->keys.Find(digest);
    view = key == nullptr ? nullptr : key->view;
  }
  const LogTime now = impl_->clock.Now();
  if (view == nullptr || (key->expires_at && *key->expires_at <= now) || !IsFresh()) {
    return nullptr;
  }
  key->last_used_us.store(ToMicros(now), std::memory_order_relaxed);
  // Without the database nobody looks, but time goes on.
  return ViewAt(*key, view, now);
}

bool IdentityMirror::IsFresh() const {
  const auto since = impl_->clock.SinceBoot() - std::chrono::microseconds(impl_->looked_at_us);
  return impl_->is_loaded && since <= kServeWithoutDatabase;
}

bool IdentityMirror::Available() const { return IsFresh() && impl_->left_out == 0; }

EventRate IdentityMirror::RateOf(std::string_view /*tenant*/) const { return {}; }

bool IdentityMirror::OriginAllowed(std::string_view origin) const {
  const std::shared_lock lock(impl_->mutex);
  return impl_->keys.OriginAllowed(origin);
}

std::optional<std::string> IdentityMirror::TenantOfNumber(std::string_view /*provider*/,
                                                          std::string_view /*account*/,
                                                          std::string_view /*number*/) const {
  return std::nullopt;
}

std::shared_ptr<const Identity::WebhookAccount> IdentityMirror::FindWebhookAccount(
    std::string_view /*provider*/, std::string_view /*account*/) const {
  return nullptr;
}

Result<Caller> IdentityMirror::CallerOf(std::string_view token) const {
  ALERTSTREAM_ASSIGN_OR_RETURN(const TokenSubject subject,
                               impl_->tokens.Read(token, impl_->clock.Now()));
  if (!IsFresh()) {
    return Error(ErrorCode::kUnavailable, "Whether the token was revoked is not known now.");
  }
  const std::shared_lock lock(impl_->mutex);
  const auto version = impl_->member_versions.find({subject.tenant, subject.user});
  if (impl_->revoked_sessions.contains(subject.session) ||
      (version != impl_->member_versions.end() && subject.membership_version < version->second)) {
    return Error(ErrorCode::kDenied, "The token was revoked.");
  }
  return Caller{
      .tenant = subject.tenant, .actor = subject.user, .is_user = true, .role = subject.role};
}

std::string IdentityMirror::Problem() const {
  const std::lock_guard lock(impl_->thread_mutex);
  return impl_->problem;
}

}  // namespace alertstream::api
