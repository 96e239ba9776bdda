#include "ops/cli/commands/audit_partition.h"

#include <algorithm>
#include <memory>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "processor/base/crypto.h"
#include "processor/runtime/partition_state.h"
#include "schemas/decision.pb.h"
#include "schemas/output.pb.h"
#include "schemas/state.pb.h"

namespace alertstream::cli {
namespace {

using runtime::OutputDifference;

// Of each partition that is verified at the time; a small history needs no store at all.
constexpr std::size_t kCacheBytes = std::size_t{128} << 20;
// A state's meta names a place in the journal that lies up to so many offsets before its record:
// the record's own, and what its transaction may have left behind it.
constexpr std::int64_t kHintOffsetsMax = 4;

bool MatchesMeta(const AuditCheckpoint& checkpoint, const v1::StoreMeta& meta) {
  return checkpoint.reached.seq == meta.seq() &&
         checkpoint.journal_hash == ToHex(meta.journal_hash()) &&
         checkpoint.state_root == ToHex(meta.state_root());
}

Result<std::optional<v1::StoreMeta>> MetaOf(state::StateStore& store) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto bytes, store.Meta());
  if (!bytes) {
    return std::optional<v1::StoreMeta>();
  }
  v1::StoreMeta meta;
  if (!meta.ParseFromString(*bytes)) {
    return Error(ErrorCode::kCorrupt, "the meta of a state cannot be read");
  }
  return std::optional<v1::StoreMeta>(std::move(meta));
}

// A scratch state that tells what it is about to hold before it does.
class ToldStore final : public state::StateStore {
 public:
  using Tell = std::function<Status(const v1::StoreMeta& meta)>;
  ToldStore(std::unique_ptr<state::StateStore> store, Tell tell)
      : store_(std::move(store)), tell_(std::move(tell)) {}

  Result<bool> Get(std::string_view key, std::string* value) override {
    return store_->Get(key, value);
  }
  Status Scan(std::string_view from, std::string_view to, const Visit& visit) override {
    return store_->Scan(from, to, visit);
  }
  Status Apply(std::span<const state::StateWrite> writes, std::string_view meta_bytes) override {
    v1::StoreMeta meta;
    ALERTSTREAM_CHECK(meta.ParseFromArray(meta_bytes.data(), static_cast<int>(meta_bytes.size())));
    ALERTSTREAM_RETURN_IF_ERROR(tell_(meta));
    return store_->Apply(writes, meta_bytes);
  }
  Result<std::optional<std::string>> Meta() override { return store_->Meta(); }
  std::uint64_t KeysEstimate() override { return store_->KeysEstimate(); }
  Status Clear() override { return store_->Clear(); }

 private:
  std::unique_ptr<state::StateStore> store_;
  Tell tell_;
};

template <typename Message>
std::optional<std::string> TenantIn(std::string_view value) {
  Message message;
  if (!message.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
    return std::nullopt;
  }
  return message.tenant();
}

class PartitionAuditor {
 public:
  PartitionAuditor(const Session& session, const AuditPartitionOptions& options,
                   const AuditStates& states, AuditBook& book, AuditProgress* progress)
      : session_(session), options_(options), states_(states), book_(book), progress_(progress) {
    audit_.partition = options.partition;
  }

  PartitionAudit Run() {
    audit_.status = TryRun(true);
    const bool unlike = !audit_.status.ok() && !inspected_ && audit_.began_seq > 0 &&
                        (audit_.status.error().code() == ErrorCode::kConflict ||
                         audit_.status.error().code() == ErrorCode::kCorrupt);
    if (unlike && audit_.resumed_seq == 0) {
      // The snapshot is not of this journal: it proves nothing about it.
      note_ = {};
      reached_ = {};
      audit_ = PartitionAudit{.partition = options_.partition};
      audit_.status = TryRun(false);
    }
    return std::move(audit_);
  }

