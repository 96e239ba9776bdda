#include "ops/cli/access_part.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "api/identity/transaction.h"
#include "ops/cli/token_key.h"
#include "processor/base/base64.h"
#include "processor/base/crypto.h"
#include "processor/base/log.h"

namespace alertstream::cli {
namespace {

// Logins have two threads, refreshing two; keys and audit events share the rest with the outbox.
constexpr std::size_t kIdentitySessionsMax = 8;

constexpr sql::Statement kReadCheck = {"identity.master_key_check",
                                       "SELECT master_key_check FROM identity.deployment"};
constexpr sql::Statement kPutCheck = {
    "identity.master_key_put",
    "INSERT INTO identity.deployment (master_key_check) VALUES ($1::bytea) "
    "ON CONFLICT (only_one) DO UPDATE SET master_key_check = EXCLUDED.master_key_check"};

std::string CheckOf(const Redacted<std::string>& key) {
  constexpr std::string_view kPurpose = "alertstream master key check 1";
  return std::string(AsView(HmacKey(key.Reveal()).Sign(kPurpose)));
}

// Where there is no database there are no users.
class NoUsers final : public api::UserTokens {
 public:
  Result<api::Caller> CallerOf(std::string_view /*token*/) const override {
    return Error(ErrorCode::kUnavailable, "postgres.url is not set");
  }
};

Result<std::vector<api::Network>> ParseProxies(std::string_view list) {
  std::vector<api::Network> networks;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    const auto network = api::ParseNetwork(list.substr(0, end));
    if (!network.ok()) {
      return Error(ErrorCode::kInvalid, "api.trusted_proxies: " + network.error().message());
    }
    networks.push_back(network.value());
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return networks;
}

void LogMirror(const Status& status) {
  if (status.ok()) {
    Log(LogLevel::kInfo, "identity_ready", {});
  } else {
    Log(LogLevel::kWarning, "identity_stale", {{"error", status.error().message()}});
  }
}

void LogUnreadableKey(const std::string& tenant, const std::string& key, const Error& error) {
  Log(LogLevel::kError, "api_key_unreadable",
      {{"tenant", tenant}, {"key", key}, {"error", error.message()}});
}

}  // namespace

Result<std::unique_ptr<IdentityTables>> IdentityTables::Open(const Settings& settings,
                                                             sql::Database& database,
                                                             Clock& clock) {
  const auto& given = settings.Secret(Setting::kMasterKey);
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto master_keys,
                               given ? ParseMasterKeys(given->Reveal())
                                     : LoadOrCreateMasterKeys(settings.Text(Setting::kDataDir)));
  ALERTSTREAM_ASSIGN_OR_RETURN(Sealer sealer, Sealer::Make(master_keys));
  return std::unique_ptr<IdentityTables>(
      new IdentityTables(master_keys, std::move(sealer), database, clock));
}

Result<std::unique_ptr<IdentityTables>> IdentityTables::OpenExisting(const Settings& settings,
                                                                     sql::Database& database,
                                                                     Clock& clock) {
  if (settings.Secret(Setting::kMasterKey) || HasMasterKeys(settings.Text(Setting::kDataDir))) {
    return Open(settings, database, clock);
  }
  const std::vector<Redacted<std::string>> none = {
      Redacted<std::string>(RandomBytes(kMasterKeyBytes))};
  ALERTSTREAM_ASSIGN_OR_RETURN(Sealer sealer, Sealer::Make(none));
  return std::unique_ptr<IdentityTables>(
      new IdentityTables(none, std::move(sealer), database, clock));
}

IdentityTables::IdentityTables(const std::vector<Redacted<std::string>>& master_keys, Sealer sealer,
                               sql::Database& database, Clock& clock)
    : database_(database),
      master_keys_(master_keys),
      sealer_(std::move(sealer)),
      tokens_(master_keys),
      pool_(database, {.role = "alertstream_identity", .application_name = "alertstream-identity"},
            kIdentitySessionsMax),
      accounts_({.pool = pool_, .sealer = sealer_, .tokens = tokens_, .clock = clock}),
      keys_(pool_, sealer_, clock),
      audit_(pool_, clock) {}

Redacted<std::string> IdentityTables::Derived(std::string_view purpose) const {
  constexpr std::string_view kPurpose = "alertstream derived 1 ";
  const HmacKey key(master_keys_.front().Reveal());
  return Redacted<std::string>(
      ToBase64Url(AsView(key.Begin().Update(kPurpose).Update(purpose).Final())));
}

Status IdentityTables::CheckMasterKey() {
  return api::InTransaction(pool_, [this](sql::Session& session) -> Status {
    ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows rows, session.Run(kReadCheck));
    const std::string newest = CheckOf(master_keys_.front());
    if (rows.size() > 0) {
      const std::string known = rows.Bytes(0, 0);
      const bool is_ours = std::any_of(master_keys_.begin(), master_keys_.end(),
                                       [&](const auto& key) { return CheckOf(key) == known; });
      if (!is_ours) {
        return Error(ErrorCode::kDenied,
                     "master_key: the tables of identity are sealed under another key; give the "
                     "key that made them, a new one before it");
      }
      if (known == newest) {
        return Status::Ok();
      }
    }
    ALERTSTREAM_RETURN_IF_ERROR(session.Run(kPutCheck, sql::Params().Bytes(newest)));
    return Status::Ok();
  });
}

