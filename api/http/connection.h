// Connection: one client, from accept to close: bytes in, requests to the handler one after the
// other, answers out in the same order. Thread-safe; internal to the server.
//
// Three kinds of threads meet here under one mutex: Pistache's worker brings bytes and the end,
// any thread brings the answer to a parked request, the attendant (core.h) brings the time and
// room to write. The handler is called without the mutex, by whichever of them reads on; a flag
// keeps the others from reading at the same time. Answers are written by `send` on a duplicate of
// the descriptor that this object alone closes, so its number cannot mean another client.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "api/http/core.h"
#include "api/http/framing.h"
#include "api/http/responder.h"

namespace alertstream::http {

class Connection : public AnswerSink, public std::enable_shared_from_this<Connection> {
 public:
  // Takes `fd`, a duplicate of the socket's descriptor, and closes it. `core` is shared with the
  // server; it lives until the last responder has gone.
  Connection(std::shared_ptr<Core> core, std::uint64_t id, int fd, std::string peer);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // From Pistache's worker. OnDisconnect comes before it closes its own descriptor.
  void OnInput(std::string_view bytes);
  void OnDisconnect();

  // From the attendant.
  void OnWritable();
  void ReadOn();
  void CheckTime(std::chrono::microseconds now);

  // From any thread.
  void Answer(std::uint64_t request, Response response) override;
  // Answers `response` instead of reading anything, and closes. For a client beyond a limit.
  void TurnAway(Refusal refusal, const Response& response);
  // Closes now if nothing is read, handled or written; otherwise after the answer that is.
  void Drain();
  // Closes now. Pistache notices by the end of its input.
  void Kill();
  // A request is being read, handled or answered.
  bool IsActive() const;

  std::uint64_t id() const { return id_; }

 private:
  using Lock = std::unique_lock<std::mutex>;
  enum class Mode : std::uint8_t {
    kOpen,
    kClosing,    // The last answer is not completely written yet; input is thrown away.
    kLingering,  // It is, and we have closed our side; the client may still read.
    kGone,       // Nothing is written any more; the descriptor is closed soon.
  };
  enum class Phase : std::uint8_t { kHead, kBody, kIdle, kAnswer, kWrite, kLinger };

  // All of them with the mutex held; Read lets go of it while the handler runs.
  void Read(Lock* lock);
  void ReadWhatIsThere(Lock* lock);
  void HandOver(Lock* lock);
  void RefuseFraming();
  void Refuse(Refusal refusal, const Response& response);
  void Write(const Response& response, bool keep_alive, bool is_head);
  void Flush();
  void EndAfterFlush();
  void Die();
  void Reset();
  void DropInput();
  void EndOwing();
  std::uint64_t Account(std::size_t bytes);
  void Settle();
  void CheckMemory();
  Phase CurrentPhase() const;
  std::chrono::microseconds TimeoutOf(Phase phase) const;
  bool HasInput() const { return input_at_ < input_.size(); }
  bool HasOutput() const { return output_at_ < output_.size(); }

  const std::shared_ptr<Core> core_;
  const std::uint64_t id_;
  const std::string peer_;

  mutable std::mutex mutex_;
  int fd_;
  Mode mode_ = Mode::kOpen;
  RequestFramer framer_;
  std::string input_;         // Not read by the framer yet: what follows a request that waits.
  std::size_t input_at_ = 0;  // Read before it.
  std::string output_;
  std::size_t output_at_ = 0;      // Written before it.
  bool reading_ = false;           // A thread is within Read.
  bool waiting_ = false;           // The client waits for the answer to request_.
  bool owed_ = false;              // The handler or a responder owes it, even if nobody waits.
  bool parked_ = false;            // As owed_, and counted: the handler came back without it.
  bool closed_idle_ = false;       // By Drain: there was no answer that could get lost.
  std::uint64_t request_ = 0;      // The number of the latest request.
  std::string request_id_;         // Of it, or of what was refused instead of one.
  std::size_t request_bytes_ = 0;  // Held by whoever handles it.
  bool keep_alive_ = false;        // Of the latest request.
  bool is_head_ = false;
  bool watched_ = false;  // The attendant polls fd_.
  std::size_t accounted_bytes_ = 0;
  Phase phase_ = Phase::kHead;  // The first request must not be late either.
  std::uint64_t phase_request_ = 0;
  std::chrono::microseconds deadline_;
};

}  // namespace alertstream::http
