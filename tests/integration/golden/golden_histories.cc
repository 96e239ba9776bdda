#include "tests/integration/golden/golden_histories.h"

#include <span>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "processor/base/id.h"
#include "schemas/dead_letter_header.h"

namespace alertstream::runtime {
namespace {

using schemas::Topic;
using namespace std::chrono_literals;

constexpr LogDuration kTick = 7ms;

v1::Envelope EventEnvelope(std::string_view type, std::string_view id, std::string_view data) {
  v1::Envelope envelope;
  envelope.set_trust(v1::TRUST_SECRET);
  envelope.set_type(std::string(type));
  envelope.set_id(std::string(id));
  envelope.set_source("golden");
  envelope.mutable_site_event()->mutable_data()->set_plain(std::string(data));
  return envelope;
}

std::string PhoneOf(int n) { return fmt::format("+2547{:08}", 12'000'000 + n * 37); }

void AddRules(StoryWriter& writer, std::string_view tenant) {
  writer.Tenant(tenant);
  writer.Trigger(tenant, "large", [](v1::Trigger* trigger) {
    trigger->set_when("event.data.amount >= 100 && event.data.currency == \"KES\"");
    trigger->set_template_body("Paid {{data.amount}} {{data.currency}}");
    trigger->set_daily_cap(2);
  });
  writer.Trigger(tenant, "tagged", [](v1::Trigger* trigger) {
    trigger->set_when(
        "has(event.data.tags) && (\"vip\" in event.data.tags ? true : "
        "size(event.data.tags) > 2)");
    trigger->set_template_body("Ol\xc3\xa1 {{data.name}}");
    trigger->set_cooldown_us(60'000'000);
  });
  writer.Trigger(tenant, "desk", [](v1::Trigger* trigger) {
    trigger->set_when("event.data.amount > 900.5 || event.data.name.startsWith(\"x\")");
    trigger->mutable_recipients()->mutable_list()->add_addresses()->set_plain(PhoneOf(900));
    trigger->mutable_recipients()->mutable_list()->add_addresses()->set_plain(PhoneOf(901));
    trigger->set_template_body("Look: {{data.name}}");
  });
}

// Rules that change, and events of every kind of data.
Status TellRules(GoldenStage& stage) {
  StoryWriter& writer = stage.writer();
  AddRules(writer, "acme");
  for (int n = 0; n < 200; ++n) {
    const char* const tags[] = {"[\"vip\"]", "[]", "[\"a\",\"b\",\"c\"]", "7"};
    std::string data =
        fmt::format(R"({{"phone":"{}","amount":{},"currency":"{}","name":"{}"{}}})",
                    n % 11 == 0 ? "nonsense" : PhoneOf(n % 23),
                    n % 13 == 0 ? fmt::format("{}.25", n * 5) : std::to_string(n * 5),
                    n % 3 == 0 ? "KES" : "EUR", n % 17 == 0 ? "x-ray" : "Jo",
                    n % 2 == 0 ? fmt::format(R"(,"tags":{})", tags[n / 2 % 4]) : "");
    if (n % 29 == 0) {
      data = "{\"amount\":1,\"amount\":2}";
    }
    if (n % 10 == 3) {
      writer.Raw(Topic::kSiteEvents, "acme",
                 fmt::format(R"({{"specversion":"1.0","id":"c{}","source":"golden","type":"order",)"
                             R"("data":{}}})",
                             n, data),
                 writer.HomeOf("acme"));
    } else {
      writer.Put(Topic::kSiteEvents, EventEnvelope("order", fmt::format("e{}", n), data), "acme");
    }
    if (n == 90) {
      writer.Trigger("acme", "large", [](v1::Trigger* trigger) {
        trigger->set_when("event.data.amount >= 600");
        trigger->set_template_body("{{#data.name}}Big one{{/data.name}}");
      });
      writer.Trigger("acme", "broken", [](v1::Trigger* trigger) { trigger->set_when("1 +"); });
    }
    stage.Pause(kTick);
    if (n % 20 == 19) {
      ALERTSTREAM_RETURN_IF_ERROR(stage.Decide());
    }
  }
  return Status::Ok();
}

// Who may be told: consents, opt-outs, STOP; events twice, changed, and late.
Status TellPermissions(GoldenStage& stage) {
  StoryWriter& writer = stage.writer();
  writer.Tenant("acme");
  writer.Trigger("acme", "alert");
  writer.Trigger("acme", "news", [](v1::Trigger* trigger) {
    trigger->set_message_class(v1::MESSAGE_CLASS_INFORMATIONAL);
  });
  const char* const words[] = {"STOP", "stop please", "Help", "START", "arr\xc3\xaat", "hello"};
  for (int n = 0; n < 60; ++n) {
    const std::string phone = PhoneOf(n % 6);
    if (n % 7 == 1) {
      writer.Consent("acme", n % 2 == 0 ? v1::CONSENT_STATUS_REVOKED : v1::CONSENT_STATUS_GRANTED,
                     phone);
    }
    if (n % 9 == 4) {
      writer.Inbound("acme", words[n / 9 % 6], phone);
    }
    if (n % 15 == 8) {
      writer.OptOut("acme", phone);
    }
    writer.Order("acme", fmt::format("o{}", n % 5 == 4 ? n - 1 : n), PhoneOf((n - n % 5 / 4) % 6));
    if (n % 12 == 6) {
      writer.Order("acme", fmt::format("o{}", n), PhoneOf(n + 1));  // The id with another body.
      v1::Envelope late = EventEnvelope("order", "", R"({"phone":"+254712000000","amount":1})");
      late.set_event_time_us(ToMicros(stage.now() - std::chrono::hours{48}));
      writer.Put(Topic::kSiteEvents, late, "acme");
    }
    stage.Pause(kTick);
    if (n % 6 == 5) {
      ALERTSTREAM_RETURN_IF_ERROR(stage.Decide());
    }
  }
  return Status::Ok();
}

// A fan-out over several batches, records in the wrong partition, dead letters, and owners that
// die.
Status TellFanOut(GoldenStage& stage) {
  StoryWriter& writer = stage.writer();
  const std::int32_t home = writer.HomeOf("acme");
  const std::int32_t away = 1 - home;
  writer.Tenant("acme");
  constexpr int kTriggers = 11;
  for (int n = 0; n < kTriggers; ++n) {
    writer.Trigger("acme", fmt::format("t{}", n), [](v1::Trigger* trigger) {
      trigger->mutable_recipients()->set_field("data.phones");
      trigger->set_template_body("To all");
    });
  }
  std::string phones;
  for (int n = 0; n < 1000; ++n) {
    phones += fmt::format("{}\"{}\"", n == 0 ? "" : ",", PhoneOf(n));
  }
  ALERTSTREAM_RETURN_IF_ERROR(stage.Decide());
  const std::string data = fmt::format(R"({{"phones":[{}]}})", phones);
  writer.Put(Topic::kSiteEvents, EventEnvelope("order", "big", data), "acme");
  for (int n = 0; n < 10; ++n) {
    const std::string one = fmt::format(R"({{"phones":["{}"]}})", PhoneOf(2000 + n));
    writer.Put(Topic::kSiteEvents, EventEnvelope("order", fmt::format("s{}", n), one), "acme",
               n % 3 == 0 ? away : home);
    stage.Pause(kTick);
  }
  ALERTSTREAM_RETURN_IF_ERROR(stage.Decide());
  ALERTSTREAM_RETURN_IF_ERROR(stage.Restart());
  writer.Raw(Topic::kSiteEvents, "Not A Tenant", "{}", away);
  writer.Raw(Topic::kSiteEvents, "acme", std::string("\xff\x00\x01", 3), home);
  writer.Raw(Topic::kDeliveryReceipts, "acme", "junk", home);
  writer.Put(Topic::kSiteEvents, EventEnvelope("order", "u", "{}"), "unknown-tenant");
  writer.OptOut("acme", PhoneOf(2001));
  ALERTSTREAM_RETURN_IF_ERROR(stage.Decide());
  ALERTSTREAM_RETURN_IF_ERROR(stage.Restart());
  ALERTSTREAM_RETURN_IF_ERROR(stage.Restart());
  const std::string last = fmt::format(R"({{"phones":["{}"]}})", PhoneOf(2001));
  writer.Put(Topic::kSiteEvents, EventEnvelope("order", "last", last), "acme");
  return stage.Decide();
}

void AddAttempt(StoryWriter& writer, const v1::NotificationCommand& command, v1::AttemptPhase phase,
                v1::AttemptClass result = v1::ATTEMPT_CLASS_UNSPECIFIED) {
  v1::Envelope envelope;
  envelope.set_trust(v1::TRUST_SYSTEM);
  envelope.set_type("delivery.attempt");
  auto* attempt = envelope.mutable_delivery_attempt();
  attempt->set_notification_id(FormatId(IdKind::kNotification, command.notification_id()));
  attempt->set_attempt(command.attempt());
  attempt->set_phase(phase);
  attempt->set_result(result);
  attempt->set_provider(command.provider());
  attempt->set_account(command.account());
  if (result == v1::ATTEMPT_CLASS_THROTTLE) {
    attempt->set_retry_after_us(1'500'000);
  }
  if (phase == v1::ATTEMPT_PHASE_RESULT && command.has_body()) {
    auto* content = attempt->mutable_content();
    *content->mutable_to() = command.to();
    *content->mutable_body() = command.body();
    content->set_sender_id(command.sender_id());
    content->set_from_number(command.from_number());
    content->set_segments(command.segments());
    content->set_trigger_version(command.trigger_version());
  }
  writer.Put(Topic::kDeliveryAttempts, envelope, command.tenant());
}

void AddReceipt(StoryWriter& writer, const v1::NotificationCommand& command,
                v1::ReceiptStatus status, std::string_view tenant) {
  v1::Envelope envelope;
  envelope.set_trust(v1::TRUST_WEBHOOK);
  envelope.set_type("delivery.receipt");
  auto* receipt = envelope.mutable_delivery_receipt();
  receipt->set_notification_id(FormatId(IdKind::kNotification, command.notification_id()));
  receipt->set_status(status);
  receipt->set_provider("twilio");
  writer.Put(Topic::kDeliveryReceipts, envelope, tenant);
}

// What a dispatcher and a provider say about the commands: every class, phase and receipt in turn.
void AnswerAll(GoldenStage& stage, const std::vector<v1::NotificationCommand>& commands) {
  constexpr v1::AttemptClass kInTurn[] = {
      v1::ATTEMPT_CLASS_RETRY,     v1::ATTEMPT_CLASS_ACCEPTED,     v1::ATTEMPT_CLASS_AMBIGUOUS,
      v1::ATTEMPT_CLASS_THROTTLE,  v1::ATTEMPT_CLASS_PERM_ADDRESS, v1::ATTEMPT_CLASS_SUSPEND,
      v1::ATTEMPT_CLASS_AMBIGUOUS, v1::ATTEMPT_CLASS_WINDOW,       v1::ATTEMPT_CLASS_RETRY,
      v1::ATTEMPT_CLASS_OPT_OUT,   v1::ATTEMPT_CLASS_PERM_REQUEST};
  StoryWriter& writer = stage.writer();
  for (std::size_t n = 0; n < commands.size(); ++n) {
    const auto& command = commands[n];
    if (command.kind() == v1::COMMAND_KIND_CANCEL) {
      AddAttempt(writer, command, v1::ATTEMPT_PHASE_CANCELLED);
      continue;
    }
    if (n % 13 == 12) {
      AddAttempt(writer, command, v1::ATTEMPT_PHASE_EXPIRED);
      continue;
    }
    if (n % 17 == 16) {
      continue;  // Nothing is heard of it.
    }
    AddAttempt(writer, command, v1::ATTEMPT_PHASE_STARTED);
    if (n % 5 == 1) {
      AddReceipt(writer, command, v1::RECEIPT_STATUS_SENT, command.tenant());
    }
    AddAttempt(writer, command, v1::ATTEMPT_PHASE_RESULT, kInTurn[n % std::size(kInTurn)]);
    if (n % 3 == 0) {
      AddAttempt(writer, command, v1::ATTEMPT_PHASE_RESULT, v1::ATTEMPT_CLASS_AMBIGUOUS);
    }
    if (n % 7 == 2) {
      AddReceipt(writer, command, v1::RECEIPT_STATUS_DELIVERED, command.tenant());
      AddReceipt(writer, command, v1::RECEIPT_STATUS_QUEUED, command.tenant());
    }
    stage.Pause(kTick);
  }
}

// Somebody told outright: by a trigger's message, by texts of every class, and by mistake.
v1::Envelope DirectEnvelope(int n) {
  v1::Envelope envelope =
      EventEnvelope("notification.request", fmt::format("d{}", n % 9), R"({"amount":12})");
  auto* direct = envelope.mutable_site_event()->mutable_direct();
  direct->mutable_to()->set_plain(n % 7 == 6 ? "nonsense" : PhoneOf(n % 5));
  if (n % 4 == 0) {
    direct->set_trigger_id(n == 8 ? "gone" : "alert");
    return envelope;
  }
  direct->set_channel(v1::CHANNEL_SMS);
  direct->set_message_class(n % 3 == 0   ? v1::MESSAGE_CLASS_INFORMATIONAL
                            : n % 3 == 1 ? v1::MESSAGE_CLASS_TRANSACTIONAL
                                         : v1::MESSAGE_CLASS_MARKETING);
  direct->set_template_body(n == 5 ? "{{data.amount" : "Paid {{data.amount}}");
  return envelope;
}

// Attempts of every class, their retries, receipts, and people and tenants that forbid what is out.
Status TellDeliveries(GoldenStage& stage) {
  StoryWriter& writer = stage.writer();
  writer.Tenant("acme");
  v1::Envelope tenant = EventEnvelope("", "", "");
  tenant.mutable_account_change()->mutable_tenant()->set_status(v1::TENANT_STATUS_ACTIVE);
  tenant.mutable_account_change()->mutable_tenant()->set_unknown_wait_us(1'000'000);
  writer.Put(Topic::kAccountChanges, tenant, "acme");
  writer.Trigger("acme", "alert");
  writer.Trigger("acme", "news", [](v1::Trigger* trigger) {
    trigger->set_message_class(v1::MESSAGE_CLASS_INFORMATIONAL);
  });
  writer.Trigger("acme", "nobody", [](v1::Trigger* trigger) { trigger->set_sender("gone"); });
  for (int n = 0; n < 30; ++n) {
    if (n % 4 == 0) {
      writer.Consent("acme", v1::CONSENT_STATUS_GRANTED, PhoneOf(n % 12));
    }
    writer.Order("acme", fmt::format("o{}", n), PhoneOf(n % 12));
    stage.Pause(kTick);
  }
  for (int n = 0; n < 12; ++n) {
    writer.Put(Topic::kSiteEvents, DirectEnvelope(n), "acme");
    stage.Pause(kTick);
  }
  const char* const words[] = {"STOP", "HELP", "STOP", "START"};
  for (int round = 0; round < 4; ++round) {
    ALERTSTREAM_RETURN_IF_ERROR(stage.Decide());
    ALERTSTREAM_ASSIGN_OR_RETURN(const auto commands, stage.NewCommands());
    AnswerAll(stage, commands);
    ALERTSTREAM_RETURN_IF_ERROR(stage.Decide());
    writer.Inbound("acme", words[round], PhoneOf(round));
    writer.OptOut("acme", PhoneOf(11 - round));
    writer.Consent("acme", v1::CONSENT_STATUS_REVOKED, PhoneOf(5 + round % 2));
    ALERTSTREAM_RETURN_IF_ERROR(stage.Decide());
    ALERTSTREAM_RETURN_IF_ERROR(stage.Restart());
    stage.Pause(2s);
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto commands, stage.NewCommands());
  for (const auto& command : commands) {
    AddReceipt(writer, command, v1::RECEIPT_STATUS_FAILED, schemas::kUnroutedKey);
  }
  tenant.mutable_account_change()->mutable_tenant()->set_status(v1::TENANT_STATUS_SUSPENDED);
  writer.Put(Topic::kAccountChanges, tenant, "acme");
  stage.Pause(3s);
  return stage.Decide();
}

// What operators do about dead letters, and about notifications that never arrived.
class Operator {
 public:
  explicit Operator(StoryWriter& writer) : writer_(writer) {}

