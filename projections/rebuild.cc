#include "projections/rebuild.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace alertstream::projections {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kReadTimeout{10'000};
constexpr milliseconds kStatementTimeout{60'000};
// A log of which nothing comes for so long has nothing more at hand.
constexpr milliseconds kQuiet{1000};
// Dropping the tables in use waits for those who read them, and they wait for it; so not for long,
// but again.
constexpr int kSwapTries = 5;
constexpr milliseconds kSwapPause{500};

constexpr sql::Statement kLock = {
    "projections.rebuild.lock",
    "SELECT pg_try_advisory_lock(hashtext('alertstream projections rebuild'))"};
constexpr sql::Statement kSetSchema = {"projections.rebuild.schema",
                                       "SELECT set_config('search_path', $1, true)"};
constexpr sql::Statement kSnapshot = {"projections.verify.snapshot",
                                      "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"};
constexpr sql::Statement kAlive = {"projections.rebuild.alive", "SELECT 1"};
constexpr sql::Statement kHoldWriters = {
    "projections.rebuild.hold",
    "LOCK TABLE read_model.projection_positions IN SHARE ROW EXCLUSIVE MODE"};
constexpr sql::Statement kLockTimeout = {"projections.rebuild.lock_timeout",
                                         "SELECT set_config('lock_timeout', '5000', true)"};

constexpr const char* kDropNext = "DROP SCHEMA IF EXISTS read_model_next CASCADE";
constexpr const char* kMakeNext =
    "DROP SCHEMA IF EXISTS read_model_next CASCADE; CREATE SCHEMA read_model_next";
constexpr const char* kSwap =
    "DROP SCHEMA read_model CASCADE; ALTER SCHEMA read_model_next RENAME TO read_model";

// Seq to which each partition is to be folded.
using Targets = std::map<std::int64_t, std::int64_t>;
constexpr std::int64_t kNoTarget = std::numeric_limits<std::int64_t>::max();

Result<std::vector<Position>> PositionsIn(sql::Session& session, const char* schema) {
  sql::Params params;
  params.Text(schema);
  ALERTSTREAM_RETURN_IF_ERROR(session.Run(kSetSchema, params));
  return ReadPositions(session);
}

// For a session that waits in its transaction while others fold: the server ends one that is idle
// there for long.
std::function<Status()> KeepAlive(sql::Session& session) {
  return [&session]() -> Status {
    ALERTSTREAM_RETURN_IF_ERROR(session.Run(kAlive));
    return Status::Ok();
  };
}

// The second schema and those who fill it.
class Next {
 public:
  static Result<std::unique_ptr<Next>> Make(const RebuildDeps& deps);
  ~Next();

  // Folds every partition to its target, one that has none to the end that the log has now.
  Status FoldTo(const Targets& targets, const std::function<Status()>& meanwhile = nullptr);
  const Position& PositionOf(std::size_t i) const { return projectors_[i]->position(); }
  std::size_t partitions() const { return projectors_.size(); }
  sql::Session& admin() { return *admin_; }
  void Swapped() { swapped_ = true; }
  RebuildReport Report() const;

 private:
  explicit Next(const RebuildDeps& deps) : deps_(deps), begun_(deps.clock.SinceBoot()) {}
  Status FoldOne(PartitionProjector& projector, std::int64_t seq_max, std::int64_t end,
                 const std::function<Status()>& meanwhile);
  Status Tell();

  const RebuildDeps& deps_;
  const std::chrono::microseconds begun_;
  std::chrono::microseconds tell_at_{};
  std::unique_ptr<sql::Session> admin_;  // Holds the lock.
  std::unique_ptr<sql::Session> writer_;
  std::vector<std::unique_ptr<PartitionProjector>> projectors_;
  std::vector<std::int64_t> ends_;  // Of the journals, as offsets.
  std::uint64_t rows_ = 0;
  bool swapped_ = false;
};

Result<std::unique_ptr<Next>> Next::Make(const RebuildDeps& deps) {
  auto next = std::unique_ptr<Next>(new Next(deps));
  ALERTSTREAM_ASSIGN_OR_RETURN(auto admin,
                               deps.database.Open({.application_name = "alertstream-rebuild",
                                                   .statement_timeout = kStatementTimeout}));
  ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows locked, admin->Run(kLock));
  if (!locked.Boolean(0, 0)) {
    return Error(ErrorCode::kConflict,
                 "another rebuild or verify of this database is running; let it end");
  }
  next->admin_ = std::move(admin);
  ALERTSTREAM_RETURN_IF_ERROR(next->admin_->RunScript(kMakeNext));
  ALERTSTREAM_RETURN_IF_ERROR(deps.make_tables(*next->admin_, kNextSchema));
  ALERTSTREAM_ASSIGN_OR_RETURN(next->writer_,
                               deps.database.Open({.role = "alertstream_projector",
                                                   .application_name = "alertstream-rebuild",
                                                   .statement_timeout = kStatementTimeout}));
  for (std::int32_t partition = 0; partition < deps.partitions; ++partition) {
    next->projectors_.push_back(std::make_unique<PartitionProjector>(
        deps.log, PartitionProjectorOptions{.log_id = deps.log_id,
                                            .partition = partition,
                                            .schema = kNextSchema,
                                            .read_timeout = kReadTimeout}));
    ALERTSTREAM_RETURN_IF_ERROR(next->projectors_.back()->Open(*next->writer_));
  }
  return next;
}

