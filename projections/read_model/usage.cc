#include "projections/read_model/usage.h"

namespace alertstream::read_model {
namespace {

constexpr sql::Statement kPlan = {
    "read_model.plan_of_tenant",
    "SELECT p.id, p.sends_per_month_max FROM read_model.tenants t"
    " JOIN read_model.plans p ON p.tenant_id = t.tenant_id AND p.id = t.plan"
    " WHERE t.tenant_id = $1"};
constexpr sql::Statement kMonths = {"read_model.usage_months",
                                    "SELECT month, sends, sends_max, at FROM read_model.quota_usage"
                                    " WHERE tenant_id = $1 ORDER BY month DESC LIMIT 13"};
static_assert(kUsageMonthsMax == 13, "the statement's limit");

}  // namespace

Result<Usage> ReadUsage(sql::Session& session, std::string_view tenant) {
  Usage usage;
  ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows plan,
                               session.Run(kPlan, sql::Params().Text(tenant)));
  if (plan.size() > 0) {
    usage.plan = std::string(plan.Text(0, 0));
    usage.sends_max = plan.Integer(0, 1);
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows months,
                               session.Run(kMonths, sql::Params().Text(tenant)));
  for (std::size_t row = 0; row < months.size(); ++row) {
    usage.months.push_back({.month = months.Integer(row, 0),
                            .sends = months.Integer(row, 1),
                            .sends_max = months.Integer(row, 2),
                            .at = months.Time(row, 3)});
  }
  return usage;
}

}  // namespace alertstream::read_model
