#include "projections/partition_projector.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <span>
#include <utility>

#include "processor/base/clock.h"
#include "processor/base/crypto.h"

namespace alertstream::projections {
namespace {

constexpr std::int64_t kDayUs = std::int64_t{24} * 3600 * 1'000'000;
// Partitions are made this long before the first row needs them.
constexpr LogDuration kAheadOfNeed{7 * kDayUs};

// Plans from the arrays' assumed length must never scan a table; and a commit need not wait for the
// disk: what a crash of the server takes back is projected again, as its position row went with it.
constexpr sql::Statement kUse = {
    "projections.use",
    "SELECT set_config('search_path', $1, true), set_config('synchronous_commit', 'off', true),"
    " set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),"
    " set_config('enable_mergejoin', 'off', true), set_config('jit', 'off', true),"
    " set_config('plan_cache_mode', 'force_generic_plan', true)"};

constexpr sql::Statement kEnsureMonth = {"projections.ensure_month",
                                         "SELECT ensure_month($1, $2::timestamptz)"};

// Months since year 0, UTC (civil from days, the proleptic Gregorian calendar).
std::int64_t MonthOf(LogTime time) {
  const std::chrono::sys_days day = std::chrono::floor<std::chrono::days>(
      std::chrono::sys_time<std::chrono::microseconds>(time.time_since_epoch()));
  const std::chrono::year_month_day date(day);
  return std::int64_t{static_cast<int>(date.year())} * 12 + static_cast<unsigned>(date.month()) - 1;
}

// Of the values that a batch brings.
std::size_t BytesOf(const runtime::ReleasedBatch& released, std::span<const InputRecords> inputs) {
  std::size_t bytes = 0;
  for (const runtime::ReleasedRecord& output : released.outputs) {
    bytes += output.record.value.size();
  }
  for (const InputRecords& topic : inputs) {
    for (const log::RecordView& record : topic.records) {
      bytes += record.value.size();
    }
  }
  return bytes;
}

Error OtherLog(std::int32_t partition, std::string_view what) {
  return {ErrorCode::kCorrupt,
          fmt::format("partition {}: {}. Use the database of this log (postgres.url), or make its "
                      "tables anew from this log: alertstream projections rebuild",
                      partition, what)};
}

}  // namespace

PartitionProjector::PartitionProjector(log::EventLog& log, PartitionProjectorOptions options)
    : log_(log), options_(std::move(options)) {}

std::size_t PartitionProjector::pending_rows() const {
  std::size_t rows = 0;
  for (const auto& projection : projections_) {
    rows += projection->rows();
  }
  return rows;
}

Status PartitionProjector::UseSchema(sql::Session& session) {
  sql::Params params;
  params.Text(options_.schema);
  ALERTSTREAM_RETURN_IF_ERROR(session.Run(kUse, params));
  return Status::Ok();
}

Status PartitionProjector::Open(sql::Session& session) {
  reader_.reset();
  inputs_.reset();
  half_taken_.reset();
  Settle();
  months_.clear();
  ALERTSTREAM_RETURN_IF_ERROR(session.Begin({}));
  const auto read = [&]() -> Result<std::optional<Position>> {
    ALERTSTREAM_RETURN_IF_ERROR(UseSchema(session));
    ALERTSTREAM_RETURN_IF_ERROR(
        AddPosition(session, {.partition = options_.partition, .log_id = options_.log_id}));
    return ReadPosition(session, options_.partition);
  };
  const auto position = read();
  if (!position.ok() || !position.value()) {
    session.Rollback();
    return position.ok() ? Error(ErrorCode::kUnavailable, "the position row is not there")
                         : position.error();
  }
  ALERTSTREAM_RETURN_IF_ERROR(session.Commit());
  written_ = *position.value();
  pending_ = written_;
  if (written_.log_id != options_.log_id) {
    return OtherLog(options_.partition,
                    fmt::format("the tables are those of the log {}, not of {}",
                                ToHex(written_.log_id), ToHex(options_.log_id)));
  }
  ALERTSTREAM_RETURN_IF_ERROR(CheckHistory(written_));
  runtime::OutputReaderOptions reading{.log_id = options_.log_id,
                                       .partition = options_.partition,
                                       .topics = {std::begin(kOutputsRead), std::end(kOutputsRead)},
                                       .read_timeout = options_.read_timeout};
  if (written_.seq > 0) {
    reading.resume = {.seq = static_cast<std::uint64_t>(written_.seq),
                      .journal_offset = written_.journal_offset + 1,
                      .topics = written_.outputs};
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(auto inputs,
                               InputFollower::Open(log_, options_.partition, written_.inputs));
  ALERTSTREAM_ASSIGN_OR_RETURN(reader_, runtime::OutputReader::Open(log_, reading));
  inputs_ = std::move(inputs);
  return Status::Ok();
}

// The log still has the journal record that the tables end with, and it is the same one.
Status PartitionProjector::CheckHistory(const Position& position) {
  if (position.seq == 0) {
    return Status::Ok();
  }
  const log::TopicPartition journal{schemas::Topic::kJournal, options_.partition};
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto ends,
      log_.Ends(std::span(&journal, 1), log::EndKind::kStable, options_.read_timeout));
  const std::string at = fmt::format("the tables end with journal seq {} at offset {}",
                                     position.seq, position.journal_offset);
  if (ends[0] <= position.journal_offset) {
    return OtherLog(options_.partition,
                    fmt::format("{}, but the log ends at {}: it was truncated", at, ends[0]));
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(auto sources,
                               runtime::Sources::Open(log_, {{journal, position.journal_offset}}));
  ALERTSTREAM_RETURN_IF_ERROR(sources.FillAtLeast(0, 1, options_.read_timeout));
  const log::RecordView& record = sources.AtHand(0).front();
  if (record.offset != position.journal_offset ||
      AsView(Sha256::Of(record.value)) != position.journal_hash) {
    return OtherLog(options_.partition, fmt::format("{}, where this log has another record", at));
  }
  return Status::Ok();
}

Status PartitionProjector::Fold(const runtime::ReleasedBatch& released) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto inputs,
                               inputs_->Take(released.journal, options_.read_timeout));
  ALERTSTREAM_ASSIGN_OR_RETURN(const Batch* batch, decoder_.Decode(released, inputs));
  for (const auto& projection : projections_) {
    projection->Fold(*batch);
  }
  if (pending_batches_ == 0) {
    pending_since_ = batch->now;
  }
  ++pending_batches_;
  pending_bytes_ += BytesOf(released, inputs);
  const runtime::ResumePoint point = reader_->resume_point();
  pending_.seq = batch->seq;
  pending_.journal_hash = std::string(AsView(reader_->tail().hash));
  pending_.journal_offset = released.journal_offset;
  pending_.log_time = batch->now;
  pending_.outputs = point.topics;
  for (const v1::JournalInput& input : released.journal.inputs()) {
    pending_.inputs[static_cast<schemas::Topic>(input.topic())] = input.next();
  }
  return Status::Ok();
}

