#include "tests/support/read_model_fixture.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "processor/base/id.h"
#include "projections/migrations/migrations.h"
#include "schemas/envelope.pb.h"

namespace alertstream::projections {
namespace {

using runtime::StoryWriter;
using schemas::Topic;

void ExpectOk(const Status& status) {
  EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().message());
}

// As the story's own, but for its id.
void Sender(StoryWriter& writer, std::string_view tenant, std::string_view id, bool is_default) {
  v1::Envelope envelope;
  envelope.set_trust(v1::TRUST_SYSTEM);
  envelope.set_actor("story");
  auto* sender = envelope.mutable_account_change()->mutable_sender();
  sender->set_id(std::string(id));
  sender->set_provider("twilio");
  sender->set_account("AC1");
  sender->set_number("+254700000001");
  sender->set_is_default(is_default);
  sender->set_channel(v1::CHANNEL_SMS);
  writer.Put(Topic::kAccountChanges, envelope, tenant);
}

void Attempt(StoryWriter& writer, std::string_view tenant, const v1::NotificationCommand& command,
             v1::AttemptPhase phase, v1::AttemptClass result) {
  v1::Envelope envelope;
  envelope.set_trust(v1::TRUST_SYSTEM);
  auto* attempt = envelope.mutable_delivery_attempt();
  attempt->set_notification_id(FormatId(IdKind::kNotification, command.notification_id()));
  attempt->set_attempt(command.attempt());
  attempt->set_phase(phase);
  attempt->set_result(result);
  attempt->set_provider("twilio");
  attempt->set_account("AC1");
  attempt->set_at_us(command.decided_at_us() + 1000);
  if (result == v1::ATTEMPT_CLASS_ACCEPTED) {
    attempt->set_provider_message_id("SM1");
  } else if (phase == v1::ATTEMPT_PHASE_RESULT) {
    attempt->set_error_code("30001");
  }
  writer.Put(Topic::kDeliveryAttempts, envelope, tenant);
}

void Receipt(StoryWriter& writer, std::string_view tenant, const v1::NotificationCommand& command) {
  v1::Envelope envelope;
  envelope.set_trust(v1::TRUST_WEBHOOK);
  auto* receipt = envelope.mutable_delivery_receipt();
  receipt->set_notification_id(FormatId(IdKind::kNotification, command.notification_id()));
  receipt->set_provider("twilio");
  receipt->set_account("AC1");
  receipt->set_provider_message_id("SM1");
  receipt->set_status(v1::RECEIPT_STATUS_DELIVERED);
  receipt->set_provider_status("delivered");
  writer.Put(Topic::kDeliveryReceipts, envelope, tenant);
}

void WrittenConsent(StoryWriter& writer, std::string_view tenant, std::string_view phone) {
  v1::Envelope envelope;
  envelope.set_trust(v1::TRUST_SYSTEM);
  envelope.set_actor("usr_ann");
  auto* consent = envelope.mutable_consent_change();
  consent->mutable_address()->set_plain(std::string(phone));
  consent->set_address_kind(v1::ADDRESS_KIND_PHONE);
  consent->set_channel(v1::CHANNEL_SMS);
  consent->set_message_class(v1::MESSAGE_CLASS_MARKETING);
  consent->set_status(v1::CONSENT_STATUS_GRANTED);
  consent->set_source("web_form");
  auto* evidence = consent->mutable_evidence();
  evidence->set_kind("web_form");
  evidence->set_disclosure_version("2026-01");
  evidence->set_disclosure_sha256(std::string(32, '\x5a'));
  evidence->mutable_detail()->set_plain("https://shop.example/form");
  evidence->set_written(true);
  writer.Put(Topic::kConsentChanges, envelope, tenant);
}

// What was commanded for the tenant so far.
std::vector<v1::NotificationCommand> CommandsOf(log::EventLog& log, const StoryWriter& writer,
                                                std::string_view tenant) {
  const auto outputs = runtime::ReadOutputs(log, writer.identity().log_id, writer.HomeOf(tenant));
  EXPECT_TRUE(outputs.ok());
  std::vector<v1::NotificationCommand> commands;
  for (const auto& command : outputs.value().commands) {
    if (command.tenant() == tenant && command.kind() == v1::COMMAND_KIND_SEND) {
      commands.push_back(command);
    }
  }
  return commands;
}

void TellDeliveries(StoryWriter& writer, log::EventLog& log, runtime::Instance& instance,
                    std::string_view tenant) {
  const auto commands = CommandsOf(log, writer, tenant);
  for (std::size_t i = 0; i < commands.size(); ++i) {
    Attempt(writer, tenant, commands[i], v1::ATTEMPT_PHASE_STARTED, v1::ATTEMPT_CLASS_UNSPECIFIED);
    if (i % 2 == 0) {
      ExpectOk(instance.RunUntilQuiet());
    }
    Attempt(writer, tenant, commands[i], v1::ATTEMPT_PHASE_RESULT,
            i % 3 == 2 ? v1::ATTEMPT_CLASS_PERM_ADDRESS : v1::ATTEMPT_CLASS_ACCEPTED);
    if (i % 3 == 0) {
      Receipt(writer, tenant, commands[i]);
    }
  }
  ExpectOk(instance.RunUntilQuiet());
}

}  // namespace