 private:
  Status TryRun(bool from_snapshot);
  Result<std::unique_ptr<state::StateStore>> OpenStore(bool from_snapshot);
  Result<std::unique_ptr<state::StateStore>> Resume();
  Result<std::unique_ptr<state::StateStore>> OpenSnapshot();
  Result<std::unique_ptr<state::StateStore>> OpenIfBeforeRange(const state::Snapshot& snapshot);
  Result<bool> IsWhole(state::StateStore& store, const state::StateRoot& root);
  Status Follow(runtime::PartitionState& state);
  Status Inspect(const runtime::Redecided& batch);
  void Describe(const runtime::Redecided& batch, runtime::TakenOutputs taken);
  Status Refuse(const runtime::Redecided& batch, OutputDifference difference);
  bool Concerns(const OutputDifference& difference) const;
  std::uint64_t CountDecisions(const engine::OutputBuffer& decisions) const;
  void Conclude(const runtime::Replayer& replayer);
  AuditCheckpoint CheckpointAt(const AuditPlace& reached, const std::string& hash,
                               const std::string& root) const;
  Status Tell(const v1::StoreMeta& meta);
  void TakeFrom(const AuditCheckpoint& checkpoint);
  bool Stopped() const { return session_.Interrupted() || !flushed_.ok(); }

  const Session& session_;
  const AuditPartitionOptions& options_;
  const AuditStates& states_;
  AuditBook& book_;
  AuditProgress* progress_;
  AuditNote note_;
  PartitionAudit audit_;
  std::unique_ptr<runtime::AuditOutputs> outputs_;
  std::optional<runtime::AuditOutputs::Positions> outputs_from_;  // Of a run before.
  AuditPlace reached_;
  bool inspected_ = false;       // A batch, in this run.
  bool between_batches_ = true;  // Else the state is ahead of what was compared.
  Status flushed_;
};

void PartitionAuditor::TakeFrom(const AuditCheckpoint& checkpoint) {
  audit_.counts = checkpoint.counts;
  audit_.first = checkpoint.first;
  audit_.last = checkpoint.last;
  outputs_from_ = checkpoint.outputs;
  reached_ = checkpoint.reached;
}

AuditCheckpoint PartitionAuditor::CheckpointAt(const AuditPlace& reached, const std::string& hash,
                                               const std::string& root) const {
  AuditCheckpoint checkpoint{.reached = reached,
                             .journal_hash = ToHex(hash),
                             .state_root = ToHex(root),
                             .counts = audit_.counts,
                             .first = audit_.first,
                             .last = audit_.last,
                             .outputs = outputs_from_};
  if (outputs_ != nullptr) {
    checkpoint.outputs = outputs_->positions();
  }
  return checkpoint;
}

// The scratch state goes on to `meta`: both points are kept until the next one.
Status PartitionAuditor::Tell(const v1::StoreMeta& meta) {
  if (!book_.keeps()) {
    return Status::Ok();
  }
  if (note_.checkpoints.size() > 1) {
    note_.checkpoints.erase(note_.checkpoints.begin());
  }
  note_.began_seq = audit_.began_seq;
  note_.checkpoints.push_back(CheckpointAt(reached_, meta.journal_hash(), meta.state_root()));
  return book_.Put(options_.partition, note_);
}

Result<bool> PartitionAuditor::IsWhole(state::StateStore& store, const state::StateRoot& root) {
  const auto sum = state::SumOf(store, [&](std::uint64_t) { return !session_.Interrupted(); });
  if (!sum.ok() && sum.error().code() != ErrorCode::kCorrupt) {
    return sum.error();
  }
  return sum.ok() && sum.value() == root;
}

Result<std::unique_ptr<state::StateStore>> PartitionAuditor::Resume() {
  auto opened = states_.open(options_.partition);
  if (!opened.ok() && opened.error().code() != ErrorCode::kCorrupt) {
    return opened;
  }
  std::unique_ptr<state::StateStore> store = opened.ok() ? std::move(opened).value() : nullptr;
  std::optional<v1::StoreMeta> meta;
  if (store != nullptr) {
    const auto read = MetaOf(*store);
    meta = read.ok() ? read.value() : std::nullopt;
    store = read.ok() ? std::move(store) : nullptr;
  }
  if (store != nullptr && !meta && note_.began_seq == 0) {
    note_ = {};  // Nothing had been written yet.
    return store;
  }
  const auto root = meta ? state::StateRoot::FromBytes(meta->state_root()) : std::nullopt;
  const auto at = std::find_if(note_.checkpoints.begin(), note_.checkpoints.end(),
                               [&](const auto& each) { return meta && MatchesMeta(each, *meta); });
  bool whole = root.has_value() && at != note_.checkpoints.end();
  if (whole) {
    ALERTSTREAM_ASSIGN_OR_RETURN(whole, IsWhole(*store, *root));
  }
  if (!whole) {
    return Error(ErrorCode::kInvalid,
                 fmt::format("--resume {}: the scratch state of partition {} is not the one that "
                             "the file was written with; delete the file to begin anew",
                             book_.path(), options_.partition));
  }
  note_.checkpoints = {*at};
  TakeFrom(note_.checkpoints.front());
  audit_.began_seq = note_.began_seq;
  audit_.resumed_seq = reached_.seq;
  return store;
}