  void Retry(const v1::DeadLetter& letter, bool forced = false) {
    v1::RawRecord raw;
    raw.ParseFromString(letter.original().plain());
    v1::DeadLetterAction action = ActionOn(letter);
    action.set_kind(v1::DEAD_LETTER_ACTION_KIND_RETRY);
    action.set_forced(forced);
    action.set_actor("golden");
    action.set_reason("once more");
    const std::string value = schemas::EncodeRetry(action);
    const log::Header header{schemas::kDeadLetterHeader, value};
    writer_.Raw(static_cast<Topic>(letter.record().topic()), raw.key(), raw.value(),
                static_cast<std::int32_t>(letter.record().partition()), std::span(&header, 1));
  }

  void Change(const v1::DeadLetter& letter, v1::DeadLetterActionKind kind) {
    v1::Envelope envelope;
    envelope.set_trust(v1::TRUST_SYSTEM);
    envelope.set_actor("golden");
    envelope.mutable_account_change()->set_reason("enough");
    v1::DeadLetterAction action = ActionOn(letter);
    action.set_kind(kind);
    *envelope.mutable_account_change()->mutable_dead_letter_action() = action;
    writer_.Put(Topic::kAccountChanges, envelope,
                letter.tenant().empty() ? schemas::kLogKey : std::string_view(letter.tenant()),
                static_cast<std::int32_t>(letter.record().partition()));
  }

