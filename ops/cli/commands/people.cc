#include "ops/cli/commands/people.h"

#include <map>
#include <ostream>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "ops/cli/commands/outcomes.h"
#include "ops/cli/json_object.h"
#include "ops/cli/message_json.h"
#include "ops/cli/words.h"
#include "processor/base/rfc3339.h"
#include "processor/engine/gates/recipient.h"

namespace alertstream::cli {
namespace {

using schemas::Topic;

struct Person {
  v1::AddressKind kind = v1::ADDRESS_KIND_UNSPECIFIED;
  std::string address;  // Normalised.
  std::string token;
};

Result<Person> ResolvePerson(const Session& session, const std::string& raw) {
  if (session.tenant.empty()) {
    return Error(ErrorCode::kInvalid, "--tenant is missing: a person is known to one tenant only");
  }
  Person person;
  person.kind =
      raw.find('@') != std::string::npos ? v1::ADDRESS_KIND_EMAIL : v1::ADDRESS_KIND_PHONE;
  ALERTSTREAM_ASSIGN_OR_RETURN(person.address, engine::NormalizeAddress(person.kind, raw));
  const RecipientToken token = MakeRecipientToken(
      session.token_key, session.tenant, static_cast<std::uint8_t>(person.kind), person.address);
  person.token.assign(token.begin(), token.end());
  return person;
}

// Appends the change and says what became of it.
Result<ExitCode> SubmitOne(const Session& session, Topic topic, v1::Envelope envelope,
                           const Person& person, std::string_view what) {
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto outcomes,
      Submit(session, {TenantChange(session, topic, session.tenant, std::move(envelope))}));
  const RecordOutcome& outcome = outcomes.front();
  std::string refusal;
  if (!outcome.dead_letters.empty()) {
    const auto& letter = outcome.dead_letters.front();
    refusal = fmt::format("{}: {}", Word(letter.reason()), letter.detail());
  } else if (outcome.facts.front().result() == v1::FACT_RESULT_REJECTED) {
    const v1::Fact& fact = outcome.facts.front();
    refusal = fmt::format("{}: {}", Word(fact.reject_reason()), fact.detail());
  }
  const std::string recipient =
      outcome.id.empty() ? FormatId(IdKind::kRecipient, person.token) : outcome.id;
  if (session.Json()) {
    JsonObject object;
    object.Text("recipient", recipient);
    object.Text("result", refusal.empty() ? "accepted" : "rejected");
    if (!refusal.empty()) {
      object.Text("reason", refusal);
    }
    JsonList facts;
    for (const v1::Fact& fact : outcome.facts) {
      facts.Raw(MessageJson(fact));
    }
    object.Raw("facts", facts.Take());
    session.io.out << object.Take() << "\n";
  } else if (refusal.empty()) {
    session.io.out << fmt::format("accepted: {} of {} ({})\n", what, MaskAddress(person.address),
                                  recipient);
  } else {
    session.io.out << fmt::format("rejected: {} of {}: {}\n", what, MaskAddress(person.address),
                                  refusal);
  }
  return refusal.empty() ? ExitCode::kOk : ExitCode::kConflict;
}

// The newest word on each (person, channel, class), in the order of the journal.
using ConsentKey = std::tuple<std::string, int, int>;
using OptOutKey = std::pair<std::string, int>;
struct Permissions {
  std::map<ConsentKey, v1::Fact> consents;
  std::map<OptOutKey, v1::Fact> opt_outs;
};

// Of the session's tenant (of all, if none is named); `token` empty: of everybody.
Result<Permissions> ReadPermissions(const Session& session, const std::string& token) {
  Permissions permissions;
  const auto visit = [&](std::int32_t, const runtime::ReleasedBatch& batch) -> Status {
    for (const auto& output : batch.outputs) {
      v1::Fact fact;
      const auto& value = output.record.value;
      if (!fact.ParseFromArray(value.data(), static_cast<int>(value.size())) ||
          fact.result() != v1::FACT_RESULT_ACCEPTED ||
          (!session.tenant.empty() && fact.tenant() != session.tenant)) {
        continue;
      }
      if (fact.has_consent() && (token.empty() || fact.consent().recipient_token() == token)) {
        const v1::ConsentFact& consent = fact.consent();
        permissions
            .consents[{consent.recipient_token(), consent.channel(), consent.message_class()}] =
            std::move(fact);
      } else if (fact.has_opt_out() &&
                 (token.empty() || fact.opt_out().recipient_token() == token)) {
        const v1::OptOutFact& opt_out = fact.opt_out();
        permissions.opt_outs[{opt_out.recipient_token(), opt_out.channel()}] = std::move(fact);
      }
    }
    return Status::Ok();
  };
  if (session.tenant.empty()) {
    ALERTSTREAM_RETURN_IF_ERROR(ForEachBatch(session, {Topic::kFacts}, visit));
  } else {
    ALERTSTREAM_RETURN_IF_ERROR(
        ForEachBatchOf(session, schemas::PartitionOf(session.tenant, session.identity.partitions),
                       {Topic::kFacts}, visit));
  }
  return permissions;
}

}  // namespace

Result<ExitCode> ChangeConsent(const Session& session, const ConsentOptions& options) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const Person person, ResolvePerson(session, options.address));
  v1::Envelope envelope = NewEnvelope(session, session.tenant, "consent.change");
  v1::ConsentChange* change = envelope.mutable_consent_change();
  change->mutable_address()->set_plain(person.address);
  change->set_address_kind(person.kind);
  change->set_channel(options.channel);
  change->set_message_class(options.message_class);
  change->set_status(options.status);
  change->set_source(options.source);
  if (!options.evidence.empty() || options.written) {
    change->mutable_evidence()->set_kind(options.evidence.empty() ? "operator" : options.evidence);
    change->mutable_evidence()->set_written(options.written);
  }
  return SubmitOne(session, Topic::kConsentChanges, std::move(envelope), person,
                   fmt::format("consent {} for {} messages on {}", Word(options.status),
                               Word(options.message_class), Word(options.channel)));
}

