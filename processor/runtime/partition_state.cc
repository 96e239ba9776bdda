#include "processor/runtime/partition_state.h"

#include <fmt/format.h>

#include "processor/engine/state_keys.h"
#include "schemas/state.pb.h"

namespace alertstream::runtime {
namespace {

constexpr std::uint32_t kStoreFormat = 2;

// More than this is written at once: a WriteBatch of some megabytes, of which a hot key is one
// entry. Recovery folds what was not written again, which takes a fraction of a second.
constexpr std::size_t kDirtyEntriesMax = 32'768;

std::size_t IndexOf(std::uint32_t topic) {
  for (std::size_t i = 0; i < schemas::kInputTopics.size(); ++i) {
    if (static_cast<std::uint32_t>(schemas::kInputTopics[i]) == topic) {
      return i;
    }
  }
  return schemas::kInputTopics.size();
}

}  // namespace

PartitionState::PartitionState(PartitionConfig config, state::StateStore& store,
                               state::StateRoot root)
    : config_(std::move(config)),
      map_(store,
           {.bytes_max = config_.cache_bytes,
            .ordered_prefix = engine::TimerPrefix(),
            .passing = engine::IsHistoryKey,
            .asked_blindly = engine::IsAskedBlindly},
           root),
      fold_(config_.fold, map_) {}

Result<std::unique_ptr<PartitionState>> PartitionState::Open(const PartitionConfig& config,
                                                             state::StateStore& store) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto meta_bytes, store.Meta());
  v1::StoreMeta meta;
  if (!meta_bytes) {
    return std::unique_ptr<PartitionState>(new PartitionState(config, store, state::StateRoot{}));
  }
  const auto root = meta.ParseFromString(*meta_bytes)
                        ? state::StateRoot::FromBytes(meta.state_root())
                        : std::nullopt;
  if (root && meta.format() != kStoreFormat) {
    return Error(ErrorCode::kCorrupt,
                 fmt::format("state of partition {}: written in format {}, this program reads {}; "
                             "delete the state directory, it is rebuilt from the journal",
                             config.fold.partition, meta.format(), kStoreFormat));
  }
  if (!root || meta.journal_hash().size() != sizeof(Digest)) {
    return Error(ErrorCode::kCorrupt,
                 fmt::format("state of partition {}: its meta cannot be read; delete the state "
                             "directory, it is rebuilt from the journal",
                             config.fold.partition));
  }
  if (meta.log_id() != config.log_id ||
      meta.partition() != static_cast<std::uint32_t>(config.fold.partition)) {
    return Error(
        ErrorCode::kConflict,
        fmt::format("state of partition {}: it belongs to another log (id {}) or partition "
                    "({}); point data_dir to this log's state, or delete it to rebuild it",
                    config.fold.partition, ToHex(meta.log_id()), meta.partition()));
  }
  auto partition = std::unique_ptr<PartitionState>(new PartitionState(config, store, *root));
  journal::Tail& tail = partition->tail_;
  tail.seq = meta.seq();
  std::copy(meta.journal_hash().begin(), meta.journal_hash().end(), tail.hash.begin());
  tail.offset = meta.journal_offset();
  tail.now = FromMicros(meta.now_us());
  tail.owner_epoch = meta.owner_epoch();
  tail.owner_nonce = meta.owner_nonce();
  tail.engine_version = meta.engine_version();
  for (const auto& position : meta.positions()) {
    const std::size_t i = IndexOf(position.topic());
    if (i < partition->positions_.size()) {
      partition->positions_[i] = position.next();
    }
  }
  partition->journal_hint_ = meta.journal_offset();
  partition->flushed_seq_ = tail.seq;
  return partition;
}

void PartitionState::Accept(const v1::JournalRecord& record, journal::Tail tail) {
  for (const auto& input : record.inputs()) {
    const std::size_t i = IndexOf(input.topic());
    ALERTSTREAM_CHECK(i < positions_.size());
    positions_[i] = input.next();
  }
  tail_ = std::move(tail);
}

Status PartitionState::Flush() {
  ALERTSTREAM_RETURN_IF_ERROR(map_.status());
  if (flushed()) {
    return Status::Ok();
  }
  v1::StoreMeta meta;
  meta.set_format(kStoreFormat);
  meta.set_log_id(config_.log_id);
  meta.set_partition(partition());
  meta.set_seq(tail_.seq);
  meta.set_journal_hash(std::string(AsView(tail_.hash)));
  meta.set_journal_offset(journal_hint_);
  meta.set_now_us(ToMicros(tail_.now));
  meta.set_state_root(map_.root().ToBytes());
  meta.set_engine_version(tail_.engine_version);
  meta.set_owner_epoch(tail_.owner_epoch);
  meta.set_owner_nonce(tail_.owner_nonce);
  for (std::size_t i = 0; i < positions_.size(); ++i) {
    auto* position = meta.add_positions();
    position->set_topic(static_cast<std::uint32_t>(schemas::kInputTopics[i]));
    position->set_next(positions_[i]);
  }
  ALERTSTREAM_RETURN_IF_ERROR(map_.Flush(meta.SerializeAsString()));
  flushed_seq_ = tail_.seq;
  return Status::Ok();
}

Status PartitionState::FlushIfLarge() {
  const bool large = config_.scratch ? map_.full() : map_.dirty_count() >= kDirtyEntriesMax;
  return large ? Flush() : Status::Ok();
}

}  // namespace alertstream::runtime
