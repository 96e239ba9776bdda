// Rules: a tenant's entities, decoded and compiled, as the events of a batch need them. A pure
// function of the state: a cache that may be dropped at any time. Belongs to one fold.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "processor/base/crypto.h"
#include "processor/base/id.h"
#include "processor/base/result.h"
#include "processor/engine/conditions/condition.h"
#include "processor/engine/gates/plan_quota.h"
#include "processor/engine/templates/template.h"
#include "processor/state/state_map.h"
#include "schemas/envelope.pb.h"
#include "schemas/json.h"
#include "schemas/state.pb.h"

namespace alertstream::engine {

struct KnownRecipient {
  std::string address;  // Normalised.
  RecipientToken token;
};

struct CompiledTrigger {
  std::string id;
  std::uint64_t version = 0;
  std::int64_t source_offset = 0;
  std::string event_type;
  std::string recipient_field;             // Below the event: "data.phone"; empty: the list.
  std::vector<KnownRecipient> recipients;  // In the order of the trigger, each person once.
  v1::Channel channel = v1::CHANNEL_UNSPECIFIED;
  v1::MessageClass message_class = v1::MESSAGE_CLASS_UNSPECIFIED;
  std::string sender;
  LogDuration cooldown{};
  std::uint32_t daily_cap = 0;
  LogDuration max_age{};
  bool allow_public = false;
  bool enabled = false;
  // Shared with the triggers of all tenants that have the same text. Null: no condition.
  std::shared_ptr<const Condition> condition;
  std::shared_ptr<const Template> body;
  std::optional<std::string> text;  // Instead: a message that was rendered before.
};

// Compiles conditions and templates, each text once.
class RuleCompiler {
 public:
  Result<std::shared_ptr<const Condition>> CompileCondition(const std::string& source);
  Result<std::shared_ptr<const Template>> CompileTemplate(const std::string& source);

 private:
  void DropUnused();
  std::map<std::string, std::shared_ptr<const Condition>, std::less<>> conditions_;
  std::map<std::string, std::shared_ptr<const Template>, std::less<>> templates_;
};

// The enabled triggers of one event type, with an index over the equalities that their conditions
// require, so that an event meets only those that can hold.
class TriggerSet {
 public:
  void Add(const CompiledTrigger* trigger);
  std::size_t size() const { return triggers_.size(); }
  // The longest max_age of any of them: an older event concerns nobody.
  LogDuration max_age() const { return max_age_; }

  // Appends the triggers whose required equality is met by `data` or that have none, in the order
  // of their ids.
  void Candidates(const std::optional<schemas::JsonValue>& data,
                  std::vector<const CompiledTrigger*>* out) const;

 private:
  struct ByLiteral {
    std::string literal;
    std::vector<const CompiledTrigger*> triggers;
  };
  struct ByPath {
    std::string path;
    std::vector<ByLiteral> literals;  // Sorted.
  };
  std::vector<const CompiledTrigger*> triggers_;
  std::vector<const CompiledTrigger*> unindexed_;
  LogDuration max_age_{};
  std::vector<ByPath> by_path_;  // Sorted.
};

class TenantRules {
 public:
  // Null if there is no such tenant.
  static std::unique_ptr<TenantRules> Load(std::string_view tenant, const HmacKey& token_key,
                                           RuleCompiler& compiler, state::StateMap& state);

  const v1::TenantState& tenant() const { return tenant_; }
  // Null if there is none.
  const v1::SiteState* FindSite(std::string_view id, state::StateMap& state);
  const v1::SenderState* FindSender(std::string_view id, state::StateMap& state);
  const PlanLimit& plan() const { return plan_; }
  // The batch (FoldContext::batch) that last noted this tenant's usage.
  std::uint64_t usage_noted_in = 0;

  // Null: no enabled trigger of this type.
  const TriggerSet* TriggersOf(std::string_view event_type) const;
  const CompiledTrigger* FindTrigger(std::string_view id) const;

 private:
  std::string id_;
  v1::TenantState tenant_;
  PlanLimit plan_;
  std::map<std::string, std::unique_ptr<v1::SiteState>, std::less<>> sites_;
  std::map<std::string, std::unique_ptr<v1::SenderState>, std::less<>> senders_;
  std::vector<std::unique_ptr<CompiledTrigger>> triggers_;  // Sorted by id.
  struct OfType {
    std::size_t hash;
    std::uint32_t set;  // In `sets_`.
  };
  std::vector<OfType> by_type_;  // Sorted.
  std::vector<std::pair<std::string, TriggerSet>> sets_;
};

// One trigger version, compiled. kInvalid: its condition or template no longer compiles.
Result<std::unique_ptr<CompiledTrigger>> CompileTrigger(std::string_view tenant,
                                                        const v1::TriggerState& trigger,
                                                        const HmacKey& token_key,
                                                        RuleCompiler& compiler);

}  // namespace alertstream::engine