Result<ExitCode> ChangeOptOut(const Session& session, const OptOutOptions& options) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const Person person, ResolvePerson(session, options.address));
  v1::Envelope envelope = NewEnvelope(session, session.tenant, "optout.change");
  v1::OptOutChange* change = envelope.mutable_opt_out_change();
  change->mutable_address()->set_plain(person.address);
  change->set_address_kind(person.kind);
  change->set_channel(options.channel);
  change->set_status(options.status);
  change->set_by(v1::OPT_OUT_BY_OPERATOR);
  change->set_reason(options.reason);
  return SubmitOne(session, Topic::kOptOuts, std::move(envelope), person,
                   fmt::format("opt-out {} on {}", Word(options.status), Word(options.channel)));
}

namespace {

const std::vector<Column> kPermissionColumns = {{.key = "what"},
                                                {.key = "channel"},
                                                {.key = "message_class", .title = "CLASS"},
                                                {.key = "status"},
                                                {.key = "by", .title = "BY / SOURCE"},
                                                {.key = "at"},
                                                {.key = "written"},
                                                {.key = "position"}};

// The state knows what is in force, not the word of where a consent came from.
Result<ExitCode> ShowPastConsent(const Session& session, const Person& person,
                                 const PastOptions& options) {
  const auto partition = schemas::PartitionOf(session.tenant, session.identity.partitions);
  ALERTSTREAM_ASSIGN_OR_RETURN(const PastState past, OpenPast(session, partition, options));
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto state, RecipientThen(past, session.tenant, person.token));
  Table table(kPermissionColumns);
  for (const auto& opt_out : state.opt_outs()) {
    table.Add({{std::string("opt_out")},
               {Word(opt_out.channel())},
               {Absent{}},
               {Word(opt_out.status())},
               {Word(opt_out.by())},
               {FromMicros(opt_out.at_us())},
               {Absent{}},
               {PositionText(opt_out.source())}});
  }
  for (const auto& consent : state.consents()) {
    table.Add({{std::string("consent")},
               {Word(consent.channel())},
               {Word(consent.message_class())},
               {Word(consent.status())},
               {Absent{}},
               {FromMicros(consent.at_us())},
               {consent.written()},
               {PositionText(consent.source())}});
  }
  session.io.err << fmt::format(
      "{} of tenant {} is {}; as of {}, seq {}\n", MaskAddress(person.address), session.tenant,
      FormatId(IdKind::kRecipient, person.token),
      past.seq == 0 ? std::string("the beginning") : FormatRfc3339(past.now), past.seq);
  ALERTSTREAM_RETURN_IF_ERROR(Print(session.io, table));
  return ExitCode::kOk;
}

}  // namespace

Result<ExitCode> ShowConsent(const Session& session, const std::string& address,
                             const PastOptions& past) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const Person person, ResolvePerson(session, address));
  if (past.wanted()) {
    return ShowPastConsent(session, person, past);
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const Permissions permissions,
                               ReadPermissions(session, person.token));
  Table table(kPermissionColumns);
  for (const auto& [key, fact] : permissions.opt_outs) {
    const v1::OptOutFact& opt_out = fact.opt_out();
    table.Add(
        {{std::string("opt_out")},
         {Word(opt_out.channel())},
         {Absent{}},
         {Word(opt_out.status()),
          opt_out.status() == v1::OPT_OUT_STATUS_ACTIVE ? CellStyle::kBad : CellStyle::kPlain},
         {Word(opt_out.by())},
         {FromMicros(fact.at_us())},
         {Absent{}},
         {PositionText(fact.cause())}});
  }
  for (const auto& [key, fact] : permissions.consents) {
    const v1::ConsentFact& consent = fact.consent();
    table.Add(
        {{std::string("consent")},
         {Word(consent.channel())},
         {Word(consent.message_class())},
         {Word(consent.status()),
          consent.status() == v1::CONSENT_STATUS_GRANTED ? CellStyle::kGood : CellStyle::kBad},
         {consent.source()},
         {FromMicros(consent.at_us())},
         {consent.written()},
         {PositionText(fact.cause())}});
  }
  session.io.err << fmt::format("{} of tenant {} is {}\n", MaskAddress(person.address),
                                session.tenant, FormatId(IdKind::kRecipient, person.token));
  ALERTSTREAM_RETURN_IF_ERROR(Print(session.io, table));
  return ExitCode::kOk;
}

Result<ExitCode> ListOptOuts(const Session& session, std::size_t rows_max) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const Permissions permissions, ReadPermissions(session, ""));
  Table table({{.key = "tenant"},
               {.key = "recipient"},
               {.key = "channel"},
               {.key = "by"},
               {.key = "reason"},
               {.key = "at"},
               {.key = "position"}});
  for (const auto& [key, fact] : permissions.opt_outs) {
    const v1::OptOutFact& opt_out = fact.opt_out();
    if (opt_out.status() != v1::OPT_OUT_STATUS_ACTIVE) {
      continue;
    }
    table.Add({{fact.tenant()},
               {FormatId(IdKind::kRecipient, opt_out.recipient_token())},
               {Word(opt_out.channel())},
               {Word(opt_out.by())},
               {opt_out.reason()},
               {FromMicros(fact.at_us())},
               {PositionText(fact.cause())}});
  }
  ALERTSTREAM_RETURN_IF_ERROR(PrintList(session.io, std::move(table), rows_max));
  return ExitCode::kOk;
}

}  // namespace alertstream::cli