  void AskAgain(const v1::NotificationCommand& command, bool forced) {
    v1::Envelope envelope;
    envelope.set_trust(v1::TRUST_SYSTEM);
    envelope.set_type("notification.retry");
    envelope.set_actor("golden");
    auto* direct = envelope.mutable_site_event()->mutable_direct();
    *direct->mutable_to() = command.to();
    auto* retry = direct->mutable_retry();
    retry->set_notification_id(FormatId(IdKind::kNotification, command.notification_id()));
    *retry->mutable_body() = command.body();
    retry->set_sender_id(command.sender_id());
    retry->set_forced(forced);
    writer_.Put(Topic::kSiteEvents, envelope, command.tenant());
  }

 private:
  static v1::DeadLetterAction ActionOn(const v1::DeadLetter& letter) {
    v1::DeadLetterAction action;
    action.set_id(letter.id());
    *action.mutable_record() = letter.record();
    return action;
  }
  StoryWriter& writer_;
};

Status TellDeadLetters(GoldenStage& stage) {
  StoryWriter& writer = stage.writer();
  Operator person(writer);
  writer.Tenant("acme");
  writer.Trigger("acme", "alert");
  for (int n = 0; n < 12; ++n) {
    v1::Envelope envelope = EventEnvelope(
        "order", fmt::format("s{}", n), fmt::format(R"({{"phone":"{}","amount":1}})", PhoneOf(n)));
    envelope.set_site("later");
    writer.Put(Topic::kSiteEvents, envelope, "acme");
    stage.Pause(kTick);
  }
  writer.Raw(Topic::kOptOuts, "acme", "junk", 0);
  writer.Raw(Topic::kSiteEvents, "Not A Tenant", "junk", 0);
  // What somebody says to a tenant that does not exist yet, and takes back before it is tried
  // again.
  writer.Inbound("later", "START", PhoneOf(60));
  writer.Consent("later", v1::CONSENT_STATUS_GRANTED, PhoneOf(61));
  writer.Inbound("later", "STOP", PhoneOf(62));
  writer.Order("acme", "fine", PhoneOf(50));
  ALERTSTREAM_RETURN_IF_ERROR(stage.Decide());
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto commands, stage.NewCommands());
  for (const auto& command : commands) {
    AddAttempt(writer, command, v1::ATTEMPT_PHASE_RESULT, v1::ATTEMPT_CLASS_PERM_REQUEST);
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto first, stage.DeadLetters());
  for (std::size_t n = 0; n < first.size(); ++n) {
    if (n % 4 != 3) {
      person.Retry(first[n]);
    } else {
      person.Change(first[n], v1::DEAD_LETTER_ACTION_KIND_DROP);
    }
  }
  ALERTSTREAM_RETURN_IF_ERROR(stage.Decide());
  v1::Envelope site;
  site.set_trust(v1::TRUST_SYSTEM);
  site.mutable_account_change()->mutable_site()->set_id("later");
  site.mutable_account_change()->mutable_site()->set_status(v1::SITE_STATUS_ACTIVE);
  writer.Put(Topic::kAccountChanges, site, "acme");
  writer.Tenant("later");
  writer.Trigger("later", "alert");
  writer.Inbound("later", "STOP", PhoneOf(60));
  writer.Consent("later", v1::CONSENT_STATUS_REVOKED, PhoneOf(61));
  ALERTSTREAM_RETURN_IF_ERROR(stage.Decide());
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto all, stage.DeadLetters());
  for (std::size_t n = 0; n < all.size(); ++n) {
    person.Retry(all[n], n % 3 == 0);
    if (n % 5 == 0) {
      person.Change(all[n], v1::DEAD_LETTER_ACTION_KIND_PURGE);
      person.Retry(all[n], true);
    }
    stage.Pause(kTick);
  }
  for (const auto& command : commands) {
    person.AskAgain(command, false);
    person.AskAgain(command, false);
    person.AskAgain(command, true);
  }
  ALERTSTREAM_RETURN_IF_ERROR(stage.Decide());
  for (int n = 60; n < 63; ++n) {
    writer.Order("later", fmt::format("late{}", n), PhoneOf(n));
  }
  ALERTSTREAM_RETURN_IF_ERROR(stage.Decide());
  return stage.Restart();
}

}  // namespace