Status MakeReadModelTables(sql::Session& session, const std::string& schema) {
  return migrations::RunFilesInto(session, migrations::ProgramMigrations(), "read_model", schema);
}

std::int64_t CountOf(sql::Database& database, const char* query) {
  auto session = database.Open({.role = "alertstream_projector"});
  EXPECT_TRUE(session.ok());
  const sql::Statement statement = {"tests.count", query};
  const auto rows = session.value()->Run(statement);
  EXPECT_TRUE(rows.ok()) << rows.error().message();
  return rows.ok() ? rows.value().Integer(0, 0) : -1;
}

std::string DifferencesOf(sql::Database& found, sql::Database& expected) {
  constexpr sql::Statement kSchema = {"tests.schema",
                                      "SELECT set_config('search_path', 'read_model', true)"};
  auto a = found.Open({.role = "alertstream_projector"});
  auto b = expected.Open({.role = "alertstream_projector"});
  EXPECT_TRUE(a.ok() && b.ok());
  for (auto* session : {a.value().get(), b.value().get()}) {
    ExpectOk(session->Begin({.read_only = true}));
    EXPECT_TRUE(session->Run(kSchema).ok());
  }
  const auto comparison = CompareTables(*a.value(), *b.value());
  EXPECT_TRUE(comparison.ok()) << comparison.error().message();
  std::string text;
  for (const TableDifference& difference : comparison.value().differences) {
    text += fmt::format("{}: {} {}\n", difference.table, difference.key, difference.what);
  }
  return text;
}

void TellShopDay(StoryWriter& writer, log::EventLog& log, runtime::Instance& instance,
                 std::string_view tenant) {
  writer.Shop(tenant);
  ExpectOk(instance.RunUntilQuiet());
  Sender(writer, tenant, "main", true);  // In force already.
  Sender(writer, tenant, "second", true);
  Sender(writer, tenant, "third", false);
  ExpectOk(instance.RunUntilQuiet());
  Sender(writer, tenant, "main", true);  // Unchanged, but for being the default again.
  writer.Trigger(tenant, "promo", [](v1::Trigger* trigger) {
    trigger->set_message_class(v1::MESSAGE_CLASS_MARKETING);
    auto* list = trigger->mutable_recipients()->mutable_list();
    list->add_addresses()->set_plain("+254700000011");
    list->add_addresses()->set_plain("+254700000012");
  });
  // Twice the same: the second changes nothing.
  writer.Trigger(tenant, "paid", [](v1::Trigger* trigger) { trigger->set_name("Paid"); });
  writer.Trigger(tenant, "paid", [](v1::Trigger* trigger) { trigger->set_name("Paid"); });
  ExpectOk(instance.RunUntilQuiet());
  writer.Trigger(tenant, "paid", [](v1::Trigger* trigger) { trigger->set_name("Is paid"); });
  writer.Trigger(tenant, "bad", [](v1::Trigger* trigger) { trigger->set_when("data.amount >"); });
  WrittenConsent(writer, tenant, "+254700000011");
  for (int i = 0; i < 6; ++i) {
    writer.Order(tenant, fmt::format("order-{}", i), fmt::format("+25470000002{}", i % 3));
    if (i % 2 == 1) {
      ExpectOk(instance.RunUntilQuiet());
    }
  }
  writer.Order(tenant, "order-0", "+254700000020");  // A duplicate.
  writer.Event(tenant, "order-x", "{broken");
  writer.Raw(Topic::kSiteEvents, tenant, "\x01not an envelope", writer.HomeOf(tenant));
  ExpectOk(instance.RunUntilQuiet());
  TellDeliveries(writer, log, instance, tenant);
  writer.Inbound(tenant, "STOP", "+254700000021");
  writer.Consent(tenant, v1::CONSENT_STATUS_REVOKED, "+254700000022");
  ExpectOk(instance.RunUntilQuiet());
  writer.Order(tenant, "order-after-stop", "+254700000021");
  writer.Inbound(tenant, "START", "+254700000021");
  writer.OptOut(tenant, "+254700000023");
  ExpectOk(instance.RunUntilQuiet());
}

}  // namespace alertstream::projections
