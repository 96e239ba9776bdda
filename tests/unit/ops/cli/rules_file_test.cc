#include "ops/cli/rules_file.h"

#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/ops/cli/scratch_directory.h"

namespace alertstream::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr std::string_view kAcme =
    "kind: tenant\n"
    "id: acme\n"
    "plan: starter\n"
    "---\n"
    "kind: plan\n"
    "id: starter\n"
    "sends_per_month_max: 5000\n"
    "---\n"
    "kind: trigger\n"
    "id: failed\n"
    "name: \"Failed payment\"\n"
    "event_type: payment.failed\n"
    "when: event.data.amount >= 1000\n"
    "recipients: {field: data.phone}\n"
    "channel: sms\n"
    "sender: main\n"
    "template:\n"
    "  body: \"Payment of {{data.amount}} failed\"\n"
    "message_class: transactional\n"
    "cooldown: 10m\n"
    "daily_cap: 3\n"
    "max_age: 24h\n"
    "---\n"
    "kind: site\n"
    "id: shop.example.com\n"
    "status: disabled\n"
    "---\n"
    "kind: sender\n"
    "id: main\n"
    "provider: twilio\n"
    "account: AC1\n"
    "number: \"+1 (415) 555-2671\"\n"
    "default: true\n";

// "acme/trigger/failed" for each change, in order.
std::vector<std::string> Names(const RuleSet& set) {
  std::vector<std::string> names;
  for (const RuleChange& change : set.changes) {
    names.push_back(change.tenant + "/" + change.kind + "/" + change.id);
  }
  return names;
}

struct Outcome {
  std::vector<std::string> names;
  std::vector<std::string> problems;
};

Outcome Read(const std::vector<RuleSource>& sources, std::string_view default_tenant = "") {
  std::vector<RuleProblem> problems;
  const auto set = ReadRules(sources, default_tenant, &problems);
  Outcome outcome;
  for (const RuleProblem& problem : problems) {
    outcome.problems.push_back(FormatRuleProblem(problem));
  }
  EXPECT_EQ(set.ok(), problems.empty());
  if (set.ok()) {
    outcome.names = Names(set.value());
  } else {
    EXPECT_EQ(set.error().code(), ErrorCode::kInvalid);
    EXPECT_EQ(set.error().message(), outcome.problems.at(0));
  }
  return outcome;
}

Outcome ReadText(std::string_view text, std::string_view default_tenant = "acme") {
  return Read({{.file = "r.yaml", .text = std::string(text)}}, default_tenant);
}

// A valid trigger with one line more, or with `line` instead of the one that begins with `instead`.
std::string TriggerWith(std::string_view line, std::string_view instead = "") {
  constexpr std::string_view kLines[] = {
      "kind: trigger",
      "id: t",
      "event_type: a.b",
      "recipients: {field: data.phone}",
      "channel: sms",
      "template: {body: Hello}",
      "message_class: transactional",
  };
  std::string text;
  for (const std::string_view original : kLines) {
    const bool replaced = !instead.empty() && original.starts_with(instead);
    text.append(replaced ? line : original).append("\n");
  }
  return instead.empty() ? text.append(line).append("\n") : text;
}

