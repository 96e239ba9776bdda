#include "api/identity/account_mirror.h"

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <tuple>
#include <utility>

namespace alertstream::api {
namespace {

using std::chrono::milliseconds;
using AccountName = std::pair<std::string, std::string>;
using NumberName = std::tuple<std::string, std::string, std::string>;

constexpr const char* kChannel = "alertstream_identity";
constexpr milliseconds kRetryPause{1'000};
constexpr milliseconds kSliceMax{250};  // Short waits, so that Stop is soon heard.

constexpr sql::Statement kVersion = {"identity.account_version",
                                     "SELECT version FROM identity.account_version"};
constexpr sql::Statement kAccounts = {
    "identity.mirror_accounts",
    "SELECT account_id, coalesce(tenant_id, ''), provider, account, account_sid, api_key_sid, "
    "base_url, public_url, sends_per_second, burst, previous_until, credentials_sealed "
    "FROM identity.provider_accounts ORDER BY created_at, account_id LIMIT $1::int"};
constexpr sql::Statement kNumbers = {
    "identity.mirror_numbers",
    "SELECT provider, account, number, tenant_id, number_id FROM identity.number_claims "
    "ORDER BY claimed_at, number_id LIMIT $1::int"};

sql::Params Limit(std::size_t limit) {
  sql::Params params;
  params.Integer(static_cast<std::int64_t>(limit));
  return params;
}

// An account with all of its tokens, of which those before the newest end.
struct Held {
  std::shared_ptr<const dispatch::ProviderAccount> account;
  std::shared_ptr<const Identity::WebhookAccount> webhook;
  std::optional<LogTime> previous_until;
};

void SetAccount(Held* held, dispatch::ProviderAccount account) {
  auto webhook = std::make_shared<Identity::WebhookAccount>();
  webhook->account_sid = account.account_sid;
  webhook->public_url = account.public_url;
  webhook->auth_tokens = account.auth_tokens;
  held->webhook = std::move(webhook);
  held->account = std::make_shared<const dispatch::ProviderAccount>(std::move(account));
}

// Immutable but for Expire, which makes another one.
struct Content {
  std::map<AccountName, Held> accounts;
  std::map<NumberName, std::string> numbers;
};

bool IsOver(const std::optional<LogTime>& previous_until, LogTime now) {
  return previous_until && *previous_until <= now;
}

Result<Held> AccountAt(const sql::Rows& rows, std::size_t row, const Sealer& sealer,
                       const AccountMirrorOptions& options, LogTime now) {
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const Redacted<std::string> text,
      sealer.Open(rows.Bytes(row, 11), CredentialsContext(rows.Text(row, 0))));
  ALERTSTREAM_ASSIGN_OR_RETURN(AccountCredentials credentials, ReadCredentials(text));
  dispatch::ProviderAccount account{
      .provider = std::string(rows.Text(row, 2)),
      .name = std::string(rows.Text(row, 3)),
      .account_sid = std::string(rows.Text(row, 4)),
      .api_key_sid = std::string(rows.Text(row, 5)),
      .api_key_secret = std::move(credentials.api_key_secret),
      .auth_tokens = std::move(credentials.auth_tokens),
      .base_url = std::string(rows.Text(row, 6)),
      .public_url = std::string(rows.Text(row, 7)),
      .sends_per_second = std::strtod(std::string(rows.Text(row, 8)).c_str(), nullptr),
      .burst = static_cast<std::uint32_t>(rows.Integer(row, 9)),
      .tenant = std::string(rows.Text(row, 1))};
  if (options.configured.has_account &&
      options.configured.has_account(account.provider, account.name)) {
    return Error(ErrorCode::kConflict,
                 "the file of keys has an account of the same name, which comes first; rename one");
  }
  if (options.adjust) {
    options.adjust(&account);
  }
  Held held;
  if (!rows.IsNull(row, 10)) {
    held.previous_until = rows.Time(row, 10);
  }
  if (IsOver(held.previous_until, now) && account.auth_tokens.size() > 1) {
    account.auth_tokens.resize(1);
  }
  SetAccount(&held, std::move(account));
  return held;
}

}  // namespace

struct AccountMirror::Impl {
  Impl(sql::Database& database_in, const Sealer& sealer_in, Clock& clock_in,
       AccountMirrorOptions options_in)
      : database(database_in),
        sealer(sealer_in),
        clock(clock_in),
        options(std::move(options_in)),
        content(std::make_shared<const Content>()) {}

  void Run();
  Status Serve(sql::Session& session);
  Status Look(sql::Session& session, bool anew);
  Status Load(sql::Session& session);
  void NoteUnserved(const std::string& id, const Error& error);
  // The names of tenants' accounts that the file of keys has too: what tenants claimed of theirs is
  // not the file's account's.
  std::set<AccountName> ReadAccounts(const sql::Rows& rows, Content* loaded);
  void Expire();
  void Tell(const Status& status);
  std::shared_ptr<const Content> Known() const;
  bool Stopping() const {
    const std::lock_guard lock(thread_mutex);
    return stopping;
  }

