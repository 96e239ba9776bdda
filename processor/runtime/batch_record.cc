#include "processor/runtime/batch_record.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "processor/engine/tables.h"
#include "processor/journal/merkle.h"

namespace alertstream::runtime {
namespace {

std::string RootBytes(const journal::MerkleTree& tree) {
  const Digest root = tree.Root();
  return std::string(AsView(root));
}

std::vector<log::Header> RerouteHeaders(const log::RecordView& record, const std::string& origin) {
  std::vector<log::Header> headers(record.headers.begin(), record.headers.end());
  headers.push_back({kOriginHeader, origin});
  return headers;
}

std::string OriginOf(schemas::Topic topic, std::uint32_t partition, std::int64_t offset) {
  return fmt::format("{}/{}/{}", schemas::NameOf(topic), partition, offset);
}

const log::RecordView& RecordOf(const InputSpans& inputs, const engine::Reroute& reroute) {
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (schemas::kInputTopics[i] == reroute.topic) {
      return inputs[i][reroute.index];
    }
  }
  ALERTSTREAM_CHECK(false && "a re-route of no input topic");
}

void DescribeReroutes(const InputSpans& inputs, const engine::Effects& effects,
                      v1::JournalRecord* record) {
  std::map<std::pair<schemas::Topic, std::int32_t>, journal::MerkleTree> trees;
  for (const auto& reroute : effects.reroutes) {
    const log::RecordView& moved = RecordOf(inputs, reroute);
    const std::string origin = OriginOf(reroute.topic, record->partition(), moved.offset);
    trees[{reroute.topic, reroute.to_partition}].Add(
        journal::LeafOfOutput(moved.key, RerouteHeaders(moved, origin), moved.value));
  }
  for (const auto& [where, tree] : trees) {
    auto* rerouted = record->add_rerouted();
    rerouted->set_topic(static_cast<std::uint32_t>(where.first));
    rerouted->set_to_partition(static_cast<std::uint32_t>(where.second));
    rerouted->set_count(tree.count());
    rerouted->set_root(RootBytes(tree));
  }
}

}  // namespace

std::string InputRoot(std::span<const log::RecordView> records) {
  journal::MerkleTree tree;
  for (const auto& input : records) {
    tree.Add(journal::LeafOfInput(input));
  }
  return RootBytes(tree);
}

void DescribeBatch(const std::array<std::int64_t, schemas::kInputTopicCount>& positions,
                   const InputSpans& consumed, const engine::Effects& effects,
                   const state::StateRoot& root, v1::JournalRecord* record) {
  for (std::size_t i = 0; i < consumed.size(); ++i) {
    if (consumed[i].empty()) {
      continue;
    }
    auto* input = record->add_inputs();
    input->set_topic(static_cast<std::uint32_t>(schemas::kInputTopics[i]));
    input->set_first(positions[i]);
    input->set_next(consumed[i].back().offset + 1);
    input->set_count(consumed[i].size());
    input->set_root(InputRoot(consumed[i]));
  }
  record->set_timers_fired(effects.timers_fired);
  for (const schemas::Topic topic : engine::kOutputTopics) {
    const engine::OutputBuffer& outputs = engine::OutputsOf(effects, topic);
    if (outputs.count() == 0) {
      continue;
    }
    journal::MerkleTree tree;
    for (std::size_t i = 0; i < outputs.count(); ++i) {
      tree.Add(journal::LeafOfOutput(outputs.key(i), {}, outputs.value(i)));
    }
    auto* output = record->add_outputs();
    output->set_topic(static_cast<std::uint32_t>(topic));
    output->set_count(outputs.count());
    output->set_root(RootBytes(tree));
  }
  DescribeReroutes(consumed, effects, record);
  record->set_state_root(root.ToBytes());
}

void StampRecord(const PartitionState& state, const Owner& owner, LogTime now,
                 std::uint32_t engine_version, v1::JournalRecord* record) {
  const Digest& tables = engine::TablesHash();
  record->set_version(journal::kJournalVersion);
  record->set_log_id(state.config().log_id);
  record->set_generation(journal::kGeneration);
  record->set_partition(state.partition());
  record->set_seq(state.tail().seq + 1);
  record->set_owner_epoch(owner.epoch);
  record->set_owner_nonce(owner.nonce);
  record->set_now_us(ToMicros(now));
  record->set_engine_version(engine_version);
  record->set_schema_set(journal::kSchemaSet);
  record->set_tables_hash(std::string(AsView(tables)));
  record->set_prev_hash(std::string(AsView(state.tail().hash)));
}