// Null: it is damaged, or does not lie before the range.
Result<std::unique_ptr<state::StateStore>> PartitionAuditor::OpenIfBeforeRange(
    const state::Snapshot& snapshot) {
  if (!states_.snapshots->Restore(snapshot).ok()) {
    return std::unique_ptr<state::StateStore>();
  }
  auto opened = states_.open(options_.partition);
  if (!opened.ok()) {
    return std::unique_ptr<state::StateStore>();
  }
  std::unique_ptr<state::StateStore> store = std::move(opened).value();
  const auto meta = MetaOf(*store);
  const bool named = meta.ok() && meta.value() && meta.value()->seq() == snapshot.seq &&
                     meta.value()->journal_hash() == snapshot.journal_hash &&
                     meta.value()->state_root() == snapshot.root.ToBytes();
  if (!named || options_.range.HasBegun(FromMicros(meta.value()->now_us()),
                                        meta.value()->journal_offset() + kHintOffsetsMax)) {
    return std::unique_ptr<state::StateStore>();
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const bool whole, IsWhole(*store, snapshot.root));
  if (!whole) {
    return std::unique_ptr<state::StateStore>();
  }
  audit_.began_seq = snapshot.seq;
  reached_ = {.seq = snapshot.seq,
              .offset = meta.value()->journal_offset(),
              .now = FromMicros(meta.value()->now_us())};
  ALERTSTREAM_RETURN_IF_ERROR(Tell(*meta.value()));
  return store;
}

// Null: there is none that is whole and lies before the range.
Result<std::unique_ptr<state::StateStore>> PartitionAuditor::OpenSnapshot() {
  const auto snapshots = states_.snapshots->List(options_.partition);
  if (!snapshots.ok()) {
    return std::unique_ptr<state::StateStore>();
  }
  for (const state::Snapshot& snapshot : snapshots.value()) {
    ALERTSTREAM_ASSIGN_OR_RETURN(auto store, OpenIfBeforeRange(snapshot));
    if (store != nullptr) {
      return store;
    }
    ALERTSTREAM_RETURN_IF_ERROR(states_.clear(options_.partition));
  }
  return std::unique_ptr<state::StateStore>();
}

Result<std::unique_ptr<state::StateStore>> PartitionAuditor::OpenStore(bool from_snapshot) {
  if (!note_.checkpoints.empty()) {
    return Resume();
  }
  ALERTSTREAM_RETURN_IF_ERROR(states_.clear(options_.partition));
  if (from_snapshot && options_.range.BeginsLater() && states_.snapshots != nullptr) {
    ALERTSTREAM_ASSIGN_OR_RETURN(auto store, OpenSnapshot());
    if (store != nullptr) {
      return store;
    }
  }
  return states_.open(options_.partition);
}

