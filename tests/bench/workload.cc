#include "tests/bench/workload.h"

#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string_view>

#include <fmt/format.h>

#include "schemas/envelope.pb.h"
#include "schemas/input_codec.h"

namespace alertstream::bench {
namespace {

v1::Envelope Head(std::uint32_t tenant, v1::Trust trust, std::string type) {
  v1::Envelope envelope;
  envelope.set_tenant(TenantId(tenant));
  envelope.set_routing_key(envelope.tenant());
  envelope.set_type(std::move(type));
  envelope.set_schema_version(1);
  envelope.set_trust(trust);
  return envelope;
}

Input Encode(const v1::Envelope& envelope) {
  return {envelope.routing_key(), Must(schemas::EncodeEnvelope(envelope))};
}

std::string EventType(std::uint32_t type) { return fmt::format("payment.step{}", type); }

std::string Phone(std::uint32_t tenant, std::uint32_t recipient) {
  return fmt::format("+2547{:08}", tenant * 10'000 + recipient);
}

// Trigger `candidate` of a type holds for amounts from here up to that of the next one.
std::uint32_t AmountFrom(std::uint32_t tenant, std::uint32_t candidate) {
  return (candidate + 1) * 1'000'000 + tenant * 100;
}

// A size that /proc/self/status gives in KiB.
std::size_t StatusBytes(std::string_view name) {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    if (word == name) {
      std::size_t kib = 0;
      status >> kib;
      return kib << 10;
    }
  }
  return 0;
}

}  // namespace

std::string TenantId(std::uint32_t tenant) { return fmt::format("tenant-{:04}", tenant); }

Input TenantRecord(std::uint32_t tenant) {
  auto envelope = Head(tenant, v1::TRUST_SYSTEM, "tenant");
  envelope.mutable_account_change()->mutable_tenant()->set_status(v1::TENANT_STATUS_ACTIVE);
  return Encode(envelope);
}

Input SenderRecord(std::uint32_t tenant) {
  auto envelope = Head(tenant, v1::TRUST_SYSTEM, "sender");
  auto* sender = envelope.mutable_account_change()->mutable_sender();
  sender->set_id("main");
  sender->set_provider("twilio");
  sender->set_account("AC0123456789");
  sender->set_number("+15005550006");  // Nobody of the recipients.
  sender->set_is_default(true);
  sender->set_channel(v1::CHANNEL_SMS);
  return Encode(envelope);
}

Input TriggerRecord(std::uint32_t tenant, std::uint32_t trigger) {
  const std::uint32_t type = trigger / kCandidates;
  const std::uint32_t candidate = trigger % kCandidates;
  auto envelope = Head(tenant, v1::TRUST_SYSTEM, "trigger");
  auto* wanted = envelope.mutable_account_change()->mutable_trigger();
  wanted->set_id(fmt::format("step{}-band{}", type, candidate));
  wanted->set_name("Payment above a threshold");
  wanted->set_event_type(EventType(type));
  wanted->set_when(fmt::format(
      R"(event.data.amount >= {} && event.data.amount < {} && event.data.currency == "KES")",
      AmountFrom(tenant, candidate), AmountFrom(tenant, candidate + 1)));
  wanted->mutable_recipients()->set_field("data.phone");
  wanted->set_channel(v1::CHANNEL_SMS);
  wanted->set_template_body(
      "{{data.customer.name}}, your payment {{data.payment}} of {{data.amount}} "
      "{{data.currency}} was received.");
  wanted->set_message_class(v1::MESSAGE_CLASS_INFORMATIONAL);
  wanted->set_cooldown_us(600'000'000);
  wanted->set_daily_cap(3);
  wanted->set_enabled(true);
  return Encode(envelope);
}

Input ConsentRecord(std::uint32_t tenant, std::uint32_t recipient) {
  auto envelope = Head(tenant, v1::TRUST_SYSTEM, "consent");
  auto* consent = envelope.mutable_consent_change();
  consent->mutable_address()->set_plain(Phone(tenant, recipient));
  consent->set_address_kind(v1::ADDRESS_KIND_PHONE);
  consent->set_channel(v1::CHANNEL_SMS);
  consent->set_message_class(v1::MESSAGE_CLASS_INFORMATIONAL);
  consent->set_status(v1::CONSENT_STATUS_GRANTED);
  consent->set_source("import");
  return Encode(envelope);
}

Input EventRecord(const WorkloadSize& size, std::uint64_t number, std::int64_t event_time_us) {
  // Once everybody was visited the same people come in the same order, each with the next type.
  const std::uint64_t people = std::uint64_t{size.tenants} * size.recipients;
  const std::uint64_t visit = number % people;
  // Odd steps visit every residue of a power of two, and nearly every one of other sizes once.
  const std::uint64_t scattered = visit * 2'654'435'761U;
  const auto tenant = static_cast<std::uint32_t>(scattered % size.tenants);
  const auto recipient =
      static_cast<std::uint32_t>((visit / size.tenants * 7919) % size.recipients);
  const auto type =
      static_cast<std::uint32_t>((scattered / size.tenants + number / people) % kEventTypes);
  const auto candidate = static_cast<std::uint32_t>(scattered / 31 % kCandidates);
  auto envelope = Head(tenant, v1::TRUST_KAFKA, EventType(type));
  envelope.set_id(fmt::format("{:016x}", number));
  envelope.set_event_time_us(event_time_us);
  envelope.set_source("core-banking");
  envelope.mutable_site_event()->mutable_data()->set_plain(
      fmt::format(R"({{"payment":"PAY-{:010}","amount":{},"currency":"KES","phone":"{}",)"
                  R"("customer":{{"name":"Wanjiru {}","since":2019}},"method":"mobile","items":3,)"
                  R"("reference":"{:016x}"}})",
                  number, AmountFrom(tenant, candidate) + number % 1000, Phone(tenant, recipient),
                  recipient, number * 2'654'435'761U));
  return Encode(envelope);
}

void Die(const std::string& what) {
  fmt::print(stderr, "{}\n", what);
  std::exit(1);  // NOLINT(concurrency-mt-unsafe): nothing is left to be put in order.
}

void Must(const Status& status) {
  if (!status.ok()) {
    Die(status.error().message());
  }
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::size_t RssBytes() { return StatusBytes("VmRSS:"); }

std::size_t RssPeakBytes() { return StatusBytes("VmHWM:"); }

void ResetRssPeak() {
  // "5" sets the highest resident size back to the present one (proc(5), clear_refs).
  std::ofstream("/proc/self/clear_refs") << "5";
}

}  // namespace alertstream::bench
