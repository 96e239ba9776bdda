#include "projections/read_model/recipients.h"

#include <array>

namespace alertstream::read_model {
namespace {

#define ALERTSTREAM_CONSENT_COLUMNS                                                          \
  "id, recipient, channel, message_class, status, source, written, evidence, detail_sealed," \
  " actor, at, recorded_at, result, reject_reason, version"

constexpr std::array kConsentFilters = {"recipient"};

constexpr sql::Statement kById = {
    "read_model.recipient",
    "SELECT id, kind, address_masked, address_sealed, first_seen_at, last_seen_at"
    " FROM read_model.recipients WHERE tenant_id = $1 AND id = $2"};
constexpr sql::Statement kConsentKeyById = {
    "read_model.consent_key",
    "SELECT recorded_at FROM read_model.consents WHERE tenant_id = $1 AND id = $2"};
// A person's history is short; of few channels and classes one row each stays.
constexpr sql::Statement kConsentsInForce = {
    "read_model.consents_in_force",
    "SELECT DISTINCT ON (channel, message_class) " ALERTSTREAM_CONSENT_COLUMNS
    " FROM read_model.consents WHERE tenant_id = $1 AND recipient = $2 AND result = 'accepted'"
    " ORDER BY channel, message_class, recorded_at DESC, id DESC"};
constexpr sql::Statement kOptOutsInForce = {
    "read_model.opt_outs_in_force",
    "SELECT DISTINCT ON (channel) channel, status, by, reason, actor, at, version"
    " FROM read_model.opt_outs WHERE tenant_id = $1 AND recipient = $2 AND result = 'accepted'"
    " ORDER BY channel, at DESC, id DESC"};

Recipient ReadRecipient(const sql::Rows& rows, std::size_t row) {
  return {.id = std::string(rows.Text(row, 0)),
          .kind = std::string(rows.Text(row, 1)),
          .address_masked = OptionalText(rows, row, 2),
          .address_sealed = OptionalBytes(rows, row, 3),
          .first_seen_at = rows.Time(row, 4),
          .last_seen_at = rows.Time(row, 5)};
}

Consent ReadConsent(const sql::Rows& rows, std::size_t row) {
  return {.id = std::string(rows.Text(row, 0)),
          .recipient = std::string(rows.Text(row, 1)),
          .channel = std::string(rows.Text(row, 2)),
          .message_class = std::string(rows.Text(row, 3)),
          .status = std::string(rows.Text(row, 4)),
          .source = std::string(rows.Text(row, 5)),
          .written = rows.Boolean(row, 6),
          .evidence = OptionalText(rows, row, 7),
          .detail_sealed = OptionalBytes(rows, row, 8),
          .actor = std::string(rows.Text(row, 9)),
          .at = rows.Time(row, 10),
          .recorded_at = rows.Time(row, 11),
          .result = std::string(rows.Text(row, 12)),
          .reject_reason = OptionalText(rows, row, 13),
          .version = rows.Integer(row, 14)};
}

OptOut ReadOptOut(const sql::Rows& rows, std::size_t row) {
  return {.channel = std::string(rows.Text(row, 0)),
          .status = std::string(rows.Text(row, 1)),
          .by = std::string(rows.Text(row, 2)),
          .reason = std::string(rows.Text(row, 3)),
          .actor = std::string(rows.Text(row, 4)),
          .at = rows.Time(row, 5),
          .version = rows.Integer(row, 6)};
}

}  // namespace

const ListShape kConsentList = {.name = "consents",
                                .columns = ALERTSTREAM_CONSENT_COLUMNS,
                                .from = "read_model.consents",
                                .time = "recorded_at",
                                .id = "id",
                                .filters = kConsentFilters};

Result<std::optional<Recipient>> FindRecipient(sql::Session& session, std::string_view tenant,
                                               std::string_view id) {
  return FindOne<Recipient>(session, kById, tenant, id, ReadRecipient);
}

Result<Page<Consent>> ListConsents(sql::Session& session, std::string_view tenant,
                                   std::string_view recipient, const PageRequest& request) {
  return FindPage<Consent>(session, tenant, kConsentList, {{0, std::string(recipient)}}, request,
                           ReadConsent);
}

Result<std::optional<PageKey>> FindConsentKey(sql::Session& session, std::string_view tenant,
                                              std::string_view id) {
  return FindKey(session, kConsentKeyById, tenant, id);
}

Result<std::vector<Consent>> ListConsentsInForce(sql::Session& session, std::string_view tenant,
                                                 std::string_view recipient) {
  return FindAll<Consent>(session, kConsentsInForce, tenant, recipient, ReadConsent);
}

Result<std::vector<OptOut>> ListOptOutsInForce(sql::Session& session, std::string_view tenant,
                                               std::string_view recipient) {
  return FindAll<OptOut>(session, kOptOutsInForce, tenant, recipient, ReadOptOut);
}

}  // namespace alertstream::read_model