Status PartitionAuditor::TryRun(bool from_snapshot) {
  if (const auto note = book_.Find(options_.partition); note && from_snapshot) {
    note_ = *note;
  }
  if (note_.done && !note_.checkpoints.empty()) {
    TakeFrom(note_.checkpoints.back());
    audit_.began_seq = note_.began_seq;
    audit_.resumed_seq = reached_.seq;
    audit_.done = true;
    return Status::Ok();
  }
  {
    ALERTSTREAM_ASSIGN_OR_RETURN(auto opened, OpenStore(from_snapshot));
    ToldStore store(std::move(opened), [this](const v1::StoreMeta& meta) { return Tell(meta); });
    const runtime::PartitionConfig config{.log_id = session_.identity.log_id,
                                          .fold = {.token_key = session_.token_key,
                                                   .partition = options_.partition,
                                                   .partitions = session_.identity.partitions},
                                          .cache_bytes = kCacheBytes,
                                          .scratch = true};
    ALERTSTREAM_ASSIGN_OR_RETURN(const auto state, runtime::PartitionState::Open(config, store));
    ALERTSTREAM_RETURN_IF_ERROR(Follow(*state));
    if (book_.keeps() && audit_.done && !audit_.finding) {
      note_.done = true;
      note_.began_seq = audit_.began_seq;
      note_.checkpoints = {CheckpointAt(reached_, std::string(AsView(state->tail().hash)),
                                        state->map_root().ToBytes())};
      ALERTSTREAM_RETURN_IF_ERROR(book_.Put(options_.partition, note_));
    }
  }
  return audit_.done && !audit_.finding ? states_.clear(options_.partition) : Status::Ok();
}

Status PartitionAuditor::Follow(runtime::PartitionState& state) {
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto replayer,
      runtime::Replayer::Open(
          session_.log, state,
          {.cancelled = [this] { return Stopped(); },
           .now_max = options_.range.to,
           .offset_max = options_.range.to_offset,
           .inspect = [this](const runtime::Redecided& batch) { return Inspect(batch); }}));
  auto kept_at = session_.clock.SinceBoot();
  Status status = replayer->CatchUp([&](std::int64_t at, std::int64_t end) {
    const std::int64_t to = options_.range.to_offset.value_or(end - 1) + 1;
    progress_->end = std::min(end, to);
    progress_->at = std::min(at, progress_->end.load());
    if (book_.keeps() && session_.clock.SinceBoot() - kept_at >= options_.checkpoint_every) {
      flushed_ = state.Flush();
      kept_at = session_.clock.SinceBoot();
    }
  });
  ALERTSTREAM_RETURN_IF_ERROR(flushed_);
  Conclude(*replayer);
  if (audit_.finding) {
    audit_.done = true;
    return Status::Ok();
  }
  if (!status.ok() && status.error().code() == ErrorCode::kConflict && audit_.resumed_seq > 0 &&
      !inspected_) {
    audit_.finding = AuditFinding{
        .seq = audit_.resumed_seq,
        .journal_offset = reached_.offset,
        .history_changed = true,
        .what = "the journal no longer holds the record up to which an earlier run had verified"};
    audit_.done = true;
    return Status::Ok();
  }
  if (!status.ok()) {
    if (book_.keeps() && session_.Interrupted() && between_batches_) {
      ALERTSTREAM_RETURN_IF_ERROR(state.Flush());
    }
    return status;
  }
  audit_.done = true;
  return Status::Ok();
}

// What the replayer found itself: it names the batch, and maybe Describe had more to say of it.
void PartitionAuditor::Conclude(const runtime::Replayer& replayer) {
  const auto& mismatch = replayer.mismatch();
  if (!mismatch || audit_.finding) {
    return;
  }
  audit_.finding = AuditFinding{.seq = mismatch->seq,
                                .journal_offset = mismatch->journal_offset,
                                .history_changed = mismatch->history_changed,
                                .before_range = !audit_.first && options_.range.BeginsLater(),
                                .what = mismatch->what};
}