Result<bool> PartitionProjector::Collect(std::chrono::milliseconds timeout, std::int64_t seq_max) {
  const auto is_full = [this] {
    return has_pending() &&
           (pending_rows() >= options_.rows_max || pending_bytes_ >= options_.bytes_max);
  };
  while (pending_.seq < seq_max && !is_full()) {
    if (!half_taken_) {
      ALERTSTREAM_ASSIGN_OR_RETURN(
          half_taken_, reader_->Next(has_pending() ? std::chrono::milliseconds(0) : timeout));
    }
    if (!half_taken_) {
      break;
    }
    ALERTSTREAM_RETURN_IF_ERROR(Fold(*half_taken_));
    half_taken_.reset();
  }
  return has_pending();
}

Status PartitionProjector::EnsureMonths(sql::Session& session) {
  std::map<std::int64_t, LogTime> wanted;
  const auto want = [&](LogTime time) {
    const std::int64_t month = MonthOf(time);
    if (!months_.contains(month)) {
      wanted.emplace(month, time);
    }
  };
  want(pending_.log_time + kAheadOfNeed);
  for (const auto& projection : projections_) {
    projection->VisitMonths(want);
  }
  for (const auto& [month, time] : wanted) {
    sql::Params params;
    params.Text(options_.schema).Time(time);
    ALERTSTREAM_RETURN_IF_ERROR(session.Run(kEnsureMonth, params));
  }
  // Only what is committed is there; a transaction that fails asks again, which costs little.
  return Status::Ok();
}

Status PartitionProjector::WriteRows(sql::Session& session) {
  ALERTSTREAM_RETURN_IF_ERROR(UseSchema(session));
  ALERTSTREAM_RETURN_IF_ERROR(MovePosition(session, written_.seq, pending_));
  ALERTSTREAM_RETURN_IF_ERROR(EnsureMonths(session));
  for (const auto& projection : projections_) {
    if (projection->rows() > 0) {
      ALERTSTREAM_RETURN_IF_ERROR(projection->Write(session));
    }
  }
  return Status::Ok();
}

void PartitionProjector::Settle() {
  for (const auto& projection : projections_) {
    projection->Clear();
  }
  pending_batches_ = 0;
  pending_bytes_ = 0;
}

Status PartitionProjector::Write(sql::Session& session) {
  if (!has_pending()) {
    return Status::Ok();
  }
  ALERTSTREAM_RETURN_IF_ERROR(session.Begin({}));
  if (Status written = WriteRows(session); !written.ok()) {
    session.Rollback();
    return written;
  }
  ALERTSTREAM_RETURN_IF_ERROR(session.Commit());
  const auto note = [this](LogTime time) { months_.insert(MonthOf(time)); };
  note(pending_.log_time + kAheadOfNeed);
  for (const auto& projection : projections_) {
    projection->VisitMonths(note);
  }
  written_ = pending_;
  Settle();
  return Status::Ok();
}

Result<bool> PartitionProjector::Resolve(sql::Session& session) {
  ALERTSTREAM_RETURN_IF_ERROR(session.Begin({.read_only = true}));
  const auto read = [&]() -> Result<std::optional<Position>> {
    ALERTSTREAM_RETURN_IF_ERROR(UseSchema(session));
    return ReadPosition(session, options_.partition);
  };
  const auto found = read();
  session.Rollback();
  if (!found.ok()) {
    return found.error();
  }
  const auto& position = found.value();
  if (position && position->log_id == pending_.log_id && position->seq == pending_.seq) {
    written_ = pending_;
    Settle();
    return true;
  }
  if (position && position->log_id == written_.log_id && position->seq == written_.seq) {
    return false;
  }
  return Error(
      ErrorCode::kConflict,
      fmt::format("partition {}: the tables are not where they were left", options_.partition));
}

}  // namespace alertstream::projections