  sql::Database& database;
  const Sealer& sealer;
  Clock& clock;
  const AccountMirrorOptions options;

  mutable std::mutex content_mutex;
  std::shared_ptr<const Content> content;  // Shared with look-ups under way.

  std::mutex look_mutex;      // Looks come one after the other; and of what follows.
  std::int64_t version = -1;  // -1: nothing was loaded.
  std::set<std::string> unserved;

  std::atomic<bool> is_loaded{false};
  std::atomic<std::int64_t> looked_at_us{0};  // By SinceBoot.

  mutable std::mutex thread_mutex;  // Of what follows.
  std::condition_variable changed;
  bool stopping = false;
  bool tried = false;
  bool told = false;
  std::string problem;

  std::thread thread;
};

// REQUIRES: look_mutex is held.
std::set<AccountName> AccountMirror::Impl::ReadAccounts(const sql::Rows& rows, Content* loaded) {
  std::set<AccountName> shadowed;
  const LogTime now = clock.Now();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string id(rows.Text(i, 0));
    auto read = AccountAt(rows, i, sealer, options, now);
    if (read.ok()) {
      unserved.erase(id);
      const auto& account = *read.value().account;
      loaded->accounts.emplace(AccountName(account.provider, account.name),
                               std::move(read).value());
      continue;
    }
    NoteUnserved(id, read.error());
    if (read.error().code() == ErrorCode::kConflict && !rows.Text(i, 1).empty()) {
      shadowed.emplace(rows.Text(i, 2), rows.Text(i, 3));
    }
  }
  return shadowed;
}

// REQUIRES: look_mutex is held.
void AccountMirror::Impl::NoteUnserved(const std::string& id, const Error& error) {
  if (unserved.insert(id).second && options.on_unserved) {
    options.on_unserved(id, error);
  }
}

// REQUIRES: look_mutex is held.
Status AccountMirror::Impl::Load(sql::Session& session) {
  auto loaded = std::make_shared<Content>();
  ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows accounts,
                               session.Run(kAccounts, Limit(kAccountsMax)));
  ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows numbers, session.Run(kNumbers, Limit(kNumbersMax)));
  const std::set<AccountName> shadowed = ReadAccounts(accounts, loaded.get());
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (options.configured.has_number &&
        options.configured.has_number(numbers.Text(i, 0), numbers.Text(i, 2))) {
      NoteUnserved(std::string(numbers.Text(i, 4)),
                   Error(ErrorCode::kConflict,
                         "the file of keys says whose the number is, and comes first; release the "
                         "claim"));
      continue;
    }
    if (shadowed.contains({std::string(numbers.Text(i, 0)), std::string(numbers.Text(i, 1))})) {
      NoteUnserved(std::string(numbers.Text(i, 4)),
                   Error(ErrorCode::kConflict,
                         "the number was claimed of an account whose name the file of keys has, "
                         "which comes first; rename one"));
      continue;
    }
    unserved.erase(std::string(numbers.Text(i, 4)));
    loaded->numbers[{std::string(numbers.Text(i, 0)), std::string(numbers.Text(i, 1)),
                     std::string(numbers.Text(i, 2))}] = numbers.Text(i, 3);
  }
  const std::lock_guard lock(content_mutex);
  content = std::move(loaded);
  return Status::Ok();
}

Status AccountMirror::Impl::Look(sql::Session& session, bool anew) {
  const std::lock_guard look_lock(look_mutex);
  // Before the rows: what changes meanwhile is loaded once more.
  ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows rows, session.Run(kVersion));
  const std::int64_t now = rows.size() == 0 ? 0 : rows.Integer(0, 0);
  if (anew || now != version) {
    ALERTSTREAM_RETURN_IF_ERROR(Load(session));
    version = now;
  }
  looked_at_us = clock.SinceBoot().count();
  is_loaded = true;
  return Status::Ok();
}

// Tokens whose time is over end without the database too.
void AccountMirror::Impl::Expire() {
  const LogTime now = clock.Now();
  const std::lock_guard lock(content_mutex);
  std::shared_ptr<Content> fresh;
  for (const auto& [name, held] : content->accounts) {
    if (IsOver(held.previous_until, now) && held.account->auth_tokens.size() > 1) {
      if (fresh == nullptr) {
        fresh = std::make_shared<Content>(*content);
      }
      dispatch::ProviderAccount account = *held.account;
      account.auth_tokens.resize(1);
      SetAccount(&fresh->accounts[name], std::move(account));
    }
  }
  if (fresh != nullptr) {
    content = std::move(fresh);
  }
}

