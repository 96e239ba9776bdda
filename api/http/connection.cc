#include "api/http/connection.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "api/http/encode.h"

namespace alertstream::http {
namespace {

// Answers to pipelined requests are sent together, up to here.
constexpr std::size_t kOutputBatchBytesMax = std::size_t{64} * 1024;
// A client below this is never the one that is dropped when memory is short.
constexpr std::size_t kSmallConnectionBytes = std::size_t{32} * 1024;
// Of an emptied buffer; a larger one is given back, as an idle client is not counted for it.
constexpr std::size_t kKeptBufferBytesMax = std::size_t{16} * 1024;

void Empty(std::string* buffer) {
  if (buffer->capacity() > kKeptBufferBytesMax) {
    *buffer = std::string();
  } else {
    buffer->clear();
  }
}

}  // namespace

Connection::Connection(std::shared_ptr<Core> core, std::uint64_t id, int fd, std::string peer)
    : core_(std::move(core)),
      id_(id),
      peer_(std::move(peer)),
      fd_(fd),
      framer_(core_->options.framing),
      deadline_(core_->clock.SinceBoot() + core_->options.timeouts.head) {
  ++core_->counters.open;
}

Connection::~Connection() { OnDisconnect(); }

void Connection::OnInput(std::string_view bytes) {
  Lock lock(mutex_);
  if (mode_ != Mode::kOpen) {
    return;
  }
  if (input_at_ > input_.size() / 2) {
    input_.erase(0, std::exchange(input_at_, 0));
  }
  input_.append(bytes);
  Read(&lock);
}

void Connection::OnDisconnect() {
  {
    const Lock lock(mutex_);
    if (fd_ < 0) {
      return;
    }
    Die();
    if (watched_) {
      core_->Unwatch(fd_);
    }
    ::close(std::exchange(fd_, -1));
    --core_->counters.open;
  }
  core_->Unregister(id_);
}

void Connection::OnWritable() {
  Lock lock(mutex_);
  if (mode_ == Mode::kGone) {
    return;
  }
  Flush();
  Read(&lock);
}

void Connection::ReadOn() {
  Lock lock(mutex_);
  Read(&lock);
}

void Connection::Answer(std::uint64_t request, Response response) {
  const Lock lock(mutex_);
  EndOwing();
  if (mode_ != Mode::kOpen || !waiting_ || request != request_) {
    ++core_->counters.vanished;
    CheckMemory();
    return;
  }
  waiting_ = false;
  if (response.resets_connection) {
    Reset();
    return;
  }
  Write(response, keep_alive_, is_head_);
  if (reading_) {
    return;  // Whoever reads goes on, and flushes.
  }
  Flush();
  Settle();
  if (mode_ == Mode::kOpen && HasInput()) {
    core_->RequestReadOn(id_);  // Handlers run on the server's threads, not on this one.
  }
}

void Connection::TurnAway(Refusal refusal, const Response& response) {
  const Lock lock(mutex_);
  Refuse(refusal, response);
  Flush();
  Settle();
}

void Connection::Drain() {
  const Lock lock(mutex_);
  if (mode_ == Mode::kOpen && !reading_ && !waiting_ && !HasOutput() && !HasInput() &&
      framer_.state() == RequestFramer::State::kIdle) {
    closed_idle_ = true;
    mode_ = Mode::kClosing;
    Flush();
    Settle();
  }
}

void Connection::Kill() {
  const Lock lock(mutex_);
  Die();
}

bool Connection::IsActive() const {
  const Lock lock(mutex_);
  if (mode_ == Mode::kGone) {
    return false;
  }
  if (mode_ == Mode::kLingering) {
    return !closed_idle_;
  }
  return mode_ == Mode::kClosing || reading_ || waiting_ || HasOutput() || HasInput() ||
         framer_.state() != RequestFramer::State::kIdle;
}

void Connection::Read(Lock* lock) {
  if (reading_) {
    CheckMemory();
    return;
  }
  reading_ = true;
  do {
    ReadWhatIsThere(lock);
    Flush();
    // A client that was too slow has caught up with this very write: nobody else would read on.
  } while (mode_ == Mode::kOpen && !waiting_ && !watched_ && HasInput());
  reading_ = false;
  Settle();
}

void Connection::ReadWhatIsThere(Lock* lock) {
  while (mode_ == Mode::kOpen && !waiting_ && HasInput()) {
    if (output_.size() - output_at_ >= kOutputBatchBytesMax) {
      Flush();
    }
    if (watched_) {
      return;  // The client reads too slowly; the attendant reads on once it has caught up.
    }
    input_at_ += framer_.Read(std::string_view(input_).substr(input_at_));
    if (!HasInput()) {
      Empty(&input_);
      input_at_ = 0;
    }
    switch (framer_.state()) {
      case RequestFramer::State::kFailed:
        RefuseFraming();
        break;
      case RequestFramer::State::kComplete:
        HandOver(lock);
        break;
      case RequestFramer::State::kBody:
        if (framer_.TakeContinueWanted()) {
          output_.append("HTTP/1.1 100 Continue\r\n\r\n");
        }
        break;
      case RequestFramer::State::kIdle:
      case RequestFramer::State::kHead:
        break;
    }
    CheckMemory();
  }
}

void Connection::HandOver(Lock* lock) {
  FramedRequest framed = framer_.Take();
  ++request_;
  is_head_ = framed.request.method == "HEAD";
  const std::string_view given = framed.request.headers.Find("X-Request-Id").value_or("");
  request_id_ = IsRequestId(given) ? std::string(given) : core_->request_ids.Next();
  keep_alive_ = framed.keep_alive && request_ < core_->options.requests_per_connection_max;
  if (core_->counters.parked >= core_->options.parked_max) {
    core_->counters.Refuse(Refusal::kParked);
    Response busy = Problem(503, "Too many requests wait for their answer.");
    busy.headers.Add("Retry-After", "1");
    Write(busy, keep_alive_, is_head_);
    return;
  }
  ++core_->counters.requests;
  framed.request.peer = peer_;
  framed.request.id = request_id_;
  request_bytes_ = framed.head_bytes + framed.request.body.size();
  waiting_ = owed_ = true;
  Responder responder(shared_from_this(), request_);
  lock->unlock();
  try {
    core_->handler(std::move(framed.request), std::move(responder));
  } catch (...) {  // NOLINT(bugprone-empty-catch): unwinding ended the responder, which said 500.
  }
  lock->lock();
  if (owed_) {
    parked_ = true;
    ++core_->counters.parked;
  }
}

void Connection::RefuseFraming() {
  const FramingError error = framer_.error();
  ++core_->counters.framing[static_cast<std::size_t>(error)];
  Refuse(Refusal::kFraming, Problem(StatusOf(error), DetailOf(error)));
}

void Connection::Refuse(Refusal refusal, const Response& response) {
  core_->counters.Refuse(refusal);
  if (mode_ == Mode::kOpen) {
    const bool is_head = waiting_ && is_head_;
    if (!waiting_) {
      request_id_ = core_->request_ids.Next();
    }
    waiting_ = false;
    Write(response, false, is_head);
  }
}

// Appends an answer; without keep_alive it is the last one.
void Connection::Write(const Response& response, bool keep_alive, bool is_head) {
  keep_alive = keep_alive && !core_->draining;
  AppendResponse(response,
                 {.keep_alive = keep_alive,
                  .is_head = is_head,
                  .date = core_->clock.Now(),
                  .request_id = request_id_},
                 &output_);
  if (!keep_alive) {
    mode_ = Mode::kClosing;
    DropInput();
  }
}

void Connection::Flush() {
  while (mode_ != Mode::kGone && HasOutput()) {
    const auto sent = ::send(fd_, output_.data() + output_at_, output_.size() - output_at_,
                             MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
      output_at_ += static_cast<std::size_t>(sent);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      watched_ = true;
      core_->WatchWritable(fd_, id_);
      return;
    } else if (errno != EINTR) {
      Die();
    }
  }
  if (mode_ == Mode::kGone) {
    return;
  }
  Empty(&output_);
  output_at_ = 0;
  if (watched_) {
    watched_ = false;
    core_->Unwatch(fd_);
  }
  EndAfterFlush();
}

// Closing at once would make the kernel reset the connection where input is unread, and the client
// would lose the answer. So our side is closed first, and the client has a moment for its own.
void Connection::EndAfterFlush() {
  if (mode_ == Mode::kClosing) {
    mode_ = Mode::kLingering;
    ::shutdown(fd_, SHUT_WR);
  }
}

void Connection::Die() {
  if (mode_ == Mode::kGone) {
    return;
  }
  waiting_ = false;
  mode_ = Mode::kGone;
  DropInput();
  output_ = std::string();
  output_at_ = 0;
  Account(request_bytes_);
  ::shutdown(fd_, SHUT_RDWR);
}

// For a client that takes more than its share: the kernel keeps nothing for it either.
void Connection::Reset() {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  Die();
}

void Connection::DropInput() {
  input_ = std::string();
  input_at_ = 0;
}

// The responder is gone, and with it the request. Until then it counts, whatever became of the
// client: else clients that come and go could make handlers hold any number of requests.
void Connection::EndOwing() {
  owed_ = false;
  request_bytes_ = 0;
  if (std::exchange(parked_, false)) {
    --core_->counters.parked;
  }
}

// What follows every change: the memory is counted, and the clock of the current phase runs.
void Connection::Settle() {
  CheckMemory();
  if (mode_ == Mode::kGone) {
    return;
  }
  const Phase phase = CurrentPhase();
  if (phase != phase_ || request_ != phase_request_) {
    phase_ = phase;
    phase_request_ = request_;
    deadline_ = core_->clock.SinceBoot() + TimeoutOf(phase);
  }
}

// Returns what all connections hold together.
std::uint64_t Connection::Account(std::size_t bytes) {
  const auto before = std::exchange(accounted_bytes_, bytes);
  return core_->counters.buffered_bytes += bytes - before;  // Modulo 2^64: no sign.
}

void Connection::CheckMemory() {
  if (mode_ == Mode::kGone) {
    Account(request_bytes_);
    return;
  }
  const std::size_t bytes = framer_.buffered_bytes() + input_.size() - input_at_ + output_.size() -
                            output_at_ + request_bytes_;
  const auto total = Account(bytes);
  const FramingLimits& framing = core_->options.framing;
  const bool pipelined_too_much =
      input_.size() - input_at_ > framing.head_bytes_max + framing.body_bytes_max;
  const bool memory_is_short =
      total > core_->options.buffered_bytes_max && bytes > kSmallConnectionBytes;
  if (mode_ != Mode::kOpen || (!pipelined_too_much && !memory_is_short)) {
    return;
  }
  core_->counters.Refuse(Refusal::kMemory);
  Reset();
}

Connection::Phase Connection::CurrentPhase() const {
  if (mode_ == Mode::kLingering) {
    return Phase::kLinger;
  }
  if (HasOutput()) {
    return Phase::kWrite;
  }
  if (waiting_) {
    return Phase::kAnswer;
  }
  switch (framer_.state()) {
    case RequestFramer::State::kIdle:
      return request_ == 0 ? Phase::kHead : Phase::kIdle;
    case RequestFramer::State::kHead:
      return Phase::kHead;
    case RequestFramer::State::kBody:
      return Phase::kBody;
    case RequestFramer::State::kComplete:
    case RequestFramer::State::kFailed:
      break;
  }
  return Phase::kWrite;
}

std::chrono::microseconds Connection::TimeoutOf(Phase phase) const {
  const ServerTimeouts& timeouts = core_->options.timeouts;
  switch (phase) {
    case Phase::kHead:
      return timeouts.head;
    case Phase::kBody:
      return timeouts.body;
    case Phase::kIdle:
      return timeouts.idle;
    case Phase::kAnswer:
      return timeouts.answer;
    case Phase::kWrite:
      return timeouts.write;
    case Phase::kLinger:
      return timeouts.linger;
  }
  return timeouts.linger;
}

void Connection::CheckTime(std::chrono::microseconds now) {
  const Lock lock(mutex_);
  if (mode_ == Mode::kGone || reading_ || now < deadline_) {
    return;
  }
  switch (phase_) {
    case Phase::kHead:
      if (framer_.state() == RequestFramer::State::kIdle) {
        Die();  // It never said a word.
        return;
      }
      Refuse(Refusal::kHeadTimeout, Problem(408, "The head of the request came too slowly."));
      break;
    case Phase::kBody:
      Refuse(Refusal::kBodyTimeout, Problem(408, "The body of the request came too slowly."));
      break;
    case Phase::kAnswer:
      Refuse(Refusal::kAnswerTimeout, Problem(504, "The answer was not ready in time."));
      break;
    case Phase::kWrite:
      core_->counters.Refuse(Refusal::kSlowReader);
      Reset();
      return;
    case Phase::kIdle:
    case Phase::kLinger:
      Die();
      return;
  }
  Flush();
  Settle();
}

}  // namespace alertstream::http