TEST(RulesFileTest, ReadsEveryKindInTheOrderOfApplication) {
  std::vector<RuleProblem> problems;
  const auto set = ReadRules({{.file = "a.yaml", .text = std::string(kAcme)}}, "", &problems);
  ASSERT_TRUE(set.ok()) << set.error().message();
  const auto& changes = set.value().changes;
  EXPECT_THAT(Names(set.value()),
              ElementsAre("acme/tenant/acme", "acme/plan/starter", "acme/site/shop.example.com",
                          "acme/sender/main", "acme/trigger/failed"));
  EXPECT_EQ(changes[4].line, 9);
  EXPECT_EQ(changes[4].file, "a.yaml");

  const v1::Envelope& envelope = changes[4].envelope;
  EXPECT_EQ(envelope.tenant(), "acme");
  EXPECT_EQ(envelope.routing_key(), "acme");
  EXPECT_EQ(envelope.type(), "account.trigger");
  EXPECT_EQ(envelope.trust(), v1::TRUST_SYSTEM);
  EXPECT_EQ(envelope.schema_version(), 1U);
  const v1::Trigger& trigger = envelope.account_change().trigger();
  EXPECT_EQ(trigger.name(), "Failed payment");
  EXPECT_EQ(trigger.event_type(), "payment.failed");
  EXPECT_EQ(trigger.when(), "event.data.amount >= 1000");
  EXPECT_EQ(trigger.recipients().field(), "data.phone");
  EXPECT_EQ(trigger.channel(), v1::CHANNEL_SMS);
  EXPECT_EQ(trigger.sender(), "main");
  EXPECT_EQ(trigger.template_body(), "Payment of {{data.amount}} failed");
  EXPECT_EQ(trigger.message_class(), v1::MESSAGE_CLASS_TRANSACTIONAL);
  EXPECT_EQ(trigger.cooldown_us(), 600'000'000);
  EXPECT_EQ(trigger.daily_cap(), 3U);
  EXPECT_EQ(trigger.max_age_us(), 86'400'000'000);
  EXPECT_FALSE(trigger.allow_public());
  EXPECT_TRUE(trigger.enabled());

  EXPECT_EQ(changes[0].envelope.account_change().tenant().status(), v1::TENANT_STATUS_ACTIVE);
  EXPECT_EQ(changes[0].envelope.account_change().tenant().plan(), "starter");
  EXPECT_EQ(changes[1].envelope.account_change().plan().sends_per_month_max(), 5000);
  EXPECT_EQ(changes[2].envelope.account_change().site().status(), v1::SITE_STATUS_DISABLED);
  const v1::Sender& sender = changes[3].envelope.account_change().sender();
  EXPECT_EQ(sender.number(), "+14155552671");
  EXPECT_TRUE(sender.is_default());
}

TEST(RulesFileTest, JsonIsReadLikeYamlAloneOrAsAList) {
  const std::string tenant = R"({"kind": "tenant", "id": "acme",
    "stop_reply": "Bye \ud83d\udc4b \u00e9 \\ud83d", "unknown_wait": "15m"})";
  std::vector<RuleProblem> problems;
  const auto one = ReadRules({{.file = "a.json", .text = tenant}}, "", &problems);
  ASSERT_TRUE(one.ok()) << one.error().message();
  const v1::Tenant& record = one.value().changes.at(0).envelope.account_change().tenant();
  EXPECT_EQ(record.stop_reply(), "Bye \xF0\x9F\x91\x8B \xC3\xA9 \\ud83d");
  EXPECT_EQ(record.unknown_wait_us(), 900'000'000);
  const std::string list = "[" + tenant + R"(,{"kind":"plan","id":"p","sends_per_month_max":0}])";
  EXPECT_THAT(Read({{.file = "a.json", .text = list}}).names,
              ElementsAre("acme/tenant/acme", "acme/plan/p"));
}

TEST(RulesFileTest, AnEntityWithoutTenantFindsItsOwner) {
  const std::string site = "kind: site\nid: s\n";
  const std::string tenants = "kind: tenant\nid: b\nplan: p\n---\nkind: tenant\nid: a\nplan: p\n";
  EXPECT_THAT(ReadText(site, "x").names, ElementsAre("x/site/s"));
  EXPECT_THAT(ReadText(site + "tenant: own\n", "x").names, ElementsAre("own/site/s"));
  EXPECT_THAT(ReadText("kind: tenant\nid: a\n---\n" + site, "").names,
              ElementsAre("a/tenant/a", "a/site/s"));
  EXPECT_THAT(ReadText(site, "").problems,
              ElementsAre("r.yaml:1:1: tenant: missing: the set defines no tenant, and none was "
                          "given by --tenant"));
  EXPECT_THAT(ReadText(tenants + "---\n" + site, "").problems,
              ElementsAre(EndsWith("tenant: missing: the set defines several tenants")));
  // A plan goes to every tenant that names it.
  EXPECT_THAT(ReadText(tenants + "---\nkind: plan\nid: p\nsends_per_month_max: 1\n", "").names,
              ElementsAre("b/tenant/b", "a/tenant/a", "a/plan/p", "b/plan/p"));
}

TEST(RulesFileTest, RecipientsMayBeAListOfAddresses) {
  std::vector<RuleProblem> problems;
  const std::string text = TriggerWith(
      "recipients:\n  list:\n    - \"+254 700 000 001\"\n    - '0014155552671'", "recipients");
  const auto set = ReadRules({{.file = "r.yaml", .text = text}}, "acme", &problems);
  ASSERT_TRUE(set.ok()) << set.error().message();
  const auto& list =
      set.value().changes.at(0).envelope.account_change().trigger().recipients().list();
  ASSERT_EQ(list.addresses_size(), 2);
  EXPECT_EQ(list.addresses(0).plain(), "+254700000001");
  EXPECT_EQ(list.addresses(1).plain(), "+14155552671");
}