Result<std::vector<v1::DeadLetter>> GoldenStage::DeadLetters() {
  ALERTSTREAM_ASSIGN_OR_RETURN(Outputs outputs, ReadOutputs(log_, writer_.identity().log_id));
  return outputs.dead_letters;
}

Result<std::vector<v1::NotificationCommand>> GoldenStage::NewCommands() {
  ALERTSTREAM_ASSIGN_OR_RETURN(Outputs outputs, ReadOutputs(log_, writer_.identity().log_id));
  std::vector<v1::NotificationCommand> commands(
      outputs.commands.begin() + static_cast<std::ptrdiff_t>(commands_seen_),
      outputs.commands.end());
  commands_seen_ = outputs.commands.size();
  return commands;
}

GoldenStage::GoldenStage(log::EventLog& log, Clock& clock, std::int32_t partitions,
                         std::function<void(LogDuration)> pause)
    : log_(log), clock_(clock), pause_(std::move(pause)), writer_(log, partitions) {
  for (std::int32_t p = 0; p < partitions; ++p) {
    stores_.push_back(std::make_unique<state::MemoryStore>());
  }
}

Status GoldenStage::Restart() {
  owners_.clear();
  const auto partitions = static_cast<std::int32_t>(stores_.size());
  for (std::int32_t p = 0; p < partitions; ++p) {
    ALERTSTREAM_ASSIGN_OR_RETURN(
        auto owner,
        Instance::Start(
            log_, clock_, writer_.identity().log_id, *stores_[static_cast<std::size_t>(p)],
            {.partition = p, .partitions = partitions, .task = {.instance = "golden"}}));
    owners_.push_back(std::move(owner));
  }
  return Status::Ok();
}

