#include "api/query/projection_wait.h"

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "schemas/topics.h"

namespace alertstream::api {
namespace {

using schemas::Topic;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr const char* kChannel = "alertstream_projected";
constexpr milliseconds kAskEvery{25};
constexpr milliseconds kAskAgainNotBefore{2};  // However often the projector notifies.
constexpr milliseconds kReconnectAfter{200};
// A session that listens and is not read fills the server's queue, so it is given up; until then
// the next caller finds it open.
constexpr std::chrono::seconds kIdleMax{2};

constexpr sql::Statement kPositions = {
    "projection_wait.positions",
    "SELECT p.partition, i.topic, i.next::bigint"
    " FROM read_model.projection_positions p"
    " CROSS JOIN LATERAL jsonb_each_text(p.inputs) AS i(topic, next)"
    " UNION ALL"
    " SELECT partition, 'journal', journal_offset + 1 FROM read_model.projection_positions"};

// The next offset that is not covered, by (partition, topic).
using Covered = std::map<std::pair<std::int32_t, Topic>, std::int64_t>;

Result<Covered> ReadCovered(sql::Session& session) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows rows, session.Run(kPositions));
  Covered covered;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    if (rows.IsNull(row, 1) || rows.IsNull(row, 2)) {
      continue;
    }
    if (const auto topic = schemas::TopicByName(rows.Text(row, 1))) {
      covered[{static_cast<std::int32_t>(rows.Integer(row, 0)), *topic}] = rows.Integer(row, 2);
    }
  }
  return covered;
}

bool Covers(const Covered& covered, const AppendedPosition& position) {
  const auto found = covered.find({position.partition, position.topic});
  return found != covered.end() && found->second > position.offset;
}

Error Unavailable(const char* message) { return {ErrorCode::kUnavailable, message}; }

}  // namespace

struct ProjectionWait::Impl {
  struct Wait {
    std::vector<AppendedPosition> positions;
    microseconds deadline{};
    Done done;
  };
  using Due = std::vector<std::pair<Done, Status>>;

  Impl(sql::Database& database_in, Clock& clock_in) : database(database_in), clock(clock_in) {}

  void Work();
  void AttendUntilNobodyWaits();
  Status Ask();
  void Release(const Covered* covered);
  void Pause(milliseconds duration);

  sql::Database& database;
  Clock& clock;
  std::unique_ptr<sql::Session> session;  // Of the thread.
  std::optional<std::string> problem;     // Of the thread: why the table cannot be read.

  std::mutex mutex;
  std::condition_variable changed;
  std::list<Wait> waits;
  bool stopping = false;
  std::thread thread;
};

// Ends the waits that `covered` (if known) satisfies, and those whose time is up.
void ProjectionWait::Impl::Release(const Covered* covered) {
  const microseconds now = clock.SinceBoot();
  Due due;
  {
    const std::lock_guard lock(mutex);
    for (auto wait = waits.begin(); wait != waits.end();) {
      const auto is_covered = [&](const AppendedPosition& p) { return Covers(*covered, p); };
      if (covered != nullptr &&
          std::all_of(wait->positions.begin(), wait->positions.end(), is_covered)) {
        due.emplace_back(std::move(wait->done), Status::Ok());
      } else if (stopping) {
        due.emplace_back(std::move(wait->done), Unavailable("The server is stopping."));
      } else if (now >= wait->deadline) {
        due.emplace_back(std::move(wait->done),
                         problem ? Error(ErrorCode::kUnavailable, *problem)
                                 : Unavailable("The read model does not cover the record yet."));
      } else {
        ++wait;
        continue;
      }
      wait = waits.erase(wait);
    }
  }
  for (auto& [done, status] : due) {
    done(status);
  }
}

// Reads the table once, and opens and listens before where that is needed.
Status ProjectionWait::Impl::Ask() {
  if (session != nullptr && !session->alive()) {
    session.reset();
  }
  if (session == nullptr) {
    ALERTSTREAM_ASSIGN_OR_RETURN(
        session, database.Open({.role = "alertstream_api",
                                .application_name = "alertstream-projection-wait"}));
    ALERTSTREAM_RETURN_IF_ERROR(session->Listen(kChannel));
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const Covered covered, ReadCovered(*session));
  Release(&covered);
  return Status::Ok();
}

void ProjectionWait::Impl::Pause(milliseconds duration) {
  std::unique_lock lock(mutex);
  changed.wait_for(lock, duration, [this] { return stopping; });
}

void ProjectionWait::Impl::AttendUntilNobodyWaits() {
  while (true) {
    const Status asked = Ask();
    problem.reset();
    if (!asked.ok()) {
      problem = asked.error().message();
      session.reset();
      Release(nullptr);
    }
    {
      const std::lock_guard lock(mutex);
      if (stopping || waits.empty()) {
        return;
      }
    }
    if (session == nullptr) {
      Pause(kReconnectAfter);
      continue;
    }
    Pause(kAskAgainNotBefore);
    // Its failure shows when the table is asked.
    static_cast<void>(session->AwaitPayloads(kAskEvery));
  }
}

void ProjectionWait::Impl::Work() {
  std::unique_lock lock(mutex);
  while (!stopping) {
    const auto wanted = [this] { return stopping || !waits.empty(); };
    if (session == nullptr) {
      changed.wait(lock, wanted);
    } else if (!changed.wait_for(lock, kIdleMax, wanted)) {
      lock.unlock();
      session.reset();
      lock.lock();
      continue;
    }
    if (!waits.empty()) {
      lock.unlock();
      AttendUntilNobodyWaits();
      lock.lock();
    }
  }
  lock.unlock();
  Release(nullptr);
  session.reset();
}

ProjectionWait::ProjectionWait(sql::Database& database, Clock& clock)
    : impl_(std::make_unique<Impl>(database, clock)) {
  impl_->thread = std::thread([impl = impl_.get()] { impl->Work(); });
}

ProjectionWait::~ProjectionWait() { Stop(); }

void ProjectionWait::Await(std::vector<AppendedPosition> positions,
                           std::chrono::microseconds deadline, Done done) {
  for (const AppendedPosition& position : positions) {
    const schemas::TopicRole role = schemas::SpecOf(position.topic).role;
    if (role != schemas::TopicRole::kInput && role != schemas::TopicRole::kJournal) {
      return done(Error(ErrorCode::kInvalid,
                        "Only input topics and the journal have positions that "
                        "a projection covers."));
    }
  }
  if (positions.empty()) {
    return done(Status::Ok());
  }
  {
    const std::lock_guard lock(impl_->mutex);
    if (!impl_->stopping && impl_->waits.size() < kProjectionWaitsMax) {
      impl_->waits.push_back({std::move(positions), deadline, std::move(done)});
      done = nullptr;
    }
  }
  if (done) {
    return done(Unavailable("Too many requests wait for the read model."));
  }
  impl_->changed.notify_all();
}

void ProjectionWait::Stop() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->changed.notify_all();
  if (impl_->thread.joinable()) {
    impl_->thread.join();
  }
}

}  // namespace alertstream::api
