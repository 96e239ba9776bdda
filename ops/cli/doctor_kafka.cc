#include "ops/cli/doctor_kafka.h"

#include <map>
#include <set>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "schemas/envelope.pb.h"

namespace alertstream::cli {
namespace {

std::string_view WordOf(log::KafkaResource resource) {
  switch (resource) {
    case log::KafkaResource::kTopic:
      return "topic";
    case log::KafkaResource::kGroup:
      return "group";
    case log::KafkaResource::kTransactionalId:
      return "transactional-id";
  }
  return "";
}

// One command grants the same rights to several resources of one kind.
std::string GrantCommand(const log::KafkaLogOptions& options, log::KafkaResource resource,
                         const std::set<std::string>& operations,
                         const std::vector<std::string>& names) {
  const auto user = options.settings.find("sasl.username");
  std::string command =
      fmt::format("kafka-acls.sh --bootstrap-server {} --add --allow-principal User:{}",
                  options.bootstrap, user == options.settings.end() ? "NAME" : user->second);
  for (const std::string& operation : operations) {
    command += " --operation " + operation;
  }
  for (const std::string& name : names) {
    command += fmt::format(" --{} {}", WordOf(resource), name);
  }
  // Of a transactional id only the beginning is named.
  return command + (resource == log::KafkaResource::kTransactionalId
                        ? " --resource-pattern-type prefixed"
                        : "");
}

v1::Lease ProbeLease(std::string instance, Clock& clock) {
  v1::Lease lease;
  lease.set_instance(std::move(instance));
  lease.set_released(true);
  lease.set_at_us(ToMicros(clock.Now()));
  return lease;
}

}  // namespace

DoctorCheck DescribeRights(const log::KafkaLogOptions& options,
                           const log::KafkaRightsReport& report) {
  if (report.missing.empty()) {
    return {CheckResult::kOk, "rights", fmt::format("none of {} is missing", report.tried)};
  }
  // Which resources lack the same rights.
  std::map<std::pair<log::KafkaResource, std::string>, std::set<std::string>> lacking;
  bool decides = true;
  for (const log::KafkaRight& right : report.missing) {
    lacking[{right.resource, right.name}].insert(right.operation);
    decides = decides && right.operation == "DescribeConfigs";
  }
  std::map<std::pair<log::KafkaResource, std::set<std::string>>, std::vector<std::string>> alike;
  for (const auto& [resource, operations] : lacking) {
    // Who may not describe a topic was asked nothing further about it.
    const auto wanted = operations.contains("Describe")
                            ? std::set<std::string>{"DescribeConfigs", "Read", "Write"}
                            : operations;
    alike[{resource.first, wanted}].push_back(resource.second);
  }
  std::string missing;
  std::string fix;
  for (const auto& [what, names] : alike) {
    missing +=
        fmt::format("{}{} on {} {}", missing.empty() ? "" : "; ", fmt::join(what.second, ", "),
                    WordOf(what.first), fmt::join(names, ", "));
    fix += (fix.empty() ? "" : " && ") + GrantCommand(options, what.first, what.second, names);
  }
  if (!report.writes_known) {
    missing += "; which topics may be written is not known before that is granted";
  }
  // Without DescribeConfigs the processor runs; only the settings of topics cannot be checked.
  return {decides ? CheckResult::kWarning : CheckResult::kFailed, "rights",
          fmt::format("missing: {}. Fix, as an administrator of the cluster: {}", missing, fix)};
}

Result<DoctorCheck> CheckRights(const log::KafkaLogOptions& options,
                                std::chrono::milliseconds timeout) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto report, log::FindMissingRights(options, timeout));
  return DescribeRights(options, report);
}

DoctorCheck CheckTransactions(const log::KafkaLogOptions& options, Clock& clock,
                              std::chrono::milliseconds timeout) {
  const auto began = clock.SinceBoot();
  const std::string aborted = ProbeLease("doctor, aborted", clock).SerializeAsString();
  const std::string committed = ProbeLease("doctor", clock).SerializeAsString();
  constexpr auto kWhere = schemas::Topic::kOwnership;
  const Status probed = log::ProbeTransactions(options, {kWhere, 0, schemas::kLogKey, aborted},
                                               {kWhere, 0, schemas::kLogKey, committed}, timeout);
  if (!probed.ok()) {
    return {CheckResult::kFailed, "transactions",
            probed.error().message() + ". Exactly-once needs transactions"};
  }
  return {CheckResult::kOk, "transactions",
          fmt::format("one committed and one aborted in {} ms; readers see the committed one only",
                      (clock.SinceBoot() - began).count() / 1000)};
}

}  // namespace alertstream::cli