Status GoldenStage::Decide() {
  if (owners_.empty()) {
    ALERTSTREAM_RETURN_IF_ERROR(Restart());
  }
  // Twice: what the first round moves to another partition is decided in the second.
  for (int round = 0; round < 2; ++round) {
    for (std::size_t p = 0; p < owners_.size(); ++p) {
      std::vector<log::TopicPartition> inputs;
      inputs.reserve(schemas::kInputTopicCount);
      for (const Topic topic : schemas::kInputTopics) {
        inputs.push_back({topic, static_cast<std::int32_t>(p)});
      }
      ALERTSTREAM_ASSIGN_OR_RETURN(const auto ends,
                                   log_.Ends(inputs, log::EndKind::kStable, kStoryTimeout));
      const auto deadline = SystemClock().SinceBoot() + kStoryTimeout;
      for (bool drained = false; !drained;) {
        ALERTSTREAM_RETURN_IF_ERROR(owners_[p]->RunUntilQuiet());
        const auto passed = owners_[p]->task().passed();
        drained = owners_[p]->task().idle();
        for (std::size_t i = 0; i < passed.size(); ++i) {
          drained = drained && passed[i] >= ends[i];
        }
        if (!drained && SystemClock().SinceBoot() > deadline) {
          return Error(ErrorCode::kUnavailable, "the golden history is not decided in time");
        }
        if (!drained) {
          SystemClock().SleepFor(std::chrono::milliseconds(5));
        }
      }
    }
  }
  return Status::Ok();
}

const std::vector<GoldenHistory>& GoldenHistories() {
  static const std::vector<GoldenHistory> histories = {
      {"rules", 1, true, TellRules},
      {"permissions", 1, true, TellPermissions},
      {"fan_out", 2, false, TellFanOut},
      {"deliveries", 1, true, TellDeliveries},
      {"dead_letters", 1, true, TellDeadLetters},
  };
  return histories;
}

}  // namespace alertstream::runtime
