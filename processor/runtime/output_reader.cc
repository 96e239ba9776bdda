#include "processor/runtime/output_reader.h"

#include <algorithm>

#include <fmt/format.h>

#include "processor/base/clock.h"
#include "processor/base/safeguards.h"
#include "processor/journal/merkle.h"

namespace alertstream::runtime {
namespace {

constexpr std::size_t kJournalSource = 0;
constexpr std::size_t kJournalRecordsAhead = 64;
constexpr std::size_t kOutputsAhead = 64;
constexpr std::size_t kFetchBytes = 4 << 20;

bool IsMarker(const log::RecordView& record) {
  return record.offset == 0 && record.key == schemas::kLogKey;
}

std::optional<journal::Stamp> StampOf(const log::RecordView& record) {
  for (const auto& header : record.headers) {
    if (header.name == journal::kStampHeader) {
      return journal::DecodeStamp(header.value);
    }
  }
  return std::nullopt;
}

}  // namespace

Result<std::unique_ptr<OutputReader>> OutputReader::Open(log::EventLog& log,
                                                         const OutputReaderOptions& options) {
  auto reader = std::unique_ptr<OutputReader>(new OutputReader(log, options));
  reader->consumed_.assign(options.topics.size(), 0);
  if (options.from_end) {
    ALERTSTREAM_RETURN_IF_ERROR(reader->SeekEnd());
    return reader;
  }
  if (options.resume) {
    ALERTSTREAM_RETURN_IF_ERROR(reader->SeekTo(*options.resume));
    return reader;
  }
  const log::TopicPartition journal{schemas::Topic::kJournal, options.partition};
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto ends,
      log.Ends(std::span(&journal, 1), log::EndKind::kStable, options.read_timeout));
  reader->opening_end_ = ends[kJournalSource];
  std::vector<log::ReadFrom> from = {{journal, 0}};
  for (const schemas::Topic topic : options.topics) {
    from.push_back({{topic, options.partition}, 0});
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(reader->sources_, Sources::Open(log, std::move(from)));
  return reader;
}

// The outputs' ends are asked for before the journal's: a batch committed in between leaves outputs
// too many, which their stamps tell apart, never too few.
Status OutputReader::SeekEnd() {
  std::vector<log::TopicPartition> outputs;
  for (const schemas::Topic topic : options_.topics) {
    outputs.push_back({topic, options_.partition});
  }
  const log::TopicPartition journal{schemas::Topic::kJournal, options_.partition};
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto output_ends,
                               log_.Ends(outputs, log::EndKind::kStable, options_.read_timeout));
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto ends,
      log_.Ends(std::span(&journal, 1), log::EndKind::kStable, options_.read_timeout));
  opening_end_ = ends[kJournalSource];
  std::vector<log::ReadFrom> from = {{journal, opening_end_}};
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    from.push_back({outputs[i], output_ends[i]});
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(sources_, Sources::Open(log_, std::move(from)));
  anchored_ = false;
  return Status::Ok();
}

Status OutputReader::SeekTo(const ResumePoint& point) {
  const log::TopicPartition journal{schemas::Topic::kJournal, options_.partition};
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto ends,
      log_.Ends(std::span(&journal, 1), log::EndKind::kStable, options_.read_timeout));
  opening_end_ = ends[kJournalSource];
  std::vector<log::ReadFrom> from = {{journal, point.journal_offset}};
  for (const schemas::Topic topic : options_.topics) {
    const auto place = point.topics.find(topic);
    if (place == point.topics.end()) {
      return Error(ErrorCode::kInvalid, fmt::format("the place to go on from names no offset of {}",
                                                    schemas::NameOf(topic)));
    }
    from.push_back({{topic, options_.partition}, place->second});
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(sources_, Sources::Open(log_, std::move(from)));
  tail_.seq = point.seq;
  anchored_ = false;
  return Status::Ok();
}

// The record before is not known: this one is taken on trust.
Status OutputReader::Anchor(const v1::JournalRecord& record) {
  if (options_.resume && record.seq() != options_.resume->seq + 1) {
    return Error(ErrorCode::kCorrupt,
                 fmt::format("journal of partition {}: seq {} lies where {} is expected; the place "
                             "to go on from is of another history",
                             options_.partition, record.seq(), options_.resume->seq + 1));
  }
  tail_.seq = record.seq() - 1;
  std::copy_n(record.prev_hash().begin(), std::min(record.prev_hash().size(), tail_.hash.size()),
              tail_.hash.begin());
  tail_.owner_epoch = record.owner_epoch() - (record.kind() == v1::JOURNAL_KIND_CLAIM ? 1 : 0);
  tail_.owner_nonce = record.owner_nonce();
  anchored_ = true;
  return Status::Ok();
}

void OutputReader::Wake() {
  woken_ = true;
  sources_->reader().Wake();
}

ResumePoint OutputReader::resume_point() const {
  ResumePoint point{.seq = tail_.seq, .journal_offset = sources_->Passed(kJournalSource)};
  for (std::size_t i = 0; i < options_.topics.size(); ++i) {
    const auto rest = sources_->AtHand(i + 1).subspan(consumed_[i]);
    point.topics[options_.topics[i]] =
        rest.empty() ? sources_->reader().Position(i + 1) : rest.front().offset;
  }
  return point;
}

bool OutputReader::AtOpeningEnd() const { return sources_->Passed(kJournalSource) >= opening_end_; }

