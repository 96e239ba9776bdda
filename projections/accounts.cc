#include "projections/accounts.h"

#include <optional>
#include <utility>

#include "projections/text.h"

namespace alertstream::projections {
namespace {

constexpr sql::Statement kTenants = {
    "projections.tenants",
    "INSERT INTO tenants AS t (tenant_id, status, plan, stop_reply, help_reply, unknown_wait_us,"
    " version, at, partition, seq)"
    " SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[],"
    " $6::bigint[], $7::bigint[], $8::timestamptz[], $9::int[], $10::bigint[])"
    " ON CONFLICT (tenant_id) DO UPDATE SET status = excluded.status, plan = excluded.plan,"
    " stop_reply = excluded.stop_reply, help_reply = excluded.help_reply,"
    " unknown_wait_us = excluded.unknown_wait_us, version = excluded.version, at = excluded.at,"
    " partition = excluded.partition, seq = excluded.seq WHERE excluded.version > t.version"};

constexpr sql::Statement kSites = {
    "projections.sites",
    "INSERT INTO sites AS t (tenant_id, id, status, version, at, partition, seq)"
    " SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[],"
    " $6::int[], $7::bigint[])"
    " ON CONFLICT (tenant_id, id) DO UPDATE SET status = excluded.status,"
    " version = excluded.version, at = excluded.at, partition = excluded.partition,"
    " seq = excluded.seq WHERE excluded.version > t.version"};

constexpr sql::Statement kPlans = {
    "projections.plans",
    "INSERT INTO plans AS t (tenant_id, id, sends_per_month_max, version, at, partition, seq)"
    " SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::timestamptz[],"
    " $6::int[], $7::bigint[])"
    " ON CONFLICT (tenant_id, id) DO UPDATE SET"
    " sends_per_month_max = excluded.sends_per_month_max, version = excluded.version,"
    " at = excluded.at, partition = excluded.partition, seq = excluded.seq"
    " WHERE excluded.version > t.version"};

constexpr sql::Statement kSenders = {
    "projections.senders",
    "INSERT INTO senders AS t (tenant_id, id, provider, account, number, is_default, channel,"
    " version, at, partition, seq)"
    " SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[],"
    " $6::boolean[], $7::text[], $8::bigint[], $9::timestamptz[], $10::int[], $11::bigint[])"
    " ON CONFLICT (tenant_id, id) DO UPDATE SET provider = excluded.provider,"
    " account = excluded.account, number = excluded.number, is_default = excluded.is_default,"
    " channel = excluded.channel, version = excluded.version, at = excluded.at,"
    " partition = excluded.partition, seq = excluded.seq WHERE excluded.version > t.version"};

constexpr sql::Statement kDefaults = {
    "projections.senders.defaults",
    "UPDATE senders t SET is_default = (t.id = c.id)"
    " FROM unnest($1::text[], $2::text[]) AS c(tenant_id, id)"
    " WHERE t.tenant_id = c.tenant_id AND t.is_default <> (t.id = c.id)"};

// The row that the fact makes or changes; null: it says what is known.
AccountRow* Begin(const Batch& batch, const v1::Fact& fact, const std::string& id,
                  Keyed<AccountRow>* rows) {
  auto [row, is_new] = rows->At(fact.tenant(), id);
  const auto version = static_cast<std::int64_t>(fact.version());
  if (!is_new && version <= row.version) {
    return nullptr;
  }
  row.tenant_id = fact.tenant();
  row.id = Storable(id);
  row.version = version;
  row.at = FromMicros(fact.at_us());
  row.partition = batch.partition;
  row.seq = batch.seq;
  return &row;
}

void TakeTenant(const v1::Tenant& tenant, AccountRow* row) {
  row->status = WordOf(tenant.status());
  row->plan = Storable(tenant.plan());
  row->stop_reply = Storable(tenant.stop_reply());
  row->help_reply = Storable(tenant.help_reply());
  row->unknown_wait_us = tenant.unknown_wait_us();
}

void TakeSender(const v1::Sender& sender, AccountRow* row) {
  row->provider = Storable(sender.provider());
  row->account = Storable(sender.account());
  row->number = Storable(sender.number());
  row->is_default = sender.is_default();
  row->channel = WordOf(sender.channel());
}

}  // namespace

void AccountsProjection::Fold(const Batch& batch) {
  for (const v1::Fact* fact : batch.facts) {
    if (fact->result() != v1::FACT_RESULT_ACCEPTED) {
      continue;
    }
    if (fact->has_tenant_change()) {
      if (AccountRow* row = Begin(batch, *fact, fact->tenant(), &tenants_)) {
        TakeTenant(fact->tenant_change().tenant(), row);
      }
    } else if (fact->has_site()) {
      const v1::Site& site = fact->site().site();
      if (AccountRow* row = Begin(batch, *fact, site.id(), &sites_)) {
        row->status = WordOf(site.status());
      }
    } else if (fact->has_plan()) {
      const v1::Plan& plan = fact->plan().plan();
      if (AccountRow* row = Begin(batch, *fact, plan.id(), &plans_)) {
        row->sends_per_month_max = plan.sends_per_month_max();
      }
    } else if (fact->has_sender()) {
      const v1::Sender& sender = fact->sender().sender();
      if (AccountRow* row = Begin(batch, *fact, sender.id(), &senders_)) {
        TakeSender(sender, row);
      }
      TakeDefault(*fact);
    }
  }
}

// Also by a fact that says that nothing else changed.
void AccountsProjection::TakeDefault(const v1::Fact& fact) {
  const v1::Sender& sender = fact.sender().sender();
  if (sender.is_default()) {
    defaults_[fact.tenant()] = Storable(sender.id());
    return;
  }
  const auto present = defaults_.find(fact.tenant());
  if (present != defaults_.end() && present->second == sender.id()) {
    present->second.clear();
  }
}

std::size_t AccountsProjection::rows() const {
  return tenants_.rows().size() + sites_.rows().size() + plans_.rows().size() +
         senders_.rows().size();
}

void AccountsProjection::Clear() {
  tenants_.Clear();
  sites_.Clear();
  plans_.Clear();
  senders_.Clear();
  defaults_.clear();
}

Status AccountsProjection::WriteTenants(sql::Session& session) {
  Columns columns(tenants_.rows());
  columns.Text(&AccountRow::tenant_id)
      .Text(&AccountRow::status)
      .Text(&AccountRow::plan)
      .Text(&AccountRow::stop_reply)
      .Text(&AccountRow::help_reply)
      .Integer(&AccountRow::unknown_wait_us)
      .Integer(&AccountRow::version)
      .Time(&AccountRow::at)
      .Integer(&AccountRow::partition)
      .Integer(&AccountRow::seq);
  ALERTSTREAM_RETURN_IF_ERROR(session.Run(kTenants, columns.params()));
  return Status::Ok();
}

Status AccountsProjection::WriteSites(sql::Session& session) {
  Columns columns(sites_.rows());
  columns.Text(&AccountRow::tenant_id)
      .Text(&AccountRow::id)
      .Text(&AccountRow::status)
      .Integer(&AccountRow::version)
      .Time(&AccountRow::at)
      .Integer(&AccountRow::partition)
      .Integer(&AccountRow::seq);
  ALERTSTREAM_RETURN_IF_ERROR(session.Run(kSites, columns.params()));
  return Status::Ok();
}

Status AccountsProjection::WritePlans(sql::Session& session) {
  Columns columns(plans_.rows());
  columns.Text(&AccountRow::tenant_id)
      .Text(&AccountRow::id)
      .Integer(&AccountRow::sends_per_month_max)
      .Integer(&AccountRow::version)
      .Time(&AccountRow::at)
      .Integer(&AccountRow::partition)
      .Integer(&AccountRow::seq);
  ALERTSTREAM_RETURN_IF_ERROR(session.Run(kPlans, columns.params()));
  return Status::Ok();
}

Status AccountsProjection::WriteSenders(sql::Session& session) {
  Columns columns(senders_.rows());
  columns.Text(&AccountRow::tenant_id)
      .Text(&AccountRow::id)
      .Text(&AccountRow::provider)
      .Text(&AccountRow::account)
      .Text(&AccountRow::number)
      .Boolean(&AccountRow::is_default)
      .Text(&AccountRow::channel)
      .Integer(&AccountRow::version)
      .Time(&AccountRow::at)
      .Integer(&AccountRow::partition)
      .Integer(&AccountRow::seq);
  ALERTSTREAM_RETURN_IF_ERROR(session.Run(kSenders, columns.params()));
  if (defaults_.empty()) {
    return Status::Ok();
  }
  std::vector<std::optional<std::string>> tenants;
  std::vector<std::optional<std::string>> ids;
  for (const auto& [tenant, id] : defaults_) {
    tenants.emplace_back(tenant);
    ids.emplace_back(id);
  }
  sql::Params params;
  params.Texts(tenants).Texts(ids);
  ALERTSTREAM_RETURN_IF_ERROR(session.Run(kDefaults, params));
  return Status::Ok();
}

Status AccountsProjection::Write(sql::Session& session) {
  if (!tenants_.rows().empty()) {
    ALERTSTREAM_RETURN_IF_ERROR(WriteTenants(session));
  }
  if (!sites_.rows().empty()) {
    ALERTSTREAM_RETURN_IF_ERROR(WriteSites(session));
  }
  if (!plans_.rows().empty()) {
    ALERTSTREAM_RETURN_IF_ERROR(WritePlans(session));
  }
  return senders_.rows().empty() ? Status::Ok() : WriteSenders(session);
}

}  // namespace alertstream::projections