void AccountMirror::Impl::Tell(const Status& status) {
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
Status AccountMirror::Impl::Serve(sql::Session& session) {
  ALERTSTREAM_RETURN_IF_ERROR(session.Listen(kChannel));
  ALERTSTREAM_RETURN_IF_ERROR(Look(session, true));
  Expire();
  Tell(Status::Ok());
  auto loaded_at = clock.SinceBoot();
  auto looked_at = loaded_at;
  bool is_told = false;
  while (!Stopping()) {
    ALERTSTREAM_ASSIGN_OR_RETURN(const std::vector<std::string> payloads,
                                 session.AwaitPayloads(std::min(options.look_every, kSliceMax)));
    is_told = is_told || !payloads.empty();
    const auto now = clock.SinceBoot();
    if ((is_told && now - looked_at >= options.look_pause) ||
        now - looked_at >= options.look_every) {
      is_told = false;
      const bool anew = now - loaded_at >= options.reload_every;
      ALERTSTREAM_RETURN_IF_ERROR(Look(session, anew));
      looked_at = clock.SinceBoot();
      loaded_at = anew ? looked_at : loaded_at;
    }
    Expire();
  }
  return Status::Ok();
}

void AccountMirror::Impl::Run() {
  while (!Stopping()) {
    auto session =
        database.Open({.role = "alertstream_identity", .application_name = "alertstream-accounts"});
    const Status served = session.ok() ? Serve(*session.value()) : Status(session.error());
    if (served.ok()) {
      return;
    }
    Expire();
    Tell(served);
    std::unique_lock lock(thread_mutex);
    changed.wait_for(lock, kRetryPause, [this] { return stopping; });
  }
}

// Null: not known well enough.
std::shared_ptr<const Content> AccountMirror::Impl::Known() const {
  const auto since = clock.SinceBoot() - std::chrono::microseconds(looked_at_us);
  if (!is_loaded || since > kServeWithoutDatabase) {
    return nullptr;
  }
  const std::lock_guard lock(content_mutex);
  return content;
}

AccountMirror::AccountMirror(sql::Database& database, const Sealer& sealer, Clock& clock,
                             AccountMirrorOptions options)
    : impl_(std::make_unique<Impl>(database, sealer, clock, std::move(options))) {
  impl_->thread = std::thread([impl = impl_.get()] { impl->Run(); });
  std::unique_lock lock(impl_->thread_mutex);
  impl_->changed.wait(lock, [this] { return impl_->tried; });
}

AccountMirror::~AccountMirror() { Stop(); }

void AccountMirror::Stop() {
  {
    const std::lock_guard lock(impl_->thread_mutex);
    impl_->stopping = true;
  }
  impl_->changed.notify_all();
  if (impl_->thread.joinable()) {
    impl_->thread.join();
  }
}

Status AccountMirror::Look(sql::Session& session) { return impl_->Look(session, false); }

Status AccountMirror::Reload(sql::Session& session) { return impl_->Look(session, true); }

bool AccountMirror::Known() const { return impl_->Known() != nullptr; }

std::shared_ptr<const dispatch::ProviderAccount> AccountMirror::Find(std::string_view provider,
                                                                     std::string_view name) const {
  const auto content = impl_->Known();
  if (content == nullptr) {
    return nullptr;
  }
  const auto found = content->accounts.find({std::string(provider), std::string(name)});
  return found == content->accounts.end() ? nullptr : found->second.account;
}

std::vector<std::shared_ptr<const dispatch::ProviderAccount>> AccountMirror::All() const {
  std::vector<std::shared_ptr<const dispatch::ProviderAccount>> all;
  if (const auto content = impl_->Known()) {
    for (const auto& [name, held] : content->accounts) {
      all.push_back(held.account);
    }
  }
  return all;
}

std::optional<std::string> AccountMirror::TenantOfNumber(std::string_view provider,
                                                         std::string_view account,
                                                         std::string_view number) const {
  const auto content = impl_->Known();
  if (content == nullptr) {
    return std::nullopt;
  }
  const auto found =
      content->numbers.find({std::string(provider), std::string(account), std::string(number)});
  return found == content->numbers.end() ? std::nullopt : std::optional(found->second);
}

std::shared_ptr<const Identity::WebhookAccount> AccountMirror::FindWebhookAccount(
    std::string_view provider, std::string_view account) const {
  const auto content = impl_->Known();
  if (content == nullptr) {
    return nullptr;
  }
  const auto found = content->accounts.find({std::string(provider), std::string(account)});
  return found == content->accounts.end() ? nullptr : found->second.webhook;
}

std::string AccountMirror::Problem() const {
  const std::lock_guard lock(impl_->thread_mutex);
  return impl_->problem;
}

}  // namespace alertstream::api
