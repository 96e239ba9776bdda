#include "ops/cli/commands/audit_report.h"

#include <algorithm>
#include <map>
#include <ostream>
#include <utility>

#include <fmt/format.h>

#include "ops/cli/json_object.h"
#include "ops/cli/message_json.h"
#include "ops/cli/words.h"
#include "processor/base/rfc3339.h"
#include "schemas/decision.pb.h"
#include "schemas/json.h"
#include "schemas/output.pb.h"

namespace alertstream::cli {
namespace {

constexpr std::size_t kSideWidthMax = 60;

struct Sides {
  std::string expected;  // JSON; "null": there is none.
  std::string found;
};

template <typename Message>
std::string DecodedJson(std::string_view value) {
  Message message;
  if (!message.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
    JsonObject object;
    object.Integer("raw_bytes", static_cast<std::int64_t>(value.size()));
    return object.Take();
  }
  return MessageJson(message);
}

// Every field, but for personal data; what tail prints of a decision is less than all of it.
std::string ValueJson(schemas::Topic topic, const std::optional<std::string>& value) {
  if (!value) {
    return "null";
  }
  if (topic == schemas::Topic::kDecisions) {
    return DecodedJson<v1::DecisionRecord>(*value);
  }
  if (topic == schemas::Topic::kNotificationCommands) {
    return DecodedJson<v1::NotificationCommand>(*value);
  }
  return topic == schemas::Topic::kFacts ? DecodedJson<v1::Fact>(*value)
                                         : DecodedJson<v1::DeadLetter>(*value);
}

// What a batch's journal record says of its inputs and of what was decided.
std::string JournalJson(const v1::JournalRecord& record) {
  v1::JournalRecord part;
  *part.mutable_inputs() = record.inputs();
  part.set_timers_fired(record.timers_fired());
  *part.mutable_outputs() = record.outputs();
  *part.mutable_rerouted() = record.rerouted();
  part.set_state_root(record.state_root());
  return MessageJson(part);
}

std::optional<Sides> SidesOfRecord(const AuditFinding& finding) {
  if (!finding.record) {
    return std::nullopt;
  }
  Sides sides{.expected = ValueJson(finding.record->topic, finding.record->decided),
              .found = ValueJson(finding.record->topic, finding.record->stored)};
  if (finding.expects_stored) {
    std::swap(sides.expected, sides.found);
  }
  return sides;
}

std::optional<Sides> SidesOfJournal(const AuditFinding& finding) {
  if (!finding.recorded || !finding.refolded) {
    return std::nullopt;
  }
  return Sides{.expected = JournalJson(*finding.recorded), .found = JournalJson(*finding.refolded)};
}

// Path -> value of everything that is no container, in document order.
using Flat = std::vector<std::pair<std::string, std::string>>;

void Flatten(schemas::JsonValue value, const std::string& path, Flat* flat) {
  const bool is_array = value.type() == schemas::JsonType::kArray;
  if (!is_array && value.type() != schemas::JsonType::kObject) {
    std::string text;
    schemas::AppendJson(value, &text);
    flat->emplace_back(path, std::move(text));
    return;
  }
  std::size_t index = 0;
  for (auto child = value.first_child(); child; child = child->next_sibling()) {
    const std::string name =
        is_array ? fmt::format("[{}]", index++)
                 : (path.empty() ? std::string(child->name()) : "." + std::string(child->name()));
    Flatten(*child, path + name, flat);
  }
}

Flat Flattened(const std::string& json) {
  Flat flat;
  schemas::JsonDocument document;
  if (document.Parse(json).ok() && document.root().type() == schemas::JsonType::kObject) {
    Flatten(document.root(), "", &flat);
  }
  return flat;
}

std::string SideBySide(const Sides& sides) {
  const Flat expected = Flattened(sides.expected);
  const Flat found = Flattened(sides.found);
  const std::map<std::string, std::string> found_by_path(found.begin(), found.end());
  const std::map<std::string, std::string> expected_by_path(expected.begin(), expected.end());
  std::vector<std::array<std::string, 3>> rows;
  for (const auto& [path, value] : expected) {
    const auto other = found_by_path.find(path);
    if (other == found_by_path.end() || other->second != value) {
      rows.push_back({path, value, other == found_by_path.end() ? "-" : other->second});
    }
  }
  for (const auto& [path, value] : found) {
    if (!expected_by_path.contains(path)) {
      rows.push_back({path, "-", value});
    }
  }
  if (rows.empty()) {
    return "  what differs is not shown: personal data, or bytes that no field has\n";
  }
  const std::size_t left_out = rows.size() > kSideRowsMax ? rows.size() - kSideRowsMax : 0;
  rows.resize(rows.size() - left_out);
  std::array<std::size_t, 2> widths = {5, 8};
  for (auto& row : rows) {
    row[1] = Clip(row[1], kSideWidthMax);
    row[2] = Clip(row[2], kSideWidthMax);
    widths[0] = std::max(widths[0], row[0].size());
    widths[1] = std::max(widths[1], row[1].size());
  }
  std::string text =
      fmt::format("  {:<{}}  {:<{}}  {}\n", "FIELD", widths[0], "EXPECTED", widths[1], "FOUND");
  for (const auto& row : rows) {
    text += fmt::format("  {:<{}}  {:<{}}  {}\n", row[0], widths[0], row[1], widths[1], row[2]);
  }
  return left_out == 0 ? text : text + fmt::format("  and {} more\n", left_out);
}

std::string SideText(std::string_view missing, const Sides& sides) {
  if (sides.expected == "null" || sides.found == "null") {
    const bool none_found = sides.found == "null";
    return fmt::format("  {} record, {}:\n  {}\n", none_found ? "expected" : "found", missing,
                       none_found ? sides.expected : sides.found);
  }
  return SideBySide(sides);
}

std::string JournalPlace(std::int32_t partition, std::int64_t offset) {
  return PositionText(static_cast<std::uint32_t>(schemas::Topic::kJournal),
                      static_cast<std::uint32_t>(partition), offset);
}

std::string_view WhyOf(const AuditFinding& finding) {
  return finding.history_changed ? "history changed" : "the engine differs";
}

std::string BeganText(const PartitionAudit& audit) {
  std::string text = audit.began_seq == 0
                         ? "folded from zero"
                         : fmt::format("folded from the snapshot of seq {}", audit.began_seq);
  if (audit.resumed_seq > 0) {
    text += fmt::format(", gone on with from seq {}", audit.resumed_seq);
  }
  return text;
}

std::string RangeText(const PartitionAudit& audit) {
  if (!audit.first || !audit.last) {
    return fmt::format("partition {:<5}nothing compared; {}", audit.partition, BeganText(audit));
  }
  return fmt::format("partition {:<5}seq {} to {}, {} to {}; {}", audit.partition,
                     Grouped(audit.first->seq), Grouped(audit.last->seq),
                     FormatRfc3339(audit.first->now), FormatRfc3339(audit.last->now),
                     BeganText(audit));
}

void AddPlace(std::string_view which, const PartitionAudit& audit,
              const std::optional<AuditPlace>& place, JsonObject* object) {
  if (place) {
    object->Integer(fmt::format("{}_seq", which), static_cast<std::int64_t>(place->seq));
    object->Text(fmt::format("{}_position", which), JournalPlace(audit.partition, place->offset));
    object->Text(fmt::format("{}_time", which), FormatRfc3339(place->now));
  }
}

std::string RangeJson(const PartitionAudit& audit) {
  JsonObject object;
  object.Integer("partition", audit.partition);
  object.Text("began_from", audit.began_seq == 0 ? "zero" : "snapshot");
  object.Integer("began_seq", static_cast<std::int64_t>(audit.began_seq));
  if (audit.resumed_seq > 0) {
    object.Integer("resumed_seq", static_cast<std::int64_t>(audit.resumed_seq));
  }
  AddPlace("first", audit, audit.first, &object);
  AddPlace("last", audit, audit.last, &object);
  object.Integer("batches", static_cast<std::int64_t>(audit.counts.batches));
  object.Integer("records", static_cast<std::int64_t>(audit.counts.records));
  object.Integer("decisions", static_cast<std::int64_t>(audit.counts.decisions));
  object.Bool("complete", !audit.finding && audit.status.ok());
  return object.Take();
}

}  // namespace

std::string FindingText(std::int32_t partition, const AuditFinding& finding) {
  std::string text = fmt::format(
      "MISMATCH at {}, seq {}{}: {}: {}\n", JournalPlace(partition, finding.journal_offset),
      finding.seq, finding.before_range ? ", before the range" : "", WhyOf(finding), finding.what);
  if (const auto sides = SidesOfJournal(finding)) {
    text +=
        " journal record of the batch, as recorded and as decided again:\n" + SideText("", *sides);
  }
  if (const auto sides = SidesOfRecord(finding)) {
    const auto topic = static_cast<std::uint32_t>(finding.record->topic);
    const std::string place =
        finding.record->offset >= 0
            ? PositionText(topic, static_cast<std::uint32_t>(partition), finding.record->offset)
            : fmt::format("{}, record {} of the batch", schemas::NameOf(finding.record->topic),
                          finding.record->index);
    text += fmt::format(" {}, {}:\n{}", place,
                        finding.expects_stored ? "as recorded and as decided again"
                                               : "as the journal names it and as it is stored",
                        SideText("nothing on the other side", *sides));
  }
  return text;
}

std::string FindingJson(std::int32_t partition, const AuditFinding& finding) {
  JsonObject object;
  object.Integer("partition", partition);
  object.Integer("seq", static_cast<std::int64_t>(finding.seq));
  object.Integer("journal_offset", finding.journal_offset);
  object.Text("kind", finding.history_changed ? "history_changed" : "engine_differs");
  object.Text("what", finding.what);
  object.Bool("before_range", finding.before_range);
  if (const auto sides = SidesOfRecord(finding)) {
    object.Text("topic", schemas::NameOf(finding.record->topic));
    object.Integer("index", static_cast<std::int64_t>(finding.record->index));
    if (finding.record->offset >= 0) {
      object.Integer("offset", finding.record->offset);
    }
    object.Raw("expected", sides->expected);
    object.Raw("found", sides->found);
  }
  if (const auto sides = SidesOfJournal(finding)) {
    JsonObject journal;
    journal.Raw("expected", sides->expected);
    journal.Raw("found", sides->found);
    object.Raw("journal", journal.Take());
  }
  return object.Take();
}

void PrintAudit(const Session& session, const AuditReport& report) {
  AuditCounts sum;
  JsonList details;
  JsonList ranges;
  std::int64_t mismatches = 0;
  for (const PartitionAudit& audit : report.partitions) {
    sum.batches += audit.counts.batches;
    sum.records += audit.counts.records;
    sum.decisions += audit.counts.decisions;
    ranges.Raw(RangeJson(audit));
    if (audit.finding) {
      ++mismatches;
      details.Raw(FindingJson(audit.partition, *audit.finding));
    }
  }
  const double seconds = std::max(1e-3, static_cast<double>(report.took.count()) / 1e6);
  const double rate = static_cast<double>(sum.records) / seconds;
  if (session.Json()) {
    JsonObject object;
    object.Integer("batches", static_cast<std::int64_t>(sum.batches));
    object.Integer("records", static_cast<std::int64_t>(sum.records));
    object.Integer("decisions", static_cast<std::int64_t>(sum.decisions));
    object.Integer("mismatches", mismatches);
    object.Number("elapsed_s", seconds);
    object.Number("records_per_s", rate);
    if (mismatches > 0) {
      object.Raw("details", details.Take());
    }
    if (!report.tenant.empty()) {
      object.Text("tenant", report.tenant);
    }
    object.Raw("ranges", ranges.Take());
    session.io.out << object.Take() << "\n";
    return;
  }
  session.io.out << fmt::format(
      "batches        {}\nrecords        {}\ndecisions      {}{}\nmismatches     {}\n"
      "elapsed        {:.1f} s, {} records a second\n",
      Grouped(sum.batches), Grouped(sum.records), Grouped(sum.decisions),
      report.tenant.empty() ? "" : fmt::format(" of {}", report.tenant), mismatches, seconds,
      Grouped(static_cast<std::uint64_t>(rate)));
  for (const PartitionAudit& audit : report.partitions) {
    session.io.out << RangeText(audit) << "\n";
  }
}

}  // namespace alertstream::cli