namespace {

std::string TopicText(std::uint32_t topic) {
  return topic >= 1 && topic <= schemas::kTopicCount
             ? std::string(schemas::NameOf(static_cast<schemas::Topic>(topic)))
             : fmt::format("topic {}", topic);
}

std::string CompareInputs(const v1::JournalRecord& recorded, const v1::JournalRecord& refolded) {
  for (int i = 0; i < recorded.inputs_size(); ++i) {
    const auto& a = recorded.inputs(i);
    if (i >= refolded.inputs_size() || refolded.inputs(i).topic() != a.topic()) {
      return fmt::format("{} {}..{}: recorded {} records, found none", TopicText(a.topic()),
                         a.first(), a.next(), a.count());
    }
    const auto& b = refolded.inputs(i);
    if (a.SerializeAsString() != b.SerializeAsString()) {
      return fmt::format("{} {}..{}: recorded {} records with root {}, found {} with root {}",
                         TopicText(a.topic()), a.first(), a.next(), a.count(),
                         ToHex(a.root()).substr(0, 16), b.count(), ToHex(b.root()).substr(0, 16));
    }
  }
  // What is decided again takes its inputs from the record: it cannot have more.
  return recorded.inputs_size() == refolded.inputs_size() ? "" : "inputs: a topic twice";
}

std::string CompareOutputs(const v1::JournalRecord& recorded, const v1::JournalRecord& refolded) {
  if (recorded.timers_fired() != refolded.timers_fired()) {
    return fmt::format("timers_fired: recorded {}, decided again {}", recorded.timers_fired(),
                       refolded.timers_fired());
  }
  for (int i = 0; i < std::max(recorded.outputs_size(), refolded.outputs_size()); ++i) {
    if (i >= recorded.outputs_size() || i >= refolded.outputs_size()) {
      const bool missing = i >= refolded.outputs_size();
      const auto& only = missing ? recorded.outputs(i) : refolded.outputs(i);
      return fmt::format(
          "{}: {} records were {}", TopicText(only.topic()), only.count(),
          missing ? "recorded, none was decided again" : "decided, none is recorded");
    }
    const auto& a = recorded.outputs(i);
    const auto& b = refolded.outputs(i);
    if (a.SerializeAsString() != b.SerializeAsString()) {
      return fmt::format("{}: recorded {} records with root {}, decided again {} with root {}",
                         TopicText(a.topic()), a.count(), ToHex(a.root()).substr(0, 16), b.count(),
                         ToHex(b.root()).substr(0, 16));
    }
  }
  for (int i = 0; i < std::max(recorded.rerouted_size(), refolded.rerouted_size()); ++i) {
    if (i >= recorded.rerouted_size() || i >= refolded.rerouted_size() ||
        recorded.rerouted(i).SerializeAsString() != refolded.rerouted(i).SerializeAsString()) {
      return "rerouted: another set of records";
    }
  }
  if (recorded.state_root() != refolded.state_root()) {
    return fmt::format("state_root: recorded {}, decided again {}", ToHex(recorded.state_root()),
                       ToHex(refolded.state_root()));
  }
  return "";
}

}  // namespace

Difference Compare(const v1::JournalRecord& recorded, const v1::JournalRecord& refolded) {
  Difference difference;
  difference.what = CompareInputs(recorded, refolded);
  difference.inputs = !difference.what.empty();
  if (!difference.inputs) {
    difference.what = CompareOutputs(recorded, refolded);
    difference.outputs = !difference.what.empty();
  }
  return difference;
}

void Transaction::Build(const PartitionState& state, const InputSpans& inputs,
                        const engine::Effects& effects, const v1::JournalRecord& record) {
  const std::size_t count = effects.records();
  records_.clear();
  headers_.clear();
  stamps_.clear();
  reroute_headers_.clear();
  // Views into these: no growth after this point.
  records_.reserve(count + 1);
  headers_.reserve(count);
  stamps_.reserve(count * journal::kStampBytes);
  origins_.clear();
  origins_.reserve(effects.reroutes.size());
  reroute_headers_.reserve(effects.reroutes.size());
  const auto partition = static_cast<std::int32_t>(state.partition());
  for (const schemas::Topic topic : engine::kOutputTopics) {
    const engine::OutputBuffer& outputs = engine::OutputsOf(effects, topic);
    for (std::size_t i = 0; i < outputs.count(); ++i) {
      const std::size_t at = stamps_.size();
      journal::AppendStamp({.partition = state.partition(),
                            .seq = record.seq(),
                            .index = static_cast<std::uint32_t>(i),
                            .owner_epoch = record.owner_epoch()},
                           &stamps_);
      headers_.push_back({journal::kStampHeader, std::string_view(stamps_).substr(at)});
      records_.push_back(
          {topic, partition, outputs.key(i), outputs.value(i), std::span(&headers_.back(), 1)});
    }
  }
  for (const auto& reroute : effects.reroutes) {
    const log::RecordView& moved = RecordOf(inputs, reroute);
    origins_.push_back(OriginOf(reroute.topic, state.partition(), moved.offset));
    reroute_headers_.push_back(RerouteHeaders(moved, origins_.back()));
    records_.push_back(
        {reroute.topic, reroute.to_partition, moved.key, moved.value, reroute_headers_.back()});
  }
  journal_bytes_ = journal::EncodeJournal(record);
  records_.push_back({schemas::Topic::kJournal, partition, schemas::kLogKey, journal_bytes_});
}

}  // namespace alertstream::runtime
