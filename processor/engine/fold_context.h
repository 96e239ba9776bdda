// What the parts of the fold share while a batch is folded. Internal to processor/engine.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "processor/base/id.h"
#include "processor/engine/effects.h"
#include "processor/engine/fold.h"
#include "processor/engine/rules.h"
#include "processor/engine/state_keys.h"
#include "processor/state/state_map.h"
#include "schemas/decode_fault.h"
#include "schemas/envelope.pb.h"
#include "schemas/record.h"
#include "schemas/state.pb.h"

namespace alertstream::engine {

// Where the record that is being folded lies.
struct RecordRef {
  schemas::Topic topic;
  const schemas::RecordView* record;
};

// The record at hand is the retry of a dead letter, and was let in (redrive.h).
struct Redrive {
  v1::DeadLetterAction action;
  std::string tenant;  // Of the dead letter; `_unrouted` if it has none.
  // When its record was appended first; since version 5 whatever it died as meanwhile.
  LogTime first_appended{};
  v1::DeadLetterState state;
};

class FoldContext {
 public:
  FoldContext(const FoldConfig& config_in, state::StateMap& state_in)
      : config(config_in), state(state_in) {}

  const FoldConfig& config;
  state::StateMap& state;
  Effects* effects = nullptr;
  LogTime now{};
  std::uint32_t engine_version = kEngineVersion;
  std::uint64_t batch = 0;         // Counts the batches since this context was made.
  std::uint32_t cancel_steps = 0;  // Of this batch; kCancelStepsPerBatchMax.
  RuleCompiler compiler;
  std::optional<Redrive> redrive;

  // Null if there is no such tenant. Valid until ForgetRules(tenant) or the end of the batch.
  TenantRules* RulesOf(std::string_view tenant);
  // After a change of the tenant's entities.
  void ForgetRules(std::string_view tenant);
  void EvictRules();

  // Parses the value of `key`; false if it is not there.
  bool Load(std::string_view key, google::protobuf::MessageLite* message);
  void Store(std::string_view key, const google::protobuf::MessageLite& message);
  void StoreFresh(std::string_view key, const google::protobuf::MessageLite& message);

  void SetPosition(const RecordRef& ref, v1::Position* position) const;
  SourceRef SourceOf(const RecordRef& ref) const {
    return SourceAt(ref.topic, static_cast<std::uint32_t>(config.partition), ref.record->offset);
  }

  // Dead-letters the record with its exact bytes. `tenant` and `event_type` may be empty.
  void AddDeadLetter(const RecordRef& ref, const schemas::DecodeFault& fault,
                     std::string_view tenant, std::string_view event_type);
  // A fact with cause, time, actor and reason filled in; the caller sets the subject and adds it.
  v1::Fact MakeFact(const RecordRef& ref, const v1::Envelope& envelope) const;
  // The same for what no record caused but the time.
  v1::Fact MakeFact(std::string_view tenant) const;
  void AddFact(const v1::Fact& fact) { effects->facts.Add(fact.tenant(), fact); }
  void Reject(v1::Fact* fact, v1::RejectReason reason, std::string detail);

  // True while the batch has room for another event's or timer's outputs.
  bool HasRoom() const;

  void PutTimer(LogTime due, std::string_view id, const v1::TimerState& timer);
  // The next timer due at or before `until`, if any; its key.
  std::optional<std::string> NextTimer(LogTime until);

  // Tenants that sent in this batch, with the month: for the usage facts at its end.
  std::map<std::string, std::uint32_t, std::less<>> usage;
  // Dedupe keys that this batch added, to be swept together.
  v1::TimerState sweep;
  std::string sweep_id;
  // Dead letters that were first acted on in this batch, to be forgotten together.
  v1::TimerState dead_letter_sweep;
  std::string dead_letter_sweep_id;

 private:
  std::map<std::string, std::unique_ptr<TenantRules>, std::less<>> rules_;
  std::string buffer_;
  // No timer is due before this; a cache of the state.
  LogTime timers_from_ = FromMicros(0);
};

// control.cc: a record of account-changes.
void FoldAccountChange(FoldContext& context, const RecordRef& ref, const v1::Envelope& envelope);
// permissions.cc: a record of consent-changes, opt-outs or inbound-messages.
void FoldConsentChange(FoldContext& context, const RecordRef& ref, const v1::Envelope& envelope);
void FoldOptOutChange(FoldContext& context, const RecordRef& ref, const v1::Envelope& envelope);
void FoldInboundMessage(FoldContext& context, const RecordRef& ref, const v1::Envelope& envelope);
// True if the record takes a permission away; such records are folded first among those of the same
// append time.
bool IsRestricting(const v1::Envelope& envelope);
// After an attempt that the provider refused because the person opted out there: as a STOP, without
// an answer.
void OptOutByProvider(FoldContext& context, const RecordRef& ref, const v1::Envelope& envelope,
                      const v1::NotificationState& notification);
// deliveries.cc: a record of delivery-attempts or delivery-receipts.
void FoldAttempt(FoldContext& context, const RecordRef& ref, const v1::Envelope& envelope);
void FoldReceipt(FoldContext& context, const RecordRef& ref, const v1::Envelope& envelope);

}  // namespace alertstream::engine
