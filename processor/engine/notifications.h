// Notifications after their first command (since engine version 2): how far one has come, when the
// next attempt is commanded, and what takes it back. Pure; internal to processor/engine.
//
// A notification only moves up the order of its states, so late, repeated and reordered records end
// in the same one. It is settled once no further attempt can follow: what only a retry needs is
// then forgotten.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "processor/base/time.h"
#include "processor/engine/fold_context.h"
#include "schemas/output.pb.h"
#include "schemas/state.pb.h"

namespace alertstream::engine {

// commanded < started < expired < cancelled < unknown < accepted < queued < sending < sent < failed
// < delivered < read. A failure yields to a delivery, never the other way round; what is unknown is
// not made known by a re-send that was taken back.
int RankOf(v1::NotificationStatus status);

// Keeps of a first command, in the notification that was made for it, what follows it up. In
// version 2 that is also all that another attempt needs; since version 3 the result of an attempt
// brings it along (AttemptContent), so that what is out costs the state nothing.
void RememberCommand(const v1::NotificationCommand& command, std::uint32_t engine_version,
                     v1::NotificationState* state);

// min(60 s, 0.5 s * 2^(attempt - 1)) * U, where U in (0, 1] is made from the id and the attempt, so
// that those that failed together do not come back together. At least 1 µs.
LogDuration BackoffOf(std::string_view notification_id, std::uint32_t attempt);

class Notification {
 public:
  // `id`: 16 bytes.
  Notification(FoldContext& context, std::string_view tenant, std::string_view id)
      : context_(context), tenant_(tenant), id_(id) {}

  // False: there is no such notification.
  bool Load();
  void Save();

  const std::string& tenant() const { return tenant_; }
  const std::string& id() const { return id_; }
  v1::NotificationState& state() { return state_; }
  const v1::NotificationState& state() const { return state_; }
  // A command is out whose result has not come.
  bool is_out() const { return state_.settled_attempt() < state_.attempt(); }
  // The provider has taken it, or it has failed: receipts alone move it now.
  bool is_past_sending() const;

  // True if `status` is higher than the present one, which it then replaces. Settles if that ends
  // its sending, and takes back a re-send that is out.
  bool MoveUp(v1::NotificationStatus status);
  void Settle();

  // What the next attempt needs, of a result that is no end. False: there is nothing to send again
  // (a record without it, or a notification of version 1).
  bool KeepContent(const v1::Envelope& result);

  // What keeps an attempt at `at` from being commanded: CANCELLED if the person or the tenant no
  // longer allows it, EXPIRED. A confirmation may always be sent until it expires.
  std::optional<v1::NotificationStatus> Obstacle(LogTime at);
  void StartTimer(LogTime due, v1::DeliveryTimerKind kind);
  // Commands the next attempt.
  void CommandAgain();
  // Takes back what is out or waits for its time. `fact`: with cause and time, if there is one to
  // be told.
  void Cancel(v1::Fact fact);
  // The subject of a fact about it.
  v1::NotificationFact* DescribeIn(v1::Fact* fact) const;

 private:
  void DropTimer();
  void ForgetContent();
  void AddCancelCommand();
  v1::NotificationCommand MakeCommand(v1::CommandKind kind) const;

  FoldContext& context_;
  std::string tenant_;
  std::string id_;
  v1::NotificationState state_;
};

// The channel alone, or every one there is.
std::vector<v1::Channel> ChannelsOf(v1::Channel channel);

// Takes back every outstanding notification of the person that an opt-out or a revocation on
// `channels` no longer allows. `recipient` is the new state, already stored. Whatever is out is
// taken back in this batch, because the dispatcher holds the person until then: where there are too
// many to look at, by one CANCEL for the whole channel; those that wait are then judged when their
// time comes.
void CancelForbidden(FoldContext& context, const v1::Fact& fact, std::string_view token,
                     std::span<const v1::Channel> channels, const v1::RecipientState& recipient);

void FireDeliveryTimer(FoldContext& context, std::string_view key, const v1::DeliveryTimer& timer);
// After a timer, erased by now, that made the engine throw: its notification has failed.
void FailDelivery(FoldContext& context, const v1::DeliveryTimer& timer);

}  // namespace alertstream::engine