// Ends with the program's session if it cannot be taken away now: the next one begins with that.
Next::~Next() {
  writer_.reset();
  if (admin_ && !swapped_) {
    admin_->Rollback();
    static_cast<void>(admin_->RunScript(kDropNext).ok());
  }
}

RebuildReport Next::Report() const {
  RebuildReport report{.rows = rows_};
  for (const auto& projector : projectors_) {
    report.journal_records += projector->position().seq;
  }
  report.seconds = static_cast<double>((deps_.clock.SinceBoot() - begun_).count()) / 1e6;
  return report;
}

Status Next::Tell() {
  if (deps_.interrupted && deps_.interrupted()) {
    return Error(ErrorCode::kUnavailable, "interrupted; the tables in use are as they were");
  }
  const auto now = deps_.clock.SinceBoot();
  if (!deps_.progress || now < tell_at_) {
    return Status::Ok();
  }
  tell_at_ = now + std::chrono::seconds(1);
  RebuildProgress progress{.rows = rows_,
                           .seconds = static_cast<double>((now - begun_).count()) / 1e6};
  for (std::size_t i = 0; i < projectors_.size(); ++i) {
    progress.done += projectors_[i]->position().journal_offset + 1;
    progress.end += std::max(ends_[i], projectors_[i]->position().journal_offset + 1);
  }
  if (progress.done > 0) {
    progress.seconds_left = progress.seconds * static_cast<double>(progress.end - progress.done) /
                            static_cast<double>(progress.done);
  }
  deps_.progress(progress);
  return Status::Ok();
}

Status Next::FoldOne(PartitionProjector& projector, std::int64_t seq_max, std::int64_t end,
                     const std::function<Status()>& meanwhile) {
  // Without a target: markers of transactions may lie behind the last record, so the end is reached
  // when nothing comes any more.
  const bool has_target = seq_max != kNoTarget;
  while (has_target ? projector.position().seq < seq_max
                    : projector.position().journal_offset + 1 < end) {
    ALERTSTREAM_ASSIGN_OR_RETURN(const bool some,
                                 projector.Collect(has_target ? kReadTimeout : kQuiet, seq_max));
    if (!some && has_target) {
      return Error(ErrorCode::kUnavailable, "the log does not have what the tables hold");
    }
    if (!some) {
      return Status::Ok();
    }
    rows_ += projector.pending_rows();
    ALERTSTREAM_RETURN_IF_ERROR(projector.Write(*writer_));
    if (meanwhile) {
      ALERTSTREAM_RETURN_IF_ERROR(meanwhile());
    }
    ALERTSTREAM_RETURN_IF_ERROR(Tell());
  }
  return Status::Ok();
}

