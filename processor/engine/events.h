// Events: from an accepted event to its decisions and commands, over as many batches as its fan-out
// needs. Internal to processor/engine; used by fold.cc.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "processor/engine/fold_context.h"
#include "processor/engine/gates/gates.h"

namespace alertstream::engine {

// Whether it asks for a notification again. Before version 4 that is no form of a request.
inline bool IsRetry(const v1::DirectNotification* request) {
  return request != nullptr && request->has_retry() &&
         request->channel() == v1::CHANNEL_UNSPECIFIED && request->trigger_id().empty();
}

class EventFold {
 public:
  explicit EventFold(FoldContext& context) : context_(context) {}

  // A record of site-events that decoded to `envelope`. What does not fit into the batch is kept as
  // a timer.
  void FoldEvent(const RecordRef& ref, const v1::Envelope& envelope);

  // Goes on with an event whose fan-out was interrupted; `key` is the timer's.
  void ContinueFanOut(std::string_view key, const v1::FanOut& fan_out);

 private:
  struct Work;
  struct Recipient {
    std::string address;
    RecipientToken token{};
    GateOutcome outcome;
  };

  bool PassEventGates(const RecordRef& ref, const v1::Envelope& envelope, Work* work);
  bool PassDirect(const RecordRef& ref, const v1::Envelope& envelope, Work* work);
  // Chooses the triggers to ask. False: the event has expired for all of them, and is decided.
  bool FindCandidates(Work* work);
  // Makes `direct_` of the request, and of its trigger if it names one. False: its template is
  // none.
  bool MakeDirect(const v1::DirectNotification& request, const CompiledTrigger* trigger);
  bool PassDedupe(const RecordRef& ref, const v1::Envelope& envelope, Work* work);
  void Decide(Work* work);
  // False: the batch is full before everything was decided.
  bool DecideTrigger(Work* work, const CompiledTrigger& trigger);
  void FindRecipients(const Work& work, const CompiledTrigger& trigger);
  void TakeDirectRecipient(const Work& work);
  // Retries of notifications (retry.cc). Makes `direct_` of one, with the pinned version of its
  // trigger if there is one; false: there is no such notification.
  bool MakeRetry(const v1::DirectNotification& request, std::string_view tenant,
                 const CompiledTrigger* pinned);
  bool PassRetry(const RecordRef& ref, const v1::Envelope& envelope, Work* work);
  // Whether the notification may be sent again, to this person.
  GateOutcome JudgeRetry(const Work& work, const RecipientToken& token);
  // In the decision record, which notification is asked for again.
  void NoteRetried(const Work& work);
  // After its SEND: what was asked for again names what came of it.
  void FollowRetry(const Work& work, const v1::Decision& decision);
  bool DecideRecipients(Work* work, const CompiledTrigger& trigger, const GateOutcome& expiry,
                        const GateOutcome& condition);
  void DecidePair(Work* work, const CompiledTrigger& trigger, PairContext* pair,
                  v1::Decision* decision);
  // `token` is empty if no person is known.
  v1::Decision* NextDecision(Work* work, const CompiledTrigger& trigger, std::string_view token);
  void FinishDecision(v1::Decision* decision, const GateOutcome& outcome);
  void FillCommand(const Work& work, const CompiledTrigger& trigger, const PairContext& pair,
                   const v1::Decision& decision, LogTime expires_at);
  void FillNotification();
  void Send(Work* work, const CompiledTrigger& trigger, PairContext* pair, v1::Decision* decision);
  void EmitPart(Work* work, bool more);
  void SaveFanOut(Work* work);

  FoldContext& context_;
  // Reused from event to event, so that their buffers are allocated once.
  schemas::JsonDocument document_;
  v1::DecisionRecord record_;
  v1::NotificationCommand command_;
  v1::NotificationState notification_;
  v1::DedupeState dedupe_;
  v1::QuotaState quota_;
  std::vector<const CompiledTrigger*> candidates_;
  std::vector<Recipient> recipients_;  // Of the event, for the trigger at hand.
  CompiledTrigger direct_;             // Of the direct notification at hand.
  PairScratch scratch_;
};

}  // namespace alertstream::engine
