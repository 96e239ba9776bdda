// The tables `tenants`, `sites`, `plans` and `senders`: what is in force. Pure but for Write.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "projections/columns.h"
#include "projections/projection.h"

namespace alertstream::projections {

// Members that a kind of entity has not stay empty. A row of a version that the table has already
// changes nothing.
struct AccountRow {
  std::string tenant_id;
  std::string id;
  std::string status;
  std::string plan;
  std::string stop_reply;
  std::string help_reply;
  std::int64_t unknown_wait_us = 0;
  std::int64_t sends_per_month_max = 0;
  std::string provider;
  std::string account;
  std::string number;
  bool is_default = false;
  std::string channel;
  std::int64_t version = 0;
  LogTime at{};
  std::int64_t partition = 0;
  std::int64_t seq = 0;
};

class AccountsProjection final : public Projection {
 public:
  void Fold(const Batch& batch) override;
  Status Write(sql::Session& session) override;
  std::size_t rows() const override;
  void Clear() override;

  const std::vector<AccountRow>& tenants() const { return tenants_.rows(); }
  const std::vector<AccountRow>& sites() const { return sites_.rows(); }
  const std::vector<AccountRow>& plans() const { return plans_.rows(); }
  const std::vector<AccountRow>& senders() const { return senders_.rows(); }
  // Who is a tenant's default sender now, where a fact named one: "" for nobody. Becoming it takes
  // it from the one before, whose own facts do not say so.
  const std::map<std::string, std::string>& defaults() const { return defaults_; }

 private:
  Status WriteTenants(sql::Session& session);
  Status WriteSites(sql::Session& session);
  Status WritePlans(sql::Session& session);
  Status WriteSenders(sql::Session& session);
  void TakeDefault(const v1::Fact& fact);

  Keyed<AccountRow> tenants_;
  Keyed<AccountRow> sites_;
  Keyed<AccountRow> plans_;
  Keyed<AccountRow> senders_;
  std::map<std::string, std::string> defaults_;
};

}  // namespace alertstream::projections