Status PartitionAuditor::Inspect(const runtime::Redecided& batch) {
  inspected_ = true;
  between_batches_ = false;
  const AuditPlace place{.seq = batch.recorded.seq(),
                         .offset = batch.journal_offset,
                         .now = FromMicros(batch.recorded.now_us())};
  const bool differs = batch.difference.inputs || batch.difference.outputs;
  if (!options_.range.HasBegun(place.now, place.offset)) {
    if (differs) {
      Describe(batch, {});
      audit_.finding->before_range = true;
      return Status::Ok();  // The replayer ends with it.
    }
    reached_ = place;
    between_batches_ = true;
    return Status::Ok();
  }
  if (outputs_ == nullptr) {
    ALERTSTREAM_ASSIGN_OR_RETURN(
        outputs_,
        runtime::AuditOutputs::Open(session_.log, {.partition = options_.partition,
                                                   .seq = place.seq,
                                                   .from = outputs_from_,
                                                   .cancelled = [this] { return Stopped(); }}));
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(auto taken, outputs_->Take(batch.recorded, batch.effects, differs));
  if (differs) {
    Describe(batch, std::move(taken));
    return Status::Ok();  // The replayer ends with it.
  }
  for (auto& difference : taken.differences) {
    if (Concerns(difference)) {
      return Refuse(batch, std::move(difference));
    }
  }
  ++audit_.counts.batches;
  for (const auto& input : batch.recorded.inputs()) {
    audit_.counts.records += input.count();
  }
  audit_.counts.decisions += CountDecisions(batch.effects.decisions);
  audit_.first = audit_.first ? audit_.first : std::optional<AuditPlace>(place);
  audit_.last = place;
  reached_ = place;
  between_batches_ = true;
  return Status::Ok();
}

// A batch that was not decided as it was then. Which of the two was changed, its stored outputs
// tell: if they are what the journal names, it was recorded so.
void PartitionAuditor::Describe(const runtime::Redecided& batch, runtime::TakenOutputs taken) {
  AuditFinding finding{.seq = batch.recorded.seq(),
                       .journal_offset = batch.journal_offset,
                       .history_changed = batch.difference.inputs || !taken.as_recorded,
                       .what = batch.difference.what,
                       .expects_stored = true,
                       .recorded = batch.recorded,
                       .refolded = batch.refolded};
  if (!batch.difference.inputs && !taken.as_recorded) {
    finding.what += "; what is stored is not what the journal names";
  }
  if (!taken.differences.empty()) {
    finding.record = std::move(taken.differences.front());
  }
  audit_.finding = std::move(finding);
}

// A stored record that is not what the journal names and what was decided again.
Status PartitionAuditor::Refuse(const runtime::Redecided& batch, OutputDifference difference) {
  AuditFinding finding{
      .seq = batch.recorded.seq(), .journal_offset = batch.journal_offset, .history_changed = true};
  const auto topic = schemas::NameOf(difference.topic);
  if (!difference.stored) {
    finding.what = fmt::format("{}: record {} of the batch is missing", topic, difference.index);
  } else if (!difference.decided) {
    finding.what = fmt::format("{}: the journal does not name the stored record at offset {}",
                               topic, difference.offset);
  } else {
    finding.what = fmt::format(
        "{}: the stored record at offset {} is not the one that the journal "
        "names",
        topic, difference.offset);
  }
  finding.record = std::move(difference);
  audit_.finding = std::move(finding);
  return Error(ErrorCode::kCorrupt, "history changed");
}

bool PartitionAuditor::Concerns(const OutputDifference& difference) const {
  if (options_.tenant.empty()) {
    return true;
  }
  bool told = false;
  for (const auto& side : {difference.stored, difference.decided}) {
    const auto tenant = side ? TenantOfOutput(difference.topic, *side) : std::nullopt;
    if (tenant == options_.tenant) {
      return true;
    }
    told = told || (tenant && !tenant->empty());
  }
  return !told;
}

std::uint64_t PartitionAuditor::CountDecisions(const engine::OutputBuffer& decisions) const {
  if (options_.tenant.empty()) {
    return decisions.count();
  }
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < decisions.count(); ++i) {
    count += TenantOfOutput(schemas::Topic::kDecisions, decisions.value(i)) == options_.tenant;
  }
  return count;
}

}  // namespace

std::optional<std::string> TenantOfOutput(schemas::Topic topic, std::string_view value) {
  if (topic == schemas::Topic::kDecisions) {
    return TenantIn<v1::DecisionRecord>(value);
  }
  if (topic == schemas::Topic::kNotificationCommands) {
    return TenantIn<v1::NotificationCommand>(value);
  }
  if (topic == schemas::Topic::kFacts) {
    return TenantIn<v1::Fact>(value);
  }
  return topic == schemas::Topic::kDeadLetters ? TenantIn<v1::DeadLetter>(value) : std::nullopt;
}

PartitionAudit AuditPartition(const Session& session, const AuditPartitionOptions& options,
                              const AuditStates& states, AuditBook& book, AuditProgress* progress) {
  return PartitionAuditor(session, options, states, book, progress).Run();
}

}  // namespace alertstream::cli