Status Next::FoldTo(const Targets& targets, const std::function<Status()>& meanwhile) {
  std::vector<log::TopicPartition> journals;
  journals.reserve(static_cast<std::size_t>(deps_.partitions));
  for (std::int32_t partition = 0; partition < deps_.partitions; ++partition) {
    journals.push_back({schemas::Topic::kJournal, partition});
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(ends_,
                               deps_.log.Ends(journals, log::EndKind::kStable, kReadTimeout));
  for (std::size_t i = 0; i < projectors_.size(); ++i) {
    const auto target = targets.find(static_cast<std::int64_t>(i));
    ALERTSTREAM_RETURN_IF_ERROR(FoldOne(*projectors_[i],
                                        target == targets.end() ? kNoTarget : target->second,
                                        ends_[i], meanwhile));
  }
  return Status::Ok();
}

// The positions that the tables in use have; an error if they are of another log.
Result<Targets> TargetsOf(const RebuildDeps& deps, const std::vector<Position>& positions) {
  Targets targets;
  for (std::int64_t partition = 0; partition < deps.partitions; ++partition) {
    targets[partition] = 0;
  }
  for (const Position& position : positions) {
    if (position.log_id != deps.log_id) {
      return Error(ErrorCode::kCorrupt,
                   "the tables are those of another log; make them anew from this one: alertstream "
                   "projections rebuild");
    }
    targets[position.partition] = position.seq;
  }
  return targets;
}

// With the projector held: folds what it wrote since, and takes the place of its tables.
Status SwapHeld(const RebuildDeps& deps, Next& next) {
  sql::Session& admin = next.admin();
  ALERTSTREAM_RETURN_IF_ERROR(admin.Run(kLockTimeout));
  ALERTSTREAM_RETURN_IF_ERROR(admin.Run(kHoldWriters));
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto positions, PositionsIn(admin, kSchema));
  Targets targets;
  for (std::size_t i = 0; i < next.partitions(); ++i) {
    targets[static_cast<std::int64_t>(i)] = next.PositionOf(i).seq;
  }
  for (const Position& position : positions) {
    // Tables of another log are given up.
    const auto target = targets.find(position.partition);
    if (position.log_id == deps.log_id && target != targets.end()) {
      target->second = std::max(target->second, position.seq);
    }
  }
  ALERTSTREAM_RETURN_IF_ERROR(next.FoldTo(targets, KeepAlive(admin)));
  ALERTSTREAM_RETURN_IF_ERROR(admin.RunScript(kSwap));
  return admin.Commit();
}

}  // namespace

Result<RebuildReport> Rebuild(const RebuildDeps& deps) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto next, Next::Make(deps));
  ALERTSTREAM_RETURN_IF_ERROR(next->FoldTo({}));
  ALERTSTREAM_RETURN_IF_ERROR(next->FoldTo({}));  // What came meanwhile: most of it, unhurried.
  for (int tries = 1;; ++tries) {
    ALERTSTREAM_RETURN_IF_ERROR(next->admin().Begin({}));
    const Status swapped = SwapHeld(deps, *next);
    if (swapped.ok()) {
      next->Swapped();
      return next->Report();
    }
    next->admin().Rollback();
    if (tries == kSwapTries || !next->admin().alive()) {
      return swapped.error();
    }
    deps.clock.SleepFor(kSwapPause);
  }
}

Result<VerifyReport> Verify(const RebuildDeps& deps) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto next, Next::Make(deps));
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto live,
                               deps.database.Open({.role = "alertstream_projector",
                                                   .application_name = "alertstream-verify",
                                                   .statement_timeout = kStatementTimeout}));
  // First most of it, then a moment of the tables in use that stays, then exactly to that.
  ALERTSTREAM_RETURN_IF_ERROR(live->Begin({.read_only = true}));
  const auto positions = PositionsIn(*live, kSchema);
  live->Rollback();
  if (!positions.ok()) {
    return positions.error();
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const Targets first, TargetsOf(deps, positions.value()));
  ALERTSTREAM_RETURN_IF_ERROR(next->FoldTo(first));

  ALERTSTREAM_RETURN_IF_ERROR(live->Begin({.read_only = true}));
  ALERTSTREAM_RETURN_IF_ERROR(live->Run(kSnapshot));
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto kept, PositionsIn(*live, kSchema));
  ALERTSTREAM_ASSIGN_OR_RETURN(const Targets last, TargetsOf(deps, kept));
  ALERTSTREAM_RETURN_IF_ERROR(next->FoldTo(last, KeepAlive(*live)));
  VerifyReport report{.folded = next->Report(), .comparison = {}};

  ALERTSTREAM_ASSIGN_OR_RETURN(const auto expected,
                               deps.database.Open({.role = "alertstream_projector",
                                                   .application_name = "alertstream-verify",
                                                   .statement_timeout = kStatementTimeout}));
  ALERTSTREAM_RETURN_IF_ERROR(expected->Begin({.read_only = true}));
  sql::Params params;
  params.Text(kNextSchema);
  ALERTSTREAM_RETURN_IF_ERROR(expected->Run(kSetSchema, params));
  ALERTSTREAM_ASSIGN_OR_RETURN(report.comparison, CompareTables(*live, *expected));
  expected->Rollback();
  live->Rollback();
  return report;
}

}  // namespace alertstream::projections