TEST(RulesFileTest, AliasesShareTextWithoutCopies) {
  EXPECT_THAT(ReadText("- kind: site\n  id: &name s\n- kind: sender\n  id: *name\n"
                       "  provider: fake\n  number: ACME\n")
                  .names,
              ElementsAre("acme/site/s", "acme/sender/s"));
}

TEST(RulesFileTest, MistakesInTriggersAreNamedWithPlaceFieldAndExpectation) {
  struct Case {
    std::string_view line;
    std::string_view instead;
    std::string_view problem;
  };
  for (const Case& c : {
           Case{"wen: \"true\"", "", "r.yaml:8:1: wen: no such field; did you mean 'when'?"},
           Case{"colour: red", "", "r.yaml:8:1: colour: no such field"},
           Case{"id: other", "", "r.yaml:8:1: id: given twice, first in line 2"},
           Case{"kind: triger", "kind",
                "1:7: kind: expected one of tenant, plan, site, sender, "
                "trigger; did you mean 'trigger'?"},
           Case{"", "kind", "r.yaml:2:1: kind: missing"},
           Case{"", "id", "r.yaml:1:1: id: missing"},
           Case{"id: Failed!", "id", "r.yaml:2:5: id: expected an id of a to z, 0 to 9, _ and -"},
           Case{"id: 12", "id", "id: expected a text; what looks like a number or a boolean needs"},
           Case{"id: yes", "id", "id: expected a text; what looks like a number or a boolean"},
           Case{"id: 1e3", "id", "id: expected a text; what looks like a number or a boolean"},
           Case{"id:", "id", "id: expected a text, found nothing"},
           Case{"id: ''", "id", "id: expected a text that is not empty"},
           Case{"id: [a]", "id", "id: expected a text, found a list"},
           Case{"", "event_type", "event_type: missing"},
           Case{"event_type: a b", "event_type", "event_type: expected letters, digits and"},
           Case{"when: event.data.a >=", "", "r.yaml:8:7: when: line 1, column"},
           Case{"when: true", "", "when: expected a text; what looks like"},
           Case{"when: {a: b}", "", "when: expected a text, found a map"},
           Case{"", "channel", "channel: missing"},
           Case{"channel: fax", "channel",
                "channel: expected one of sms, whatsapp, email, push, voice"},
           Case{"channel: SMS", "channel", "did you mean 'sms'?"},
           Case{"", "recipients", "recipients: missing"},
           Case{"recipients: data.phone", "recipients",
                "r.yaml:4:13: recipients: expected a map of fields, found a single value"},
           Case{"recipients: {}", "recipients", "recipients: expected either field or list"},
           Case{"recipients: {field: data.a, list: ['+14155552671']}", "recipients",
                "recipients: expected either field or list"},
           Case{"recipients: {fields: data.a}", "recipients",
                "recipients.fields: no such field; did you mean 'field'?"},
           Case{"recipients: {field: phone}", "recipients",
                "recipients.field: expected a path below the event's data, such as data.phone"},
           Case{"recipients: {field: data..a}", "recipients", "recipients.field: expected a path"},
           Case{"recipients: {list: []}", "recipients",
                "recipients.list: expected a list of 1 to 1000 addresses"},
           Case{"recipients: {list: '+14155552671'}", "recipients",
                "recipients.list: expected a list of 1 to 1000 addresses"},
           Case{"recipients: {list: ['+14155552671', '0700123']}", "recipients",
                "r.yaml:4:37: recipients.list[1]: telephone number:"},
           Case{"recipients: {list: [+14155552671]}", "recipients",
                "recipients.list[0]: expected a text; what looks like a number"},
           Case{"recipients: {list: ['+14155552671', '+1 415 555 2671']}", "recipients",
                "recipients.list[1]: the same address stands in the list before"},
           Case{"", "template", "template: missing"},
           Case{"template: Hello", "template", "template: expected a map of fields"},
           Case{"template: {}", "template", "r.yaml:6:11: template.body: missing"},
           Case{"template: {body: '{{data.a'}", "template", "template.body: "},
           Case{"template: {text: a, body: b}", "template", "template.text: no such field"},
           Case{"", "message_class", "message_class: missing"},
           Case{"message_class: ad", "message_class",
                "expected one of transactional, informational, marketing"},
           Case{"cooldown: 10", "", "cooldown: expected a duration such as 10m, 0s to 31d"},
           Case{"cooldown: -10m", "", "cooldown: expected a duration"},
           Case{"cooldown: 32d", "", "cooldown: expected a duration such as 10m, 0s to 31d"},
           Case{"max_age: 0s", "", "max_age: expected a duration such as 10m, 1ms to"},
           Case{"daily_cap: 101", "", "daily_cap: expected a whole number, 0 to 100"},
           Case{"daily_cap: -1", "", "daily_cap: expected a whole number"},
           Case{"daily_cap: 3.0", "", "daily_cap: expected a whole number"},
           Case{"daily_cap: '3'", "", "daily_cap: expected a whole number, 0 to 100, without quo"},
           Case{"daily_cap: [3]", "", "daily_cap: expected a whole number, 0 to 100, found a list"},
           Case{"enabled: yes", "", "enabled: expected true or false"},
           Case{"enabled: 'true'", "", "enabled: expected true or false, without quotes"},
           Case{"enabled: True", "", "enabled: expected true or false"},
           Case{"enabled:", "", "enabled: expected true or false, found nothing"},
           Case{"allow_public: true", "", "allow_public: needs a daily_cap"},
           Case{"tenant: A", "", "tenant: expected an id"},
           Case{"[a]: b", "", "expected the name of a field"},
           Case{"name: !!str x", "", "r.yaml:8:7: a type tag is not supported here"},
       }) {
    const auto problems = ReadText(TriggerWith(c.line, c.instead)).problems;
    ASSERT_FALSE(problems.empty()) << c.line;
    EXPECT_THAT(problems[0], HasSubstr(std::string(c.problem))) << c.line;
    EXPECT_THAT(problems[0], Not(HasSubstr("0700"))) << c.line;
    EXPECT_THAT(problems[0], Not(HasSubstr("4155"))) << c.line;
    EXPECT_EQ(problems.size(), 1U) << c.line << "\n" << problems.back();
  }
}