Result<std::unique_ptr<AccessPart>> AccessPart::Start(const AccessPartDeps& deps) {
  std::unique_ptr<AccessPart> part(new AccessPart(deps));
  ALERTSTREAM_ASSIGN_OR_RETURN(part->trusted_proxies_,
                               ParseProxies(deps.settings.Text(Setting::kApiTrustedProxies)));
  part->identity_ = &deps.keys;
  const api::UserTokens* users = nullptr;
  if (deps.database == nullptr) {
    part->no_users_ = std::make_unique<NoUsers>();
    users = part->no_users_.get();
  } else {
    ALERTSTREAM_ASSIGN_OR_RETURN(part->tables_,
                                 IdentityTables::Open(deps.settings, *deps.database, deps.clock));
    IdentityTables& tables = *part->tables_;
    const Status checked = tables.CheckMasterKey();
    if (!checked.ok() && checked.error().code() == ErrorCode::kDenied) {
      return checked.error();
    }
    part->mirror_ = std::make_unique<api::IdentityMirror>(
        tables.database(), tables.sealer(), tables.tokens(), deps.clock,
        api::IdentityMirrorOptions{
            .on_change = LogMirror,
            .on_unreadable_key = LogUnreadableKey,
            .on_count = [&metrics = deps.metrics](std::size_t held, std::size_t left_out) {
              metrics.GaugeOf(MetricId::kIdentityKeys, {"held"}).Set(static_cast<double>(held));
              metrics.GaugeOf(MetricId::kIdentityKeys, {"left_out"})
                  .Set(static_cast<double>(left_out));
            }});
    part->joined_ = std::make_unique<api::JoinedIdentity>(deps.keys, *part->mirror_, deps.accounts);
    part->identity_ = part->joined_.get();
    users = part->mirror_.get();
  }
  part->guard_ = std::make_unique<api::AccessGuard>(
      api::AccessDeps{.identity = *part->identity_, .users = *users, .clock = deps.clock});
  return part;
}

AccessPart::~AccessPart() { Stop(); }

std::string AccessPart::ClientOf(const http::Request& request) const {
  if (trusted_proxies_.empty()) {
    return request.peer;
  }
  std::string forwarded;
  for (const http::HeaderField& field : request.headers.fields()) {
    if (http::EqualsIgnoringCase(field.name, "X-Forwarded-For")) {
      forwarded += (forwarded.empty() ? "" : ",") + field.value;
    }
  }
  return api::ClientAddress(request.peer, forwarded, trusted_proxies_);
}

Status AccessPart::AddRoutes(http::Routes* routes, const api::ResourceDeps& resources,
                             const api::TenantOpening* opening) {
  if (tables_ != nullptr && opening != nullptr) {
    workers_ = std::make_unique<api::WorkerPool>(api::kAuthWorkers);
    session_workers_ = std::make_unique<api::WorkerPool>(api::kSessionWorkers);
    auth_ = std::make_unique<api::AuthTables>(api::AuthTables{.accounts = tables_->accounts(),
                                                              .mirror = *mirror_,
                                                              .pool = tables_->pool(),
                                                              .workers = *workers_,
                                                              .session_workers = *session_workers_,
                                                              .opening = *opening});
    websites_ = std::make_unique<api::WebsiteTables>(
        api::WebsiteTables{.keys = tables_->keys(), .mirror = *mirror_, .pool = tables_->pool()});
    if (deps_.accounts != nullptr) {
      account_store_ = std::make_unique<api::AccountStore>(
          api::AccountStoreDeps{.pool = tables_->pool(),
                                .sealer = tables_->sealer(),
                                .clock = deps_.clock,
                                .configured = deps_.configured});
      provider_accounts_ = std::make_unique<api::ProviderAccountTables>(
          api::ProviderAccountTables{.store = *account_store_});
    }
    outbox_ =
        std::make_unique<api::Outbox>(tables_->pool(), *opening, deps_.clock, api::OutboxOptions{});
  }
  ALERTSTREAM_RETURN_IF_ERROR(
      api::AddAuthRoutes(routes, {.clock = deps_.clock, .tables = auth_.get()}));
  ALERTSTREAM_RETURN_IF_ERROR(
      api::AddWebsiteRoutes(routes, {.resources = resources, .tables = websites_.get()}));
  return api::AddProviderAccountRoutes(
      routes, {.resources = resources, .tables = provider_accounts_.get()});
}

std::string AccessPart::Problem() const { return mirror_ == nullptr ? "" : mirror_->Problem(); }

void AccessPart::Stop() {
  if (workers_ != nullptr) {
    workers_->Stop();
    session_workers_->Stop();
  }
  if (outbox_ != nullptr) {
    outbox_->Stop();
  }
  if (mirror_ != nullptr) {
    mirror_->Stop();
  }
}

}  // namespace alertstream::cli
