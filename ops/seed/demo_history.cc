#include "ops/seed/demo_history.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "ops/seed/demo_rules.h"
#include "ops/seed/random.h"
#include "processor/base/check.h"
#include "processor/base/crypto.h"
#include "schemas/envelope.pb.h"
#include "schemas/input_codec.h"

namespace alertstream::seed {
namespace {

using schemas::Topic;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

// What arrives within this time of each other is appended together, so that a quiet night costs
// nothing and a lunch time not much.
constexpr LogDuration kStepWindow = seconds{60};

// How much happens in each hour of the day (UTC), of a hundred: lunch and dinner on the American
// east coast.
constexpr std::array<std::uint64_t, 24> kMeals = {45, 25, 10, 4,  2,   1,  1,  1,  1,  2,  5,  12,
                                                  22, 25, 30, 60, 100, 95, 55, 30, 25, 40, 70, 75};
// Office hours there.
constexpr std::array<std::uint64_t, 24> kOffice = {
    20, 10, 6, 4, 3, 2, 2, 2, 2, 3, 5, 12, 45, 90, 100, 100, 80, 85, 95, 100, 100, 90, 55, 30};
constexpr std::array<std::uint64_t, 24> kAnyHour = {100, 100, 100, 100, 100, 100, 100, 100,
                                                    100, 100, 100, 100, 100, 100, 100, 100,
                                                    100, 100, 100, 100, 100, 100, 100, 100};

struct Rhythm {
  const std::array<std::uint64_t, 24>& hours;  // Of a hundred.
  std::uint64_t saturday;                      // The same; other days are a hundred.
  std::uint64_t sunday;
};
constexpr Rhythm kEating{kMeals, 65, 50};
constexpr Rhythm kWorking{kOffice, 15, 10};
constexpr Rhythm kAlways{kAnyHour, 100, 100};

constexpr const char* kNames[] = {"Ada",  "Ben",   "Chloe", "Dev",  "Elena", "Femi",   "Grace",
                                  "Hugo", "Imani", "Jun",   "Kofi", "Lena",  "Mateo",  "Nia",
                                  "Omar", "Priya", "Quinn", "Rosa", "Sam",   "Wanjiru"};
constexpr const char* kMessages[] = {"Can you cater for thirty people on Friday?",
                                     "Which of the soups are without nuts?",
                                     "The courier rang at the wrong door, all is well now.",
                                     "May we order a day ahead?",
                                     "Two lids were missing today.",
                                     "Please send the invoice for last month again."};
constexpr const char* kChecks[] = {"https", "checkout", "database", "queue"};
constexpr const char* kHosts[] = {"web1.kitchen.example", "web2.kitchen.example",
                                  "db1.kitchen.example"};
constexpr const char* kBranches[] = {"main", "main", "main", "new-menu", "faster-checkout"};
constexpr const char* kStops[] = {"STOP", "Stop", "stop ", "UNSUBSCRIBE", "Cancel"};

constexpr std::string_view kDisclosure =
    "By ticking this box you agree to get text messages from Corner Kitchen about your orders. "
    "Consent is no condition of a purchase. Reply STOP to end them, HELP for help.";

// How many customers do what; they are different people.
constexpr std::size_t kLandlines = 2;
constexpr std::size_t kStopping = 12;
constexpr std::size_t kComingBack = 5;  // Of those who stop.
constexpr std::size_t kAskingForHelp = 4;
constexpr std::size_t kRevoking = 3;
static_assert(kLandlines + kStopping + kAskingForHelp + kRevoking < kCustomers);

std::string NameOf(std::size_t customer) { return kNames[customer % std::size(kNames)]; }

struct EventHead {
  std::string_view type;
  std::string id;
  std::string_view source;
  v1::Trust trust = v1::TRUST_SECRET;
  LogTime happened{};  // When it is told, unless set.
};

// Tells the parts of the story one after the other, then puts them in order.
class Teller {
 public:
  explicit Teller(const HistoryOptions& options)
      : options_(options),
        random_(options.rng_seed),
        begin_(options.end - hours{24} * options.days),
        last_(options.end - kQuietEnd) {}

  Result<History> Tell();

 private:
  struct Told {
    LogTime at;
    Input input;
  };

  LogDuration Span() const { return last_ - begin_; }
  LogTime At(const Rhythm& rhythm);
  LogDuration Some(LogDuration first, LogDuration last) {
    return LogDuration{random_.Between(first.count(), last.count())};
  }
  std::string MessageSid();
  void Put(LogTime at, Topic topic, v1::Envelope envelope);
  void Event(LogTime at, const EventHead& head, std::string data);
  void Inbound(LogTime at, std::size_t customer, std::string_view text);
  void Consent(LogTime at, std::size_t customer, v1::ConsentStatus status);
  Status Rules();
  void Permissions(History* history);
  void Forms();
  void Incidents();
  void Builds();
  void Order();
  void Delivery(LogTime paid, const std::string& order, std::string_view customer);
  void IntoSteps(History* history);

