#include "processor/runtime/audit_outputs.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "processor/base/clock.h"
#include "processor/base/crypto.h"
#include "processor/journal/chain.h"
#include "processor/journal/merkle.h"

namespace alertstream::runtime {
namespace {

constexpr std::size_t kRecordsAhead = 2048;
constexpr std::size_t kFetchBytes = 8 << 20;
constexpr auto kStep = std::chrono::milliseconds(10);
// What is looked at one by one when a place is looked for: a new reader costs more than these.
constexpr std::int64_t kNearRecords = 20'000;

bool IsMarker(const log::RecordView& record) {
  return record.key == schemas::kLogKey && record.offset == 0;
}

// Nothing: the record was not made by a batch, or something stands beside its stamp.
std::optional<journal::Stamp> StampOf(const log::RecordView& record) {
  if (record.headers.size() != 1 || record.headers.front().name != journal::kStampHeader) {
    return std::nullopt;
  }
  return journal::DecodeStamp(record.headers.front().value);
}

// The batch of the first stamped record at or after `offset`; nothing: there is none before `end`.
Result<std::optional<std::uint64_t>> BatchAt(log::EventLog& log, log::TopicPartition where,
                                             std::int64_t offset, std::int64_t end,
                                             const AuditOutputs::Options& options) {
  const log::ReadFrom from{where, offset};
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto reader, log.OpenReader(std::span(&from, 1)));
  const auto deadline = SystemClock().SinceBoot() + options.read_timeout;
  while (reader->Position(0) < end) {
    log::Fetched fetched;
    ALERTSTREAM_RETURN_IF_ERROR(reader->Fetch(0, {16, kFetchBytes}, &fetched));
    for (const auto& record : fetched.records) {
      if (const auto stamp = StampOf(record)) {
        return std::optional<std::uint64_t>(stamp->seq);
      }
    }
    if (!fetched.records.empty()) {
      continue;
    }
    if ((options.cancelled && options.cancelled()) || SystemClock().SinceBoot() >= deadline) {
      return Error(ErrorCode::kUnavailable,
                   fmt::format("{} partition {} cannot be read at offset {}",
                               schemas::NameOf(where.topic), where.partition, offset));
    }
    reader->Wait(kStep);
  }
  return std::optional<std::uint64_t>();
}

// An offset near the first record of batch `options.seq`, and not behind it.
Result<std::int64_t> FindStart(log::EventLog& log, log::TopicPartition where,
                               const AuditOutputs::Options& options) {
  if (options.seq <= 1) {
    return 0;
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto ends, log.Ends(std::span(&where, 1), log::EndKind::kStable, options.read_timeout));
  std::int64_t low = 0;  // What lies before it is of earlier batches.
  std::int64_t high = ends[0];
  while (high - low > kNearRecords) {
    const std::int64_t middle = low + (high - low) / 2;
    ALERTSTREAM_ASSIGN_OR_RETURN(const auto seq, BatchAt(log, where, middle, ends[0], options));
    if (seq && *seq < options.seq) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low;
}

}  // namespace

// The stored records of one topic that belong to a batch.
struct AuditOutputs::Batch {
  const v1::JournalRecord& recorded;
  std::size_t count;                                 // On the side that has more.
  std::size_t looked_at = 0;                         // Of what is at hand.
  std::vector<log::RecordView> in_order = {};        // All but what superseded owners left.
  std::vector<std::optional<log::RecordView>> at{};  // By index; `count` of them.
  std::vector<log::RecordView> extra = {};           // That have no place.
};

Result<std::unique_ptr<AuditOutputs>> AuditOutputs::Open(log::EventLog& log,
                                                         const Options& options) {
  auto outputs = std::unique_ptr<AuditOutputs>(new AuditOutputs(log, options));
  std::vector<log::ReadFrom> from;
  for (std::size_t i = 0; i < engine::kOutputTopics.size(); ++i) {
    const log::TopicPartition where{engine::kOutputTopics[i], options.partition};
    std::int64_t start = 0;
    if (options.from) {
      start = (*options.from)[i];
    } else {
      ALERTSTREAM_ASSIGN_OR_RETURN(start, FindStart(log, where, options));
    }
    from.push_back({where, start});
    outputs->begun_[i] = options.from.has_value() || options.seq <= 1;
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(outputs->sources_, Sources::Open(log, std::move(from)));
  return outputs;
}

AuditOutputs::Positions AuditOutputs::positions() const {
  Positions positions{};
  for (std::size_t i = 0; i < positions.size(); ++i) {
    positions[i] = sources_->Passed(i);
  }
  return positions;
}

// False: the log holds no more.
Result<bool> AuditOutputs::FetchMore(std::size_t source) {
  const log::TopicPartition where{engine::kOutputTopics[source], options_.partition};
  const auto deadline = SystemClock().SinceBoot() + options_.read_timeout;
  std::optional<std::int64_t> end;
  for (;;) {
    const std::size_t before = sources_->AtHand(source).size();
    ALERTSTREAM_RETURN_IF_ERROR(sources_->Fill(source, before + kRecordsAhead, kFetchBytes));
    if (sources_->AtHand(source).size() > before) {
      return true;
    }
    if (!end) {
      ALERTSTREAM_ASSIGN_OR_RETURN(
          const auto ends,
          log_.Ends(std::span(&where, 1), log::EndKind::kStable, options_.read_timeout));
      end = ends[0];
    }
    if (sources_->reader().Position(source) >= *end) {
      return false;
    }
    if ((options_.cancelled && options_.cancelled()) || SystemClock().SinceBoot() >= deadline) {
      return Error(ErrorCode::kUnavailable,
                   fmt::format("{} partition {} cannot be read beyond offset {}",
                               schemas::NameOf(where.topic), where.partition,
                               sources_->reader().Position(source)));
    }
    sources_->Pause(kStep);
  }
}

Status AuditOutputs::Gather(std::size_t source, Batch* batch) {
  batch->at.resize(batch->count);
  std::size_t placed = 0;
  for (;; ++batch->looked_at) {
    if (sources_->AtHand(source).size() <= batch->looked_at) {
      if (placed == batch->count) {
        return Status::Ok();  // Whatever follows belongs to a later batch, or is found with it.
      }
      ALERTSTREAM_ASSIGN_OR_RETURN(const bool more, FetchMore(source));
      if (!more) {
        return Status::Ok();
      }
    }
    const log::RecordView& record = sources_->AtHand(source)[batch->looked_at];
    if (IsMarker(record)) {
      continue;
    }
    const auto stamp = StampOf(record);
    if (stamp && stamp->owner_epoch < batch->recorded.owner_epoch()) {
      continue;  // Of a superseded owner: no reader takes it.
    }
    if (stamp && stamp->seq > batch->recorded.seq()) {
      return Status::Ok();
    }
    if (!begun_[source] && (!stamp || stamp->seq < batch->recorded.seq())) {
      continue;
    }
    batch->in_order.push_back(record);
    const bool fits = stamp && stamp->seq == batch->recorded.seq() &&
                      stamp->partition == batch->recorded.partition() &&
                      stamp->owner_epoch == batch->recorded.owner_epoch() &&
                      stamp->index < batch->count && !batch->at[stamp->index];
    if (fits) {
      batch->at[stamp->index] = record;
      ++placed;
    } else {
      batch->extra.push_back(record);
    }
  }
}

namespace {

void AddDifference(OutputDifference difference, TakenOutputs* taken) {
  if (taken->differences.size() < kOutputDifferencesMax) {
    taken->differences.push_back(std::move(difference));
  }
}

}  // namespace

Status AuditOutputs::TakeTopic(std::size_t source, const v1::JournalRecord& recorded,
                               const engine::OutputBuffer& decided, bool with_roots,
                               TakenOutputs* taken) {
  const schemas::Topic topic = engine::kOutputTopics[source];
  const auto named = std::find_if(
      recorded.outputs().begin(), recorded.outputs().end(),
      [&](const auto& output) { return output.topic() == static_cast<std::uint32_t>(topic); });
  const std::size_t named_count =
      named == recorded.outputs().end() ? 0 : static_cast<std::size_t>(named->count());
  if (named_count == 0 && decided.count() == 0) {
    return Status::Ok();
  }
  // A count that no batch can have is a forged one: what is stored tells how many there are.
  Batch batch{.recorded = recorded,
              .count = std::max(decided.count(),
                                std::min(named_count, decided.count() + kOutputDifferencesMax))};
  ALERTSTREAM_RETURN_IF_ERROR(Gather(source, &batch));
  begun_[source] = true;
  const std::size_t before = taken->differences.size();
  for (std::size_t i = 0; i < batch.count; ++i) {
    const auto& stored = batch.at[i];
    const bool again = i < decided.count();
    if ((!stored && !again) ||
        (stored && again && stored->key == decided.key(i) && stored->value == decided.value(i))) {
      continue;
    }
    OutputDifference difference{.topic = topic, .index = i};
    if (stored) {
      difference.offset = stored->offset;
      difference.stored = std::string(stored->value);
    }
    if (again) {
      difference.decided = std::string(decided.value(i));
    }
    AddDifference(std::move(difference), taken);
  }
  for (const auto& extra : batch.extra) {
    AddDifference({.topic = topic,
                   .index = batch.count,
                   .offset = extra.offset,
                   .stored = std::string(extra.value),
                   .decided = std::nullopt},
                  taken);
  }
  if (with_roots || taken->differences.size() > before) {
    journal::MerkleTree tree;
    for (const auto& stored : batch.in_order) {
      // The stamp is no part of a leaf.
      tree.Add(journal::LeafOfOutput(stored.key, stored.headers, stored.value));
    }
    const Digest root = tree.Root();
    taken->as_recorded = taken->as_recorded && tree.count() == named_count &&
                         (named_count == 0 || named->root() == AsView(root));
  }
  sources_->Consume(source, batch.looked_at);
  return Status::Ok();
}

Result<TakenOutputs> AuditOutputs::Take(const v1::JournalRecord& recorded,
                                        const engine::Effects& effects, bool with_roots) {
  TakenOutputs taken;
  for (std::size_t source = 0; source < engine::kOutputTopics.size(); ++source) {
    ALERTSTREAM_RETURN_IF_ERROR(TakeTopic(source, recorded,
                                          engine::OutputsOf(effects, engine::kOutputTopics[source]),
                                          with_roots, &taken));
  }
  return taken;
}

}  // namespace alertstream::runtime
