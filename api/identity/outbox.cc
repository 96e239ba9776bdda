#include "api/identity/outbox.h"

#include <condition_variable>
#include <future>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "api/identity/transaction.h"

namespace alertstream::api {
namespace {

using std::chrono::milliseconds;

// How long one row is waited for; the fold's answer is nobody's concern here.
constexpr std::chrono::seconds kPublishMax{1};
constexpr std::chrono::hours kOldMax{7 * 24};

constexpr sql::Statement kOldest = {
    "identity.outbox_oldest",
    "SELECT id, actor, request::text FROM identity.outbox WHERE done_at IS NULL "
    "AND created_at < $1::timestamptz ORDER BY id LIMIT 1"};
constexpr sql::Statement kDone = {
    "identity.outbox_done",
    "UPDATE identity.outbox SET done_at = $2::timestamptz WHERE id = $1::bigint"};
constexpr sql::Statement kDeleteOutbox = {
    "identity.outbox_delete", "DELETE FROM identity.outbox WHERE done_at < $1::timestamptz"};
constexpr sql::Statement kDeleteSessions = {
    "identity.sessions_delete",
    "DELETE FROM identity.sessions WHERE least(expires_at, idle_expires_at, revoked_at) "
    "< $1::timestamptz"};
constexpr sql::Statement kDeleteFailures = {
    "identity.failures_delete",
    "DELETE FROM identity.login_failures WHERE last_at < $1::timestamptz"};

}  // namespace

Status MarkPublished(sql::Session& session, std::int64_t outbox_id, LogTime now) {
  ALERTSTREAM_RETURN_IF_ERROR(session.Run(kDone, sql::Params().Integer(outbox_id).Time(now)));
  return Status::Ok();
}

Status DeleteOld(sql::Session& session, LogTime now) {
  for (const sql::Statement* statement : {&kDeleteOutbox, &kDeleteSessions, &kDeleteFailures}) {
    ALERTSTREAM_RETURN_IF_ERROR(session.Run(*statement, sql::Params().Time(now - kOldMax)));
  }
  return Status::Ok();
}

struct Outbox::Impl {
  void Run(Outbox& outbox);
  // True: time to stop.
  bool Pause(milliseconds pause) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, pause, [this] { return stopping; });
  }

  sql::Pool& pool;
  const TenantOpening& opening;
  Clock& clock;
  const OutboxOptions options;
  std::mutex mutex;  // Of what follows.
  std::condition_variable changed;
  bool stopping = false;
  std::thread thread;
};

void Outbox::Impl::Run(Outbox& outbox) {
  auto cleaned_at = clock.SinceBoot();
  while (!Pause(options.look_every)) {
    // What fails is tried again with the next look; the mirror tells that the database is away.
    for (auto published = outbox.PublishOne(); published.ok() && published.value();) {
      published = outbox.PublishOne();
    }
    if (clock.SinceBoot() - cleaned_at >= options.clean_every) {
      cleaned_at = clock.SinceBoot();
      const Status cleaned = InTransaction(
          pool, [this](sql::Session& session) { return DeleteOld(session, clock.Now()); });
      if (!cleaned.ok()) {
        continue;
      }
    }
  }
}

Outbox::Outbox(sql::Pool& pool, const TenantOpening& opening, Clock& clock, OutboxOptions options)
    : impl_(new Impl{.pool = pool, .opening = opening, .clock = clock, .options = options}) {
  impl_->thread = std::thread([this] { impl_->Run(*this); });
}

Outbox::~Outbox() { Stop(); }

void Outbox::Stop() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->changed.notify_all();
  if (impl_->thread.joinable()) {
    impl_->thread.join();
  }
}

Result<bool> Outbox::PublishOne() {
  auto lease = impl_->pool.Take(kSessionWaitMax);
  if (!lease.ok()) {
    return lease.error();
  }
  sql::Session& session = *lease.value();
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const sql::Rows rows,
      session.Run(kOldest, sql::Params().Time(impl_->clock.Now() - kOutboxPatience)));
  if (rows.size() == 0) {
    return false;
  }
  // Shared with the callback, which may come after a time-out of ours. (It always comes.)
  const auto outcome = std::make_shared<std::promise<OpeningState>>();
  auto state = outcome->get_future();
  impl_->opening.Run(std::string(rows.Text(0, 2)), std::string(rows.Text(0, 1)),
                     impl_->clock.SinceBoot() + kPublishMax,
                     [outcome](OpeningState reached) { outcome->set_value(reached); });
  if (state.get() == OpeningState::kNotAppended) {
    return Error(ErrorCode::kUnavailable, "The log did not take the records of a new tenant.");
  }
  ALERTSTREAM_RETURN_IF_ERROR(MarkPublished(session, rows.Integer(0, 0), impl_->clock.Now()));
  return true;
}

}  // namespace alertstream::api
