#include "processor/runtime/replayer.h"

#include <algorithm>

#include <fmt/format.h>

#include "processor/base/clock.h"
#include "processor/base/safeguards.h"
#include "processor/engine/dead_letter.h"
#include "processor/journal/merkle.h"

namespace alertstream::runtime {
namespace {

constexpr std::size_t kJournalSource = 0;
constexpr std::size_t kInputSources = 1;
constexpr std::size_t kOutputSources = kInputSources + schemas::kInputTopicCount;
constexpr std::size_t kJournalRecordsAhead = 256;
constexpr std::size_t kOutputRecordsAhead = 2048;
constexpr std::size_t kFetchBytes = 8 << 20;
// One question for an end waits this long, and is repeated until the read time-out: in between it
// is seen that the caller is to stop.
constexpr std::chrono::milliseconds kAskTimeout{2'000};

std::size_t InputIndex(std::uint32_t topic) {
  for (std::size_t i = 0; i < schemas::kInputTopics.size(); ++i) {
    if (static_cast<std::uint32_t>(schemas::kInputTopics[i]) == topic) {
      return i;
    }
  }
  return schemas::kInputTopics.size();
}

bool Parse(const log::RecordView& record, v1::JournalRecord* decoded) {
  return decoded->ParseFromArray(record.value.data(), static_cast<int>(record.value.size()));
}

}  // namespace

Result<std::unique_ptr<Replayer>> Replayer::Open(log::EventLog& log, PartitionState& state,
                                                 const ReplayOptions& options) {
  auto replayer = std::unique_ptr<Replayer>(new Replayer(log, state, options));
  ALERTSTREAM_RETURN_IF_ERROR(replayer->OpenSources());
  return replayer;
}

Status Replayer::OpenSources() {
  const auto partition = static_cast<std::int32_t>(state_.partition());
  std::vector<log::ReadFrom> from;
  from.push_back(
      {{schemas::Topic::kJournal, partition}, std::max<std::int64_t>(0, state_.journal_hint())});
  for (std::size_t i = 0; i < schemas::kInputTopics.size(); ++i) {
    from.push_back({{schemas::kInputTopics[i], partition}, state_.positions()[i]});
  }
  if (options_.check_outputs) {
    ALERTSTREAM_CHECK(state_.tail().seq == 0);  // Outputs are compared from the beginning.
    for (const schemas::Topic topic : engine::kOutputTopics) {
      from.push_back({{topic, partition}, 0});
    }
  }
  read_.clear();
  for (const auto& source : from) {
    read_.push_back(source.source);
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(sources_, Sources::Open(log_, std::move(from)));
  tail_verified_ = state_.tail().seq == 0;
  return Status::Ok();
}

Result<std::int64_t> Replayer::EndOf(const log::TopicPartition& partition) {
  const auto deadline = SystemClock().SinceBoot() + options_.read_timeout;
  for (;;) {
    const auto asked = SystemClock().SinceBoot();
    const auto ends = log_.Ends(std::span(&partition, 1), log::EndKind::kStable,
                                std::min(kAskTimeout, options_.read_timeout));
    if (ends.ok()) {
      return ends.value()[0];
    }
    const auto now = SystemClock().SinceBoot();
    const bool waited = now - asked >= kAskTimeout;  // Else there was another reason.
    if (!waited || Cancelled() || now + kAskTimeout > deadline) {
      return ends.error();
    }
  }
}

Error Replayer::AheadOfJournal() const {
  return {ErrorCode::kConflict,
          fmt::format("state of partition {} is ahead of the journal: it stands at seq {}, which "
                      "the journal does not have. The log was truncated or restored from an older "
                      "copy; restore it, or delete the partition's state and snapshots to accept "
                      "the shorter history",
                      state_.partition(), state_.tail().seq)};
}

Status Replayer::CatchUp(const Progress& progress) {
  ALERTSTREAM_ASSIGN_OR_RETURN(end_, EndOf(read_[kJournalSource]));
  if (!tail_verified_ && state_.journal_hint() >= end_) {
    if (options_.near_hint) {
      return AheadOfJournal();
    }
    // A journal that is shorter than the store remembers has no such position to read from.
    state_.set_journal_hint(0);
    ALERTSTREAM_RETURN_IF_ERROR(OpenSources());
  }
  for (;;) {
    ALERTSTREAM_ASSIGN_OR_RETURN(const bool more, Step());
    if (Cancelled()) {
      return Error(ErrorCode::kUnavailable, "stopped while catching up with the journal");
    }
    if (progress != nullptr) {
      progress(std::min(end_, sources_->Passed(kJournalSource)), end_);
    }
    if (more) {
      continue;
    }
    if (tail_verified_ || state_.journal_hint() == 0) {
      break;
    }
    if (options_.near_hint) {
      return AheadOfJournal();
    }
    // Aborted transactions after the tail's record can push the hint past it: from the beginning.
    state_.set_journal_hint(0);
    ALERTSTREAM_RETURN_IF_ERROR(OpenSources());
  }
  if (!tail_verified_) {
    return AheadOfJournal();
  }
  return Status::Ok();
}

Status Replayer::VerifyTail(const log::RecordView& record, const v1::JournalRecord& decoded) {
  const journal::Tail& tail = state_.tail();
  if (decoded.seq() < tail.seq) {
    return Status::Ok();
  }
  if (decoded.seq() > tail.seq) {
    // The hint was past the record: look from the beginning, once.
    if (state_.journal_hint() == 0) {
      return Error(ErrorCode::kCorrupt, fmt::format("journal of partition {}: seq {} is missing",
                                                    state_.partition(), tail.seq));
    }
    if (options_.near_hint) {
      return AheadOfJournal();
    }
    state_.set_journal_hint(0);
    return OpenSources();
  }
  if (Sha256::Of(record.value) != tail.hash) {
    if (decoded.owner_epoch() < tail.owner_epoch) {
      return Status::Ok();  // Of a superseded owner.
    }
    return Error(ErrorCode::kConflict,
                 fmt::format("state of partition {}: journal record seq {} has another hash than "
                             "the one this state was made from; it is of another history. Delete "
                             "the partition's state and snapshots to rebuild it",
                             state_.partition(), tail.seq));
  }
  if (Holds(Safeguard::kRootComparison) && decoded.state_root() != state_.map_root().ToBytes()) {
    state_.set_differs();
    return Error(ErrorCode::kCorrupt,
                 fmt::format("state of partition {} at seq {}: its root is {}, the journal has {}; "
                             "it is damaged. A snapshot takes its place if there is one; else "
                             "delete the state directory, it is rebuilt from the journal",
                             state_.partition(), tail.seq, ToHex(state_.map_root().ToBytes()),
                             ToHex(decoded.state_root())));
  }
  tail_verified_ = true;
  return Status::Ok();
}

Result<bool> Replayer::Step() {
  constexpr auto kStep = std::chrono::milliseconds(10);
  const auto deadline = SystemClock().SinceBoot() + options_.read_timeout;
  for (;;) {
    if (sources_->AtHand(kJournalSource).empty()) {
      ALERTSTREAM_RETURN_IF_ERROR(
          sources_->Fill(kJournalSource, kJournalRecordsAhead, kFetchBytes));
    }
    const auto at_hand = sources_->AtHand(kJournalSource);
    if (at_hand.empty() || at_hand.front().offset >= end_) {
      if (sources_->Passed(kJournalSource) >= end_) {
        return false;
      }
      if (Cancelled() || SystemClock().SinceBoot() >= deadline) {
        return Error(ErrorCode::kUnavailable,
                     fmt::format("journal of partition {} cannot be read", state_.partition()));
      }
      sources_->Pause(kStep);
      continue;
    }
    const log::RecordView& record = at_hand.front();
    v1::JournalRecord decoded;
    if (record.key == schemas::kLogKey && record.offset == 0) {
      sources_->Consume(kJournalSource, 1);  // The marker.
      continue;
    }
    if (!Parse(record, &decoded)) {
      return Error(ErrorCode::kCorrupt,
                   fmt::format("journal of partition {} at offset {}: no journal record",
                               state_.partition(), record.offset));
    }
    if (tail_verified_ && IsBeyond(record, decoded)) {
      return false;
    }
    if (!tail_verified_) {
      const auto hint = state_.journal_hint();
      ALERTSTREAM_RETURN_IF_ERROR(VerifyTail(record, decoded));
      if (state_.journal_hint() == hint) {
        sources_->Consume(kJournalSource, 1);
      }
      continue;
    }
    auto tail = journal::Continue(state_.tail(), decoded, record.value, record.offset,
                                  state_.config().log_id, state_.partition());
    if (!tail.ok() && tail.error().code() == ErrorCode::kConflict) {
      sources_->Consume(kJournalSource, 1);
      continue;
    }
    if (!tail.ok()) {
      return tail.error();
    }
    ALERTSTREAM_RETURN_IF_ERROR(Apply(decoded, std::move(tail).value()));
    sources_->Consume(kJournalSource, 1);
    return true;
  }
}

bool Replayer::IsBeyond(const log::RecordView& record, const v1::JournalRecord& decoded) const {
  return (options_.now_max && FromMicros(decoded.now_us()) > *options_.now_max) ||
         (options_.offset_max && record.offset > *options_.offset_max);
}

Status Replayer::Apply(const v1::JournalRecord& record, journal::Tail tail) {
  if (record.engine_version() > options_.engine_version_max) {
    return Error(ErrorCode::kInvalid,
                 fmt::format("partition {} seq {} was decided by engine version {}, this program "
                             "knows versions up to {}: use a newer program",
                             state_.partition(), record.seq(), record.engine_version(),
                             options_.engine_version_max));
  }
  journal_offset_ = tail.offset;
  effects_.Clear();
  v1::JournalRecord refolded;
  refolded.set_partition(record.partition());
  const v1::JournalKind kind = record.kind();
  if (kind == v1::JOURNAL_KIND_BATCH) {
    ALERTSTREAM_RETURN_IF_ERROR(FoldBatch(record, &refolded));
  } else if (kind == v1::JOURNAL_KIND_SKIP) {
    ALERTSTREAM_RETURN_IF_ERROR(FoldSkip(record, &refolded));
  } else if (kind == v1::JOURNAL_KIND_CLAIM || kind == v1::JOURNAL_KIND_BARRIER) {
    refolded.set_state_root(state_.map().SealBatch().ToBytes());
  } else {
    return Error(ErrorCode::kCorrupt, fmt::format("journal of partition {} seq {}: unknown kind",
                                                  state_.partition(), record.seq()));
  }
  if (!state_.map().status().ok()) {
    return state_.map().status();
  }
  const Difference difference = Compare(record, refolded);
  if (options_.inspect) {
    ALERTSTREAM_RETURN_IF_ERROR(options_.inspect({.recorded = record,
                                                  .refolded = refolded,
                                                  .difference = difference,
                                                  .effects = effects_,
                                                  .journal_offset = tail.offset}));
  }
  if (Holds(Safeguard::kRootComparison) && (difference.inputs || difference.outputs)) {
    mismatch_ = Mismatch{.seq = record.seq(),
                         .journal_offset = tail.offset,
                         .history_changed = difference.inputs,
                         .what = difference.what};
    return Error(
        ErrorCode::kCorrupt,
        fmt::format("partition {} seq {}: {}: {}", state_.partition(), record.seq(),
                    difference.inputs ? "history changed" : "the engine differs", difference.what));
  }
  if (options_.check_outputs) {
    ALERTSTREAM_RETURN_IF_ERROR(CheckOutputs(record));
  }
  state_.set_journal_hint(tail.offset);
  state_.Accept(record, std::move(tail));
  ++progress_.batches;
  for (const auto& input : record.inputs()) {
    progress_.records += input.count();
  }
  progress_.decisions += effects_.decisions.count();
  return state_.FlushIfLarge();
}

Error Replayer::HistoryChanged(const v1::JournalRecord& record, std::string what) {
  mismatch_ = Mismatch{.seq = record.seq(),
                       .journal_offset = journal_offset_,
                       .history_changed = true,
                       .what = std::move(what)};
  return Error(ErrorCode::kCorrupt, fmt::format("partition {} seq {}: history changed: {}",
                                                state_.partition(), record.seq(), mismatch_->what));
}

// Waits for records of `source` and fetches up to `records` of them. False: the log holds no more.
Result<bool> Replayer::FetchMore(std::size_t source, std::size_t records) {
  constexpr auto kStep = std::chrono::milliseconds(10);
  const auto deadline = SystemClock().SinceBoot() + options_.read_timeout;
  for (;;) {
    const std::size_t before = sources_->AtHand(source).size();
    ALERTSTREAM_RETURN_IF_ERROR(sources_->Fill(source, before + records, kFetchBytes));
    if (sources_->AtHand(source).size() > before) {
      return true;
    }
    ALERTSTREAM_ASSIGN_OR_RETURN(const std::int64_t end, EndOf(read_[source]));
    if (sources_->reader().Position(source) >= end) {
      return false;
    }
    if (Cancelled() || SystemClock().SinceBoot() >= deadline) {
      return Error(ErrorCode::kUnavailable,
                   fmt::format("{} partition {} cannot be read beyond offset {}",
                               schemas::NameOf(read_[source].topic), state_.partition(),
                               sources_->reader().Position(source)));
    }
    sources_->Pause(kStep);
  }
}

Status Replayer::TakeInputs(const v1::JournalRecord& record) {
  spans_ = {};
  for (const auto& input : record.inputs()) {
    const std::size_t i = InputIndex(input.topic());
    if (i >= spans_.size()) {
      return Error(ErrorCode::kCorrupt, fmt::format("journal seq {}: unknown input topic {}",
                                                    record.seq(), input.topic()));
    }
    // Records of the range, not `count` of them: one that is missing must show as another root.
    const std::size_t source = kInputSources + i;
    while (sources_->reader().Position(source) < input.next()) {
      ALERTSTREAM_ASSIGN_OR_RETURN(const bool more, FetchMore(source, engine::kBatchRecordsMax));
      if (!more && sources_->reader().Position(source) < input.next()) {
        return HistoryChanged(
            record, fmt::format("{} ends at offset {}, the journal names records up to {}",
                                schemas::NameOf(schemas::kInputTopics[i]),
                                sources_->reader().Position(source), input.next()));
      }
    }
    auto at_hand = sources_->AtHand(source);
    // The marker at offset 0 was consumed by the first batch like any record.
    std::size_t count = 0;
    while (count < at_hand.size() && at_hand[count].offset < input.next()) {
      ++count;
    }
    spans_[i] = at_hand.first(count);
  }
  return Status::Ok();
}

Status Replayer::FoldBatch(const v1::JournalRecord& record, v1::JournalRecord* refolded) {
  ALERTSTREAM_RETURN_IF_ERROR(TakeInputs(record));
  engine::FoldBatch batch;
  batch.now = FromMicros(record.now_us());
  batch.engine_version = record.engine_version();
  batch.timers_max = record.timers_fired();
  batch.inputs = spans_;
  state_.fold().Run(batch, &effects_);
  DescribeBatch(state_.positions(), spans_, effects_, state_.map().SealBatch(), refolded);
  for (std::size_t i = 0; i < spans_.size(); ++i) {
    if (effects_.consumed[i] != spans_[i].size()) {
      // The engine took less than it did then: shown as a state that is not the recorded one.
      refolded->clear_state_root();
    }
    sources_->Consume(kInputSources + i, spans_[i].size());
  }
  return Status::Ok();
}

void FoldSkippedRecord(const PartitionState& state, schemas::Topic topic,
                       const log::RecordView& record, const v1::JournalSkip& skip, LogTime now,
                       engine::Effects* effects) {
  effects->Clear();
  const schemas::DecodeFault fault{
      v1::DEAD_LETTER_STAGE_SKIP,
      skip.automatic() ? v1::DEAD_LETTER_REASON_CRASHED_PROCESS
                       : v1::DEAD_LETTER_REASON_SKIPPED_BY_OPERATOR,
      skip.automatic() ? "the process died twice on this record" : skip.reason()};
  engine::AddDeadLetter(
      {.topic = topic,
       .partition = state.partition(),
       .record = record,
       .fault = fault,
       .tenant = schemas::IsTenantId(record.key) ? record.key : std::string_view(),
       .now = now},
      effects);
}

Status Replayer::FoldSkip(const v1::JournalRecord& record, v1::JournalRecord* refolded) {
  ALERTSTREAM_RETURN_IF_ERROR(TakeInputs(record));
  const auto topic = record.skip().record().topic();
  const std::size_t i = InputIndex(topic);
  if (i >= spans_.size() || spans_[i].size() != 1) {
    return Error(ErrorCode::kCorrupt,
                 fmt::format("journal seq {}: a SKIP names exactly one record", record.seq()));
  }
  FoldSkippedRecord(state_, schemas::kInputTopics[i], spans_[i].front(), record.skip(),
                    FromMicros(record.now_us()), &effects_);
  DescribeBatch(state_.positions(), spans_, effects_, state_.map().SealBatch(), refolded);
  sources_->Consume(kInputSources + i, 1);
  return Status::Ok();
}

namespace {

// Whether `stored` is the output of this key and value, with nothing but its stamp beside them.
bool IsStored(const log::RecordView& stored, std::string_view key, std::string_view value) {
  return stored.key == key && stored.value == value &&
         std::all_of(stored.headers.begin(), stored.headers.end(),
                     [](const auto& header) { return header.name == journal::kStampHeader; });
}

}  // namespace

Status Replayer::CheckOutputs(const v1::JournalRecord& record) {
  for (std::size_t t = 0; t < engine::kOutputTopics.size(); ++t) {
    const schemas::Topic topic = engine::kOutputTopics[t];
    const auto recorded = std::find_if(
        record.outputs().begin(), record.outputs().end(),
        [&](const auto& output) { return output.topic() == static_cast<std::uint32_t>(topic); });
    if (recorded == record.outputs().end()) {
      continue;
    }
    const std::size_t source = kOutputSources + t;
    // The roots agree, so what was decided again is what the journal names: the stored records must
    // be the same bytes.
    const engine::OutputBuffer& decided = engine::OutputsOf(effects_, topic);
    ALERTSTREAM_CHECK(decided.count() == recorded->count());
    for (std::size_t i = 0; i < decided.count();) {
      if (sources_->AtHand(source).empty()) {
        ALERTSTREAM_ASSIGN_OR_RETURN(const bool more, FetchMore(source, kOutputRecordsAhead));
        if (!more) {
          return HistoryChanged(record, fmt::format("{}: {} records are missing",
                                                    schemas::NameOf(topic), decided.count() - i));
        }
      }
      const log::RecordView output = sources_->AtHand(source).front();
      if (output.key != schemas::kLogKey || output.offset != 0) {
        if (!IsStored(output, decided.key(i), decided.value(i))) {
          return HistoryChanged(
              record, fmt::format("{}: the stored record at offset {} is not the one that the "
                                  "journal names",
                                  schemas::NameOf(topic), output.offset));
        }
        ++i;
      }
      sources_->Consume(source, 1);
    }
  }
  return Status::Ok();
}

}  // namespace alertstream::runtime