Result<std::optional<ReleasedBatch>> OutputReader::Next(std::chrono::milliseconds timeout) {
  for (std::size_t i = 0; i < consumed_.size(); ++i) {
    sources_->Consume(i + 1, consumed_[i]);
    consumed_[i] = 0;
  }
  constexpr auto kStep = std::chrono::milliseconds(20);
  const auto deadline = SystemClock().SinceBoot() + timeout;
  for (;;) {
    if (sources_->AtHand(kJournalSource).empty()) {
      ALERTSTREAM_RETURN_IF_ERROR(
          sources_->Fill(kJournalSource, kJournalRecordsAhead, kFetchBytes));
    }
    if (sources_->AtHand(kJournalSource).empty()) {
      if (woken_.exchange(false) || SystemClock().SinceBoot() >= deadline) {
        return std::optional<ReleasedBatch>();
      }
      // What is not taken (a marker, the end of a transaction) would end every wait at once. What
      // cannot be read is told when it is needed.
      for (std::size_t i = 0; i < options_.topics.size(); ++i) {
        static_cast<void>(sources_->Fill(i + 1, kOutputsAhead, kFetchBytes).ok());
      }
      const auto left = deadline - SystemClock().SinceBoot();
      sources_->Pause(std::clamp(std::chrono::ceil<std::chrono::milliseconds>(left),
                                 std::chrono::milliseconds(1), kStep));
      continue;
    }
    const log::RecordView record = sources_->AtHand(kJournalSource).front();
    ReleasedBatch batch;
    if (IsMarker(record)) {
      sources_->Consume(kJournalSource, 1);
      continue;
    }
    if (!batch.journal.ParseFromArray(record.value.data(), static_cast<int>(record.value.size()))) {
      return Error(ErrorCode::kCorrupt, fmt::format("journal of partition {} at offset {}: no "
                                                    "journal record",
                                                    options_.partition, record.offset));
    }
    if (!anchored_) {
      ALERTSTREAM_RETURN_IF_ERROR(Anchor(batch.journal));
    }
    auto tail = journal::Continue(tail_, batch.journal, record.value, record.offset,
                                  options_.log_id, static_cast<std::uint32_t>(options_.partition));
    if (!tail.ok() && tail.error().code() == ErrorCode::kConflict) {
      ++dropped_;
      sources_->Consume(kJournalSource, 1);
      continue;
    }
    if (!tail.ok()) {
      return tail.error();
    }
    batch.journal_offset = record.offset;
    if (const Status released = Release(batch.journal, &batch); !released.ok()) {
      std::fill(consumed_.begin(), consumed_.end(), 0);  // The next call begins with it again.
      return released.error();
    }
    tail_ = std::move(tail).value();
    sources_->Consume(kJournalSource, 1);
    return std::optional<ReleasedBatch>(std::move(batch));
  }
}

Status OutputReader::Release(const v1::JournalRecord& record, ReleasedBatch* batch) {
  for (std::size_t i = 0; i < options_.topics.size(); ++i) {
    const schemas::Topic topic = options_.topics[i];
    const auto named = std::find_if(
        record.outputs().begin(), record.outputs().end(),
        [&](const auto& output) { return output.topic() == static_cast<std::uint32_t>(topic); });
    if (named == record.outputs().end()) {
      continue;
    }
    const std::size_t source = i + 1;
    // What a superseded owner left in front is dropped.
    std::size_t stale = 0;
    for (;;) {
      ALERTSTREAM_RETURN_IF_ERROR(sources_->FillAtLeast(source, stale + 1, options_.read_timeout));
      const log::RecordView& first = sources_->AtHand(source)[stale];
      const auto stamp = StampOf(first);
      const bool superseded =
          Holds(Safeguard::kReadThroughJournal) && stamp &&
          (stamp->owner_epoch < record.owner_epoch() || stamp->seq < record.seq());
      if (!IsMarker(first) && !superseded) {
        break;
      }
      dropped_ += superseded ? 1 : 0;
      ++stale;
    }
    sources_->Consume(source, stale);
    ALERTSTREAM_RETURN_IF_ERROR(
        sources_->FillAtLeast(source, named->count(), options_.read_timeout));
    journal::MerkleTree tree;
    const auto outputs = sources_->AtHand(source).first(named->count());
    for (std::size_t k = 0; k < outputs.size(); ++k) {
      const auto stamp = StampOf(outputs[k]);
      const journal::Stamp expected{.partition = record.partition(),
                                    .seq = record.seq(),
                                    .index = static_cast<std::uint32_t>(k),
                                    .owner_epoch = record.owner_epoch()};
      if (Holds(Safeguard::kReadThroughJournal) && (!stamp || *stamp != expected)) {
        return Error(ErrorCode::kCorrupt,
                     fmt::format("{} partition {} offset {}: the record does not belong to journal "
                                 "seq {}; something else wrote to this topic",
                                 schemas::NameOf(topic), options_.partition, outputs[k].offset,
                                 record.seq()));
      }
      tree.Add(journal::LeafOfOutput(outputs[k].key, outputs[k].headers, outputs[k].value));
      batch->outputs.push_back({topic, outputs[k]});
    }
    const Digest root = tree.Root();
    if (Holds(Safeguard::kReadThroughJournal) && named->root() != AsView(root)) {
      return Error(ErrorCode::kCorrupt,
                   fmt::format("{} partition {} seq {}: the records are not those that the journal "
                               "names",
                               schemas::NameOf(topic), options_.partition, record.seq()));
    }
    consumed_[i] = outputs.size();
  }
  return Status::Ok();
}

}  // namespace alertstream::runtime