TEST(RulesFileTest, MistakesInOtherKindsAreNamed) {
  struct Case {
    std::string_view text;
    std::string_view problem;
  };
  for (const Case& c : {
           Case{"kind: tenant\nid: Acme", "2:5: id: expected an id"},
           Case{"kind: tenant\nid: _a", "first a letter or a digit"},
           Case{"kind: tenant\nid: a\ntenant: a", "tenant: no such field"},
           Case{"kind: tenant\nid: a\nstatus: paused", "one of active, suspended, closed"},
           Case{"kind: tenant\nid: a\nunknown_wait: 2h", "a duration such as 10m, 1s to 1h"},
           Case{"kind: site\nid: a/b", "id: expected an id of letters, digits, . _ and -"},
           Case{"kind: site\nid: a\nstatus: closed", "one of active, disabled"},
           Case{"kind: plan\nid: p", "sends_per_month_max: missing"},
           Case{"kind: plan\nid: p\nsends_per_month_max: 9223372036854775808",
                "sends_per_month_max: expected a whole number, 0 to 1000000000000"},
           Case{"kind: sender\nid: s", "provider: missing"},
           Case{"kind: sender\nid: s\nprovider: x\nnumber: '+999123'", "number: telephone number:"},
           Case{"kind: sender\nid: s\nprovider: x\nnumber: ACME-STORE-LTD", "number: expected a"},
           Case{"kind: sender\nid: s\nprovider: x\ndefault: 1", "default: expected true or false"},
           Case{"kind: sender\nid: s\nprovider: \"x\\ny\"", "provider: contains a control"},
           Case{"just text", "1:1: expected a map of fields, found a single value"},
           Case{"- kind: site\n  id: a\n- 5", "3:3: expected a map of fields"},
           Case{"kind: site\nid: \"a", "not valid YAML here"},
           Case{"kind: site\n\tid: a", "not valid YAML here"},
           Case{"kind: site\nid: *nowhere", "not valid YAML here"},
           Case{"kind: site\nid: a\n<<: &x {id: b}", "<<: no such field"},
           Case{"{kind: site, id: a}, b", "r.yaml:1:20: not valid YAML here: expected a document"},
           Case{"}", "not valid YAML here"},
           Case{"a: [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]", "nested deeper than 16 levels"},
           Case{"kind: site\nid: \xFF", "r.yaml:2:1: expected UTF-8 text"},
       }) {
    const auto problems = ReadText(c.text).problems;
    ASSERT_FALSE(problems.empty()) << c.text;
    EXPECT_THAT(problems[0], HasSubstr(std::string(c.problem))) << c.text;
  }
  EXPECT_THAT(Read({{.file = "r.yaml", .text = std::string("kind: \0", 7)}}).problems,
              ElementsAre("r.yaml:1:7: expected UTF-8 text without U+0000"));
}

