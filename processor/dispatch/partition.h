// PartitionDispatch: the dispatcher of one partition. It follows the journal's commands and the
// permission topics, commits `started` before each call, makes the calls, and commits what became
// of them. It decides nothing: holds, pace and breakers only make a command wait.
//
// Run belongs to one thread, on which everything happens but the calls; those end on the HTTP
// client's thread, which leaves their outcome in the inbox. The other methods are thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "processor/base/clock.h"
#include "processor/base/crypto.h"
#include "processor/dispatch/account_gates.h"
#include "processor/dispatch/accounts.h"
#include "processor/dispatch/attempt_log.h"
#include "processor/dispatch/http_client.h"
#include "processor/dispatch/permission_view.h"
#include "processor/dispatch/sms_sender.h"
#include "processor/dispatch/waiting_room.h"
#include "processor/log/event_log.h"
#include "processor/runtime/output_reader.h"

namespace alertstream::dispatch {

// A finished attempt, for metrics and logs; no personal data.
struct AttemptReport {
  std::int32_t partition = 0;
  v1::Channel channel = v1::CHANNEL_UNSPECIFIED;
  std::string provider;
  std::string account;
  Outcome outcome;
  bool called = false;               // False: it was refused before any call.
  std::chrono::microseconds call{};  // How long the call took.
};

struct DispatchStatus {
  std::int32_t partition = 0;
  std::string phase;  // starting, recovering, running, waiting_for_log, draining, stopped
  std::string error;  // Why it does not run; no personal data.
  std::size_t waiting = 0;
  std::size_t in_flight = 0;
  std::size_t held = 0;
  double lag_seconds = 0;  // Age of the oldest command that was not started.
  std::uint64_t seq = 0;   // Of the journal, read.
};

struct PartitionDispatchOptions {
  std::int32_t partition = 0;
  std::string log_id;  // 16 bytes.
  HmacKey token_key{""};
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds total_timeout{15'000};
  // Commands at hand and not started; then the journal is read no further, and the longest
  // queue gives back its newest, as far as they exceed an equal share (at most a quarter).
  std::size_t waiting_max = 20'000;
  // A command that has waited so long for its account is given back: as SUSPEND behind an open
  // breaker, as THROTTLE behind its pace or a pause. So its retry is in the fold's hands, nobody
  // else waits for it, and the start of the next owner stays short.
  std::chrono::seconds circuit_wait_max{300};
  std::chrono::microseconds checkpoint_every = std::chrono::seconds(1);
  std::chrono::milliseconds log_timeout{8'000};
  std::function<void(const AttemptReport&)> on_attempt;  // On any thread of the dispatcher.
  std::function<void(const DispatchStatus&)> on_status;  // On Run's thread, when numbers changed.
};

// Calls in flight of all partitions together.
class CallBudget {
 public:
  explicit CallBudget(std::size_t max) : max_(max) {}
  bool TryTake() {
    if (taken_.fetch_add(1) < max_) {
      return true;
    }
    taken_.fetch_sub(1);
    return false;
  }
  void Give() { taken_.fetch_sub(1); }

 private:
  const std::size_t max_;
  std::atomic<std::size_t> taken_ = 0;
};

class PartitionDispatch {
 public:
  // All references outlive it; `http` may end first.
  PartitionDispatch(log::EventLog& log, Clock& clock, const ProviderAccounts& accounts,
                    HttpClient& http, AccountGates& gates, CallBudget& budget,
                    PartitionDispatchOptions options);

  // Takes the partition over and dispatches until Finish (ok) or an error: kFenced (another owner),
  // or anything else, after which it may be called again. Calls in flight survive that.
  Status Run();

  // No new starts from now on.
  void Drain();
  // Run returns when what has finished is committed, and makes no try of that after `by` (of
  // SystemClock::SinceBoot).
  void Finish(std::chrono::microseconds by);
  // Calls were started whose results are not committed. Of Run's thread.
  bool HasUnwritten() const { return !flights_.empty(); }
  // The last Run was fenced at its first transaction, soon after it had taken the partition over:
  // it began together with a rival, and was never the owner. Of Run's thread.
  bool LostTheStart() const;
  // Something changed from outside: a breaker was reset, settings were read again.
  void Wake();
  std::size_t in_flight() const;
  DispatchStatus status() const;
  void SetPhase(const std::string& phase, const std::string& error);

 private:
  struct Finished {
    AttemptKey key;
    Outcome outcome;
    LogTime at;
    std::chrono::microseconds call{};
  };
  struct Flight {
    AttemptTarget target;
    std::unique_ptr<const v1::NotificationCommand> command;
    std::uint64_t seq = 0;
    std::optional<Finished> finished;  // Taken from the inbox, not yet committed.
  };
  struct Starting {
    Waiting waiting;
    HttpRequest request;
    std::shared_ptr<const ProviderAccount> account;  // Shared with the settings; as they were.
    AccountGates::Admission admission;
  };
  // What the next transaction holds.
  struct Group {
    std::vector<v1::Envelope> records;
    std::vector<AttemptKey> landed;  // Flights whose results are among them.
    std::vector<Starting> starting;
  };

  Status TakeOver();
  std::chrono::milliseconds LogTimeout() const;
  Status Commit(const std::vector<v1::Envelope>& records);
  void DropGroup();
  void ReclaimFlights(const Recovered& recovered);
  void WriteOff(const AttemptTarget& target, const v1::NotificationCommand* command);
  void WriteOffRest();
  Status Step();
  Status ReadJournal(std::chrono::milliseconds timeout);
  void Apply(const runtime::ReleasedBatch& batch);
  Status ApplyCommand(const log::RecordView& record, Place place);
  void Close(const Waiting& waiting, v1::Envelope record);
  void Refuse(const Waiting& waiting, Outcome outcome);
  void TakeFinished();
  void MakeRoom();
  void Sweep();
  Outcome GivenBack(const AccountGates::Outlook& outlook, std::string code,
                    std::size_t ahead) const;
  std::size_t RecordsLeft() const;
  void Choose();
  Status ReadPermissions();
  Status Tolerate(const Status& read);
  void ChooseFrom(const AccountKey& key);
  bool Admit(const AccountKey& key, const std::shared_ptr<const ProviderAccount>& account,
             HttpRequest request);
  Status CommitGroup();
  void Call(Starting starting);
  void Land(const Finished& finished);
  Status NoteCheckpoint();
  std::optional<Checkpoint> DoneCheckpoint();
  std::chrono::milliseconds WaitTime() const;
  void Publish();
  bool MayReadOn() const;
  void CloseSeq(std::uint64_t seq);

  log::EventLog& log_;
  Clock& clock_;
  const ProviderAccounts& accounts_;
  HttpClient& http_;
  AccountGates& gates_;
  CallBudget& budget_;
  const PartitionDispatchOptions options_;

  // Of Run's thread.
  std::unique_ptr<AttemptLog> attempts_;
  std::unique_ptr<PermissionView> permissions_;
  SmsSender sender_;
  WaitingRoom room_;
  std::map<AttemptKey, KnownAttempt> recovered_;  // Until the journal has been read past them.
  std::map<AttemptKey, Flight> flights_;
  std::multiset<std::uint64_t> open_seqs_;  // Of commands without a final record.
  std::deque<Checkpoint> checkpoints_;      // Noted, oldest first, not yet written.
  Status applied_;                          // Of the batch that was read last.
  Group group_;
  std::chrono::microseconds noted_at_{};
  std::uint64_t noted_seq_ = 0;
  std::int64_t taken_attempts_offset_ = 0;  // Where this owner began to read them.
  std::chrono::microseconds swept_at_{};
  std::chrono::microseconds forbidden_at_{};  // When nothing might start for want of permissions.
  std::chrono::microseconds taken_at_{};      // When this owner had taken over.
  bool committed_ = false;                    // Anything, since then.
  std::chrono::microseconds retry_at_{};      // When a gate is worth asking again.
  std::size_t turn_ = 0;                      // Which account begins.
  bool more_ = false;                         // There is something to do at once.
  std::string trouble_;                       // Why the log cannot be read now; "": it can.
  bool permitted_ = false;                    // The permission topics are known to their ends.

  std::atomic<bool> draining_ = false;
  std::atomic<bool> finishing_ = false;
  std::atomic<std::int64_t> finish_by_us_ = 0;  // Set before finishing_.
  mutable std::mutex mutex_;                    // Guards what follows.
  std::condition_variable changed_;
  bool woken_ = false;
  std::vector<Finished> inbox_;
  std::size_t in_flight_ = 0;                      // Calls that have not ended.
  std::unique_ptr<runtime::OutputReader> reader_;  // Of Run's thread, but for Wake.
  DispatchStatus status_;
};

}  // namespace alertstream::dispatch