  const HistoryOptions options_;
  Random random_;
  const LogTime begin_;
  const LogTime last_;
  std::vector<Told> told_;
  std::size_t events_ = 0;
  std::size_t orders_ = 0;
  Status status_;
};

LogTime Teller::At(const Rhythm& rhythm) {
  for (;;) {
    // The first half hour belongs to the rules and the consents.
    const LogTime at = begin_ + Some(minutes{30}, Span());
    const std::int64_t hour = ToMicros(at) / 3'600'000'000;
    const std::int64_t weekday = (hour / 24 + 4) % 7;  // 1970 began on a Thursday; 0: Sunday.
    const std::uint64_t day = weekday == 0 ? rhythm.sunday : weekday == 6 ? rhythm.saturday : 100;
    const auto weight = rhythm.hours[static_cast<std::size_t>(hour % 24)];
    if (random_.Below(10'000) < weight * day) {
      return at;
    }
  }
}

std::string Teller::MessageSid() {
  const std::uint64_t high = random_.Next();
  const std::uint64_t low = random_.Next();
  return fmt::format("SM{:016x}{:016x}", high, low);
}

void Teller::Put(LogTime at, Topic topic, v1::Envelope envelope) {
  if (at > last_) {
    return;
  }
  envelope.set_tenant(std::string(kTenant));
  envelope.set_routing_key(std::string(kTenant));
  envelope.set_schema_version(1);
  envelope.set_ingest_time_us(ToMicros(at));
  auto bytes = schemas::EncodeEnvelope(envelope);
  if (!bytes.ok()) {
    status_ = bytes.error();
    return;
  }
  events_ += topic == Topic::kSiteEvents ? 1 : 0;
  told_.push_back({at, {topic, std::move(bytes).value()}});
}

void Teller::Event(LogTime at, const EventHead& head, std::string data) {
  v1::Envelope envelope;
  envelope.set_id(head.id);
  envelope.set_type(std::string(head.type));
  envelope.set_source(std::string(head.source));
  envelope.set_site(std::string(kSite));
  envelope.set_trust(head.trust);
  envelope.set_event_time_us(ToMicros(head.happened == LogTime{} ? at : head.happened));
  envelope.mutable_site_event()->mutable_data()->set_plain(std::move(data));
  Put(at, Topic::kSiteEvents, std::move(envelope));
}

void Teller::Inbound(LogTime at, std::size_t customer, std::string_view text) {
  v1::Envelope envelope;
  envelope.set_id(MessageSid());
  envelope.set_type("inbound.message");
  envelope.set_source(std::string(kProvider));
  envelope.set_trust(v1::TRUST_WEBHOOK);
  envelope.set_event_time_us(ToMicros(at));
  auto* message = envelope.mutable_inbound_message();
  message->mutable_from()->set_plain(PhoneOf(customer));
  message->set_from_kind(v1::ADDRESS_KIND_PHONE);
  message->set_to_number(std::string(kNumber));
  message->set_channel(v1::CHANNEL_SMS);
  message->mutable_body()->set_plain(std::string(text));
  message->set_provider(std::string(kProvider));
  message->set_provider_message_id(envelope.id());
  message->set_account(std::string(kAccount));
  Put(at, Topic::kInboundMessages, std::move(envelope));
}

void Teller::Consent(LogTime at, std::size_t customer, v1::ConsentStatus status) {
  v1::Envelope envelope;
  envelope.set_type("consent.change");
  envelope.set_source("demo");
  envelope.set_trust(v1::TRUST_SYSTEM);
  envelope.set_actor("demo");
  auto* change = envelope.mutable_consent_change();
  change->mutable_address()->set_plain(PhoneOf(customer));
  change->set_address_kind(v1::ADDRESS_KIND_PHONE);
  change->set_channel(v1::CHANNEL_SMS);
  change->set_message_class(v1::MESSAGE_CLASS_INFORMATIONAL);
  change->set_status(status);
  change->set_source("web_form");
  auto* evidence = change->mutable_evidence();
  evidence->set_kind("web_form");
  evidence->set_disclosure_version("2026-1");
  evidence->set_disclosure_sha256(std::string(AsView(Sha256::Of(kDisclosure))));
  evidence->mutable_detail()->set_plain(fmt::format(
      R"({{"url":"https://kitchen.example/alerts","account":"customer-{:03}"}})", customer));
  evidence->set_written(status == v1::CONSENT_STATUS_GRANTED);
  evidence->set_at_us(ToMicros(at));
  Put(at, Topic::kConsentChanges, std::move(envelope));
}

Status Teller::Rules() {
  ALERTSTREAM_ASSIGN_OR_RETURN(const cli::RuleSet rules, DemoRules());
  for (const cli::RuleChange& change : rules.changes) {
    v1::Envelope envelope = change.envelope;
    envelope.set_actor("demo");
    if (change.tenant != kTenant) {
      return Error(ErrorCode::kInvalid, fmt::format("{}:{}: the demo has one tenant, {}",
                                                    change.file, change.line, kTenant));
    }
    Put(begin_, Topic::kAccountChanges, std::move(envelope));
  }
  return Status::Ok();
}

// Most customers are taken over with their consents, the others come in the first half.
void Teller::Permissions(History* history) {
  std::vector<std::size_t> people(kCustomers);
  for (std::size_t i = 0; i < people.size(); ++i) {
    people[i] = i;
    const bool known = random_.Chance(750);
    Consent(begin_ + (known ? Some(minutes{1}, minutes{25}) : Some(minutes{30}, Span() / 2)), i,
            v1::CONSENT_STATUS_GRANTED);
  }
  random_.Shuffle(std::span(people));
  std::size_t next = 0;
  for (std::size_t i = 0; i < kLandlines; ++i) {
    history->landlines.push_back(PhoneOf(people[next++]));
  }
  for (std::size_t i = 0; i < kStopping; ++i) {
    const std::size_t customer = people[next++];
    const LogTime at = begin_ + Some(Span() / 10, Span() * 9 / 10);
    Inbound(at, customer, random_.Of(kStops));
    if (i < kComingBack) {
      Inbound(at + Some(Span() / 60, Span() / 10), customer, "START");
    }
  }
  for (std::size_t i = 0; i < kAskingForHelp; ++i) {
    Inbound(begin_ + Some(Span() / 10, Span()), people[next++], "help");
  }
  for (std::size_t i = 0; i < kRevoking; ++i) {
    Consent(begin_ + Some(Span() * 6 / 10, Span() * 9 / 10), people[next++],
            v1::CONSENT_STATUS_REVOKED);
  }
}

void Teller::Forms() {
  for (int i = 0; i < options_.days * 22; ++i) {
    const LogTime at = At(kWorking);
    const std::string_view message = random_.Chance(40) ? "" : random_.Of(kMessages);
    const bool urgent = random_.Chance(150);
    Event(at,
          {.type = "form.submitted",
           .id = fmt::format("form-{:05}", i),
           .source = "web",
           .trust = v1::TRUST_PUBLISHABLE},
          fmt::format(R"({{"form":"Contact","message":"{}","urgent":{},"page":"/contact"}})",
                      message, urgent));
  }
}

void Teller::Incidents() {
  const auto alert = [this](LogTime at, const std::string& id, std::string_view severity,
                            std::int64_t failures, std::string_view check, std::string_view host) {
    Event(at, {.type = "monitor.alert", .id = id, .source = "monitor"},
          fmt::format(R"({{"check":"{}","host":"{}","severity":"{}","status":"not answering",)"
                      R"("failures":{}}})",
                      check, host, severity, failures));
  };
  for (int i = 0; i < options_.days * 24; ++i) {
    const LogTime at = At(kAlways);
    const std::string_view check = random_.Of(kChecks);
    const std::string_view host = random_.Of(kHosts);
    alert(at, fmt::format("warning-{:05}", i), "warning", random_.Between(1, 4), check, host);
  }
  for (int i = 0; i < options_.days * 3 / 2 + 1; ++i) {
    LogTime at = At(kAlways);
    const std::string_view check = random_.Of(kChecks);
    const std::string_view host = random_.Of(kHosts);
    const std::int64_t failures = random_.Between(2, 14);
    for (std::int64_t n = 1; n <= failures; ++n) {
      alert(at, fmt::format("incident-{:04}-{:02}", i, n), "critical", n, check, host);
      at += seconds{60};
    }
    Event(at,
          {.type = "monitor.recovered",
           .id = fmt::format("incident-{:04}-end", i),
           .source = "monitor"},
          fmt::format(R"({{"check":"{}","host":"{}","down_minutes":{}}})", check, host, failures));
  }
}

void Teller::Builds() {
  for (int i = 0; i < options_.days * 18; ++i) {
    const LogTime at = At(kWorking);
    const std::string_view branch = random_.Of(kBranches);
    const std::uint64_t luck = random_.Below(1000);
    const std::string_view conclusion = luck < 150   ? "failure"
                                        : luck < 180 ? "cancelled"
                                                     : "success";
    const auto run = [&](std::string_view action, const std::string& outcome) {
      return fmt::format(
          R"({{"action":"{}","workflow_run":{{"id":{},"name":"CI","head_branch":"{}",)"
          R"("conclusion":{},"html_url":"https://github.example/kitchen/shop/actions/runs/{}"}},)"
          R"("repository":{{"full_name":"kitchen/shop","default_branch":"main"}}}})",
          action, 7000 + i, branch, outcome, 7000 + i);
    };
    const auto head = [&](std::string_view action) {
      return EventHead{.type = "github.workflow_run",
                       .id = fmt::format("run-{}-{}", 7000 + i, action),
                       .source = "github"};
    };
    Event(at, head("requested"), run("requested", "null"));
    Event(at + Some(minutes{3}, minutes{9}), head("completed"),
          run("completed", fmt::format("\"{}\"", conclusion)));
  }
}

// An order, its payment with what can go wrong with it, and its way to the customer.
void Teller::Order() {
  const std::string number = fmt::format("{:06}", ++orders_);
  const std::string order = "K-" + number;
  LogTime at = At(kEating);
  const std::size_t customer = random_.Below(kCustomers);
  const std::string phone = random_.Chance(3) ? "555-0199" : PhoneOf(customer);
  const std::string who = fmt::format(R"({{"name":"{}","phone":"{}"}})", NameOf(customer), phone);
  std::int64_t items = random_.Between(1, 5);
  std::int64_t amount = items * random_.Between(8, 15);
  if (random_.Chance(40)) {  // For the whole office.
    items *= 6;
    amount *= 6;
  }
  Event(at, {.type = "order.placed", .id = "order-" + number, .source = "shop"},
        fmt::format(R"({{"order":"{}","items":{},"amount":{},"currency":"USD","customer":{}}})",
                    order, items, amount, who));
  const std::string payment =
      fmt::format(R"("order":"{}","amount":{},"currency":"USD","phone":"{}","name":"{}")", order,
                  amount, phone, NameOf(customer));
  at += Some(seconds{5}, seconds{90});
  int tries = 1;
  for (; random_.Chance(95) && tries < 4; ++tries) {
    Event(at,
          {.type = "payment.failed",
           .id = fmt::format("payment-{}-{}", number, tries),
           .source = "payments"},
          fmt::format(R"({{{},"reason":"card_declined"}})", payment));
    if (random_.Chance(250)) {
      return;  // Lunch elsewhere.
    }
    at += Some(minutes{1}, minutes{14});
  }
  const EventHead paid{.type = "payment.succeeded",
                       .id = fmt::format("payment-{}-{}", number, tries),
                       .source = "payments",
                       .happened = at};
  Event(at, paid, fmt::format("{{{}}}", payment));
  if (random_.Chance(8)) {  // Told twice.
    Event(at + Some(seconds{10}, minutes{5}), paid, fmt::format("{{{}}}", payment));
  }
  Delivery(at, number, who);
}

void Teller::Delivery(LogTime paid, const std::string& number, std::string_view customer) {
  const LogTime at = paid + Some(minutes{12}, minutes{50});
  const bool courier = random_.Chance(700);
  const std::int64_t eta_minutes = courier ? random_.Between(8, 40) : 0;
  // A courier without a signal tells it when it is too late to be news.
  const LogDuration late = random_.Chance(3) ? hours{3} : hours{0};
  Event(at + late,
        {.type = "order.shipped", .id = "shipped-" + number, .source = "shop", .happened = at},
        fmt::format(R"({{"order":"K-{}","courier":{},"eta_minutes":{},"customer":{}}})", number,
                    courier, eta_minutes, customer));
}

void Teller::IntoSteps(History* history) {
  std::stable_sort(told_.begin(), told_.end(),
                   [](const Told& a, const Told& b) { return a.at < b.at; });
  LogTime opened{};
  for (Told& told : told_) {
    auto& steps = history->steps;
    if (steps.empty() || told.at - opened >= kStepWindow) {
      steps.emplace_back();
      opened = told.at;
    }
    steps.back().at = told.at;
    steps.back().events += told.input.topic == Topic::kSiteEvents ? 1 : 0;
    steps.back().inputs.push_back(std::move(told.input));
  }
}

Result<History> Teller::Tell() {
  History history;
  ALERTSTREAM_RETURN_IF_ERROR(Rules());
  Permissions(&history);
  Forms();
  Incidents();
  Builds();
  while (events_ < options_.events_min && status_.ok()) {
    Order();
  }
  if (!status_.ok()) {
    return status_.error();
  }
  history.events = events_;
  IntoSteps(&history);
  return history;
}

}  // namespace

std::string PhoneOf(std::size_t customer) {
  ALERTSTREAM_CHECK(customer < kCustomers);
  return fmt::format("+1{}55501{:02}", customer < 100 ? 212 : 415, customer % 100);
}

Result<History> MakeHistory(const HistoryOptions& options) { return Teller(options).Tell(); }

}  // namespace alertstream::seed