TEST(RulesFileTest, EveryProblemOfEveryFileIsListedInOrder) {
  const Outcome outcome = Read({{.file = "b.yaml", .text = "kind: site\nid: A/\nx: 1\n"},
                                {.file = "a.yaml", .text = "kind: plan\nid: p\n"}},
                               "acme");
  EXPECT_THAT(outcome.problems,
              ElementsAre("a.yaml:1:1: sends_per_month_max: missing",
                          "b.yaml:2:5: id: expected an id of letters, digits, . _ and -",
                          "b.yaml:3:1: x: no such field"));
}

TEST(RulesFileTest, TheSameEntityTwiceIsAnErrorAcrossFiles) {
  const std::string site = "kind: site\nid: s\n";
  EXPECT_THAT(Read({{.file = "a.yaml", .text = site}, {.file = "b.yaml", .text = "\n" + site}}, "t")
                  .problems,
              ElementsAre("b.yaml:2:1: id: site 's' of tenant 't' is defined before, at a.yaml:1"));
  EXPECT_THAT(
      Read({{.file = "a.yaml", .text = site + "tenant: u"}, {.file = "b", .text = site}}, "t")
          .names,
      ElementsAre("u/site/s", "t/site/s"));
  EXPECT_THAT(ReadText("kind: sender\nid: s\nprovider: p\n---\n" + site).problems, IsEmpty());
}

TEST(RulesFileTest, LimitsHold) {
  EXPECT_THAT(ReadText("#" + std::string(kRuleFileBytesMax, 'x')).problems,
              ElementsAre("r.yaml: larger than 1048576 bytes"));
  std::string many;
  for (std::size_t i = 0; i <= kRuleDocumentsMax; ++i) {
    many += "--- {kind: site, id: s" + std::to_string(i) + "}\n";
  }
  EXPECT_THAT(ReadText(many).problems.at(0), HasSubstr("too many documents"));
  many.erase(many.rfind("---"));
  EXPECT_EQ(ReadText(many).names.size(), kRuleDocumentsMax);
  std::string list = "[";
  for (std::size_t i = 0; i <= kRuleDocumentsMax; ++i) {
    list += "{},";
  }
  EXPECT_THAT(ReadText(list + "]").problems.at(0), HasSubstr("more than 10000 documents"));
  std::string fields = "kind: site\nid: a\n";
  for (int i = 0; i < 90'000; ++i) {
    fields += "x" + std::to_string(i) + ":\n";
  }
  EXPECT_THAT(ReadText(fields).problems.at(0), HasSubstr("more than 64 fields"));
  std::string wrong;
  for (std::size_t i = 0; i < api::kRuleProblemsMax; ++i) {
    wrong += "--- {kind: x, kind: y}\n";
  }
  EXPECT_EQ(ReadText(wrong).problems.size(), api::kRuleProblemsMax);
}

TEST(RulesFileTest, EmptyFilesAndDocumentsHoldNothing) {
  for (const char* text : {"", "# nothing\n", "---\n---\n", "\n\n"}) {
    EXPECT_THAT(ReadText(text).problems, IsEmpty()) << text;
    EXPECT_THAT(ReadText(text).names, IsEmpty()) << text;
  }
}

TEST(RulesDirectoryTest, FilesAreReadInTheOrderOfTheirPaths) {
  const ScratchDirectory scratch;
  scratch.Write("b.yml", "kind: site\nid: b\n");
  scratch.Write("a/z.json", R"({"kind":"site","id":"z"})");
  scratch.Write("c.yaml", "kind: site\nid: c\n");
  scratch.Write("notes.txt", "not: [valid");
  scratch.Write(".c.yaml", "not: [valid");
  scratch.Write(".git/d.yaml", "not: [valid");
  std::vector<RuleProblem> problems;
  const auto set = LoadRules(scratch.path(), "t", &problems);
  ASSERT_TRUE(set.ok()) << set.error().message();
  EXPECT_THAT(Names(set.value()), ElementsAre("t/site/z", "t/site/b", "t/site/c"));
  const auto one = LoadRules(scratch / "c.yaml", "t", &problems);
  ASSERT_TRUE(one.ok());
  EXPECT_THAT(Names(one.value()), ElementsAre("t/site/c"));
}

TEST(RulesDirectoryTest, WhatIsNotThereIsNotFound) {
  const ScratchDirectory scratch;
  std::vector<RuleProblem> problems;
  const auto empty = LoadRules(scratch.path(), "t", &problems);
  ASSERT_FALSE(empty.ok());
  EXPECT_EQ(empty.error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(empty.error().message(), HasSubstr("there is no .yaml, .yml or .json file in"));
  const auto missing = LoadRules(scratch / "none.yaml", "t", &problems);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(missing.error().message(), EndsWith("none.yaml does not exist"));
}

}  // namespace
}  // namespace alertstream::cli
