#include "processor/engine/rules.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "processor/engine/gates/recipient.h"
#include "processor/engine/limits.h"
#include "processor/engine/state_keys.h"
#include "schemas/personal.h"

namespace alertstream::engine {
namespace {

// Texts that no trigger uses any more are dropped when there are this many.
constexpr std::size_t kTextsKeptMax = 50'000;

template <typename T>
std::shared_ptr<const T> Keep(std::map<std::string, std::shared_ptr<const T>, std::less<>>& texts,
                              const std::string& source, T compiled) {
  return texts.emplace(source, std::make_shared<const T>(std::move(compiled))).first->second;
}

template <typename T>
void DropUnusedOf(std::map<std::string, std::shared_ptr<const T>, std::less<>>& texts) {
  if (texts.size() < kTextsKeptMax) {
    return;
  }
  for (auto it = texts.begin(); it != texts.end();) {
    it = it->second.use_count() == 1 ? texts.erase(it) : std::next(it);
  }
}

// Equal literals give equal texts, and an int the same as a double of its value (CEL equality).
std::string NumberText(std::int64_t value) { return "n" + std::to_string(value); }

std::string NumberText(double value) {
  constexpr double kTwoTo63 = 9223372036854775808.0;
  if (std::trunc(value) == value && value >= -kTwoTo63 && value < kTwoTo63) {
    return NumberText(static_cast<std::int64_t>(value));
  }
  std::string text = "d";
  text.append(reinterpret_cast<const char*>(&value), sizeof(value));
  return text;
}

std::optional<std::string> LiteralText(const schemas::JsonValue& value) {
  switch (value.type()) {
    case schemas::JsonType::kBool:
      return value.AsBool() ? "t" : "f";
    case schemas::JsonType::kInt:
      return NumberText(value.AsInt());
    case schemas::JsonType::kDouble:
      return NumberText(value.AsDouble());
    case schemas::JsonType::kString:
      return "s" + std::string(value.AsString());
    case schemas::JsonType::kNull:
    case schemas::JsonType::kArray:
    case schemas::JsonType::kObject:
      break;
  }
  return std::nullopt;
}

struct LiteralTextOf {
  std::string operator()(const std::string& value) const { return "s" + value; }
  std::string operator()(std::int64_t value) const { return NumberText(value); }
  std::string operator()(double value) const { return NumberText(value); }
  std::string operator()(bool value) const { return value ? "t" : "f"; }
};

template <typename StateMessage>
std::unique_ptr<StateMessage> LoadState(std::string_view key, state::StateMap& state) {
  const auto bytes = state.Get(key);
  if (!bytes) {
    return nullptr;
  }
  auto message = std::make_unique<StateMessage>();
  ALERTSTREAM_CHECK(message->ParseFromArray(bytes->data(), static_cast<int>(bytes->size())));
  return message;
}

std::vector<KnownRecipient> CompileRecipients(std::string_view tenant, const v1::Trigger& trigger,
                                              const HmacKey& token_key) {
  std::vector<KnownRecipient> recipients;
  std::set<RecipientToken> seen;
  const v1::AddressKind kind = AddressKindOf(trigger.channel());
  for (const auto& personal : trigger.recipients().list().addresses()) {
    const auto raw = schemas::Unseal(personal);
    // What does not normalise was refused when the trigger was applied.
    auto address =
        raw.ok() ? NormalizeAddress(kind, raw.value()) : Result<std::string>(raw.error());
    if (!address.ok()) {
      continue;
    }
    const RecipientToken token =
        MakeRecipientToken(token_key, tenant, static_cast<std::uint8_t>(kind), address.value());
    if (seen.insert(token).second) {
      recipients.push_back(KnownRecipient{std::move(address).value(), token});
    }
  }
  return recipients;
}

}  // namespace

Result<std::shared_ptr<const Condition>> RuleCompiler::CompileCondition(const std::string& source) {
  if (source.empty()) {
    return std::shared_ptr<const Condition>();
  }
  if (const auto found = conditions_.find(source); found != conditions_.end()) {
    return found->second;
  }
  DropUnused();
  ALERTSTREAM_ASSIGN_OR_RETURN(auto condition, Condition::Compile(source));
  return Keep(conditions_, source, std::move(condition));
}

Result<std::shared_ptr<const Template>> RuleCompiler::CompileTemplate(const std::string& source) {
  if (const auto found = templates_.find(source); found != templates_.end()) {
    return found->second;
  }
  DropUnused();
  ALERTSTREAM_ASSIGN_OR_RETURN(auto body, Template::Compile(source));
  return Keep(templates_, source, std::move(body));
}

void RuleCompiler::DropUnused() {
  DropUnusedOf(conditions_);
  DropUnusedOf(templates_);
}

Result<std::unique_ptr<CompiledTrigger>> CompileTrigger(std::string_view tenant,
                                                        const v1::TriggerState& state,
                                                        const HmacKey& token_key,
                                                        RuleCompiler& compiler) {
  const v1::Trigger& trigger = state.trigger();
  auto compiled = std::make_unique<CompiledTrigger>();
  ALERTSTREAM_ASSIGN_OR_RETURN(compiled->condition, compiler.CompileCondition(trigger.when()));
  ALERTSTREAM_ASSIGN_OR_RETURN(compiled->body, compiler.CompileTemplate(trigger.template_body()));
  compiled->id = trigger.id();
  compiled->version = state.version();
  compiled->source_offset = state.source();
  compiled->event_type = trigger.event_type();
  compiled->recipient_field = trigger.recipients().field();
  compiled->recipients = CompileRecipients(tenant, trigger, token_key);
  compiled->channel = trigger.channel();
  compiled->message_class = trigger.message_class();
  compiled->sender = trigger.sender();
  compiled->cooldown = LogDuration{trigger.cooldown_us()};
  compiled->daily_cap = trigger.daily_cap();
  compiled->max_age =
      trigger.max_age_us() == 0 ? kMaxAgeDefault : LogDuration{trigger.max_age_us()};
  compiled->allow_public = trigger.allow_public();
  compiled->enabled = trigger.enabled() && !trigger.deleted();
  return compiled;
}

void TriggerSet::Add(const CompiledTrigger* trigger) {
  triggers_.push_back(trigger);
  max_age_ = std::max(max_age_, trigger->max_age);
  if (trigger->condition == nullptr || trigger->condition->required_equalities().empty()) {
    unindexed_.push_back(trigger);
    return;
  }
  const auto& equality = trigger->condition->required_equalities().front();
  const std::string literal = std::visit(LiteralTextOf{}, equality.literal);
  auto path = std::lower_bound(by_path_.begin(), by_path_.end(), equality.path,
                               [](const ByPath& a, const std::string& b) { return a.path < b; });
  if (path == by_path_.end() || path->path != equality.path) {
    path = by_path_.insert(path, ByPath{.path = equality.path, .literals = {}});
  }
  auto& literals = path->literals;
  auto at =
      std::lower_bound(literals.begin(), literals.end(), literal,
                       [](const ByLiteral& a, const std::string& b) { return a.literal < b; });
  if (at == literals.end() || at->literal != literal) {
    at = literals.insert(at, ByLiteral{.literal = literal, .triggers = {}});
  }
  at->triggers.push_back(trigger);
}

void TriggerSet::Candidates(const std::optional<schemas::JsonValue>& data,
                            std::vector<const CompiledTrigger*>* out) const {
  const std::size_t begin = out->size();
  out->insert(out->end(), unindexed_.begin(), unindexed_.end());
  bool sorted = true;
  for (const auto& [path, by_literal] : by_path_) {
    const auto value = data ? data->FindPath(path) : std::nullopt;
    if (!value) {
      // An absent field is an error, not a false: what the other conjuncts say decides.
      for (const auto& [literal, triggers] : by_literal) {
        sorted = sorted && out->size() == begin;
        out->insert(out->end(), triggers.begin(), triggers.end());
      }
      continue;
    }
    const auto literal = LiteralText(*value);
    if (!literal) {
      continue;  // Null, arrays and objects equal no literal of the index.
    }
    const auto found =
        std::lower_bound(by_literal.begin(), by_literal.end(), *literal,
                         [](const ByLiteral& a, const std::string& b) { return a.literal < b; });
    if (found != by_literal.end() && found->literal == *literal) {
      sorted = sorted && out->size() == begin;
      out->insert(out->end(), found->triggers.begin(), found->triggers.end());
    }
  }
  if (!sorted) {
    std::sort(out->begin() + static_cast<std::ptrdiff_t>(begin), out->end(),
              [](const auto* a, const auto* b) { return a->id < b->id; });
  }
}

std::unique_ptr<TenantRules> TenantRules::Load(std::string_view tenant, const HmacKey& token_key,
                                               RuleCompiler& compiler, state::StateMap& state) {
  const auto stored = LoadState<v1::TenantState>(StateKey(tenant, Table::kTenant), state);
  if (stored == nullptr) {
    return nullptr;
  }
  auto rules = std::make_unique<TenantRules>();
  rules->id_ = std::string(tenant);
  rules->tenant_ = *stored;
  const std::string& plan_id = stored->tenant().plan();
  if (!plan_id.empty()) {
    rules->plan_.named = true;
    if (const auto plan =
            LoadState<v1::PlanState>(StateKey(tenant, Table::kPlan).Bytes(plan_id), state)) {
      rules->plan_.exists = true;
      rules->plan_.sends_per_month_max = plan->plan().sends_per_month_max();
      rules->plan_.version = plan->version();
      rules->plan_.source.offset = plan->source();
    }
  }
  std::map<std::string, std::uint32_t> set_of_type;
  for (const auto& id : stored->trigger_ids()) {
    const auto trigger =
        LoadState<v1::TriggerState>(StateKey(tenant, Table::kTrigger).Bytes(id), state);
    if (trigger == nullptr || !trigger->trigger().enabled() || trigger->trigger().deleted()) {
      continue;
    }
    auto compiled = CompileTrigger(tenant, *trigger, token_key, compiler);
    // Only texts that compile are accepted into the state (control.cc).
    ALERTSTREAM_CHECK(compiled.ok());
    rules->triggers_.push_back(std::move(compiled).value());
    const CompiledTrigger* added = rules->triggers_.back().get();
    const auto [set, is_new] =
        set_of_type.try_emplace(added->event_type, static_cast<std::uint32_t>(rules->sets_.size()));
    if (is_new) {
      rules->sets_.emplace_back(added->event_type, TriggerSet());
      rules->by_type_.push_back(
          {.hash = std::hash<std::string_view>()(added->event_type), .set = set->second});
    }
    rules->sets_[set->second].second.Add(added);
  }
  std::sort(rules->by_type_.begin(), rules->by_type_.end(),
            [](const OfType& a, const OfType& b) { return a.hash < b.hash; });
  return rules;
}

const v1::SiteState* TenantRules::FindSite(std::string_view id, state::StateMap& state) {
  if (const auto found = sites_.find(id); found != sites_.end()) {
    return found->second.get();
  }
  // Only what exists is kept: ids that do not come from outside, without bound.
  auto loaded = LoadState<v1::SiteState>(StateKey(id_, Table::kSite).Bytes(id), state);
  if (loaded == nullptr) {
    return nullptr;
  }
  return sites_.emplace(std::string(id), std::move(loaded)).first->second.get();
}

const v1::SenderState* TenantRules::FindSender(std::string_view id, state::StateMap& state) {
  if (const auto found = senders_.find(id); found != senders_.end()) {
    return found->second.get();
  }
  // Only what exists is kept: ids that do not come from outside, without bound.
  auto loaded = LoadState<v1::SenderState>(StateKey(id_, Table::kSender).Bytes(id), state);
  if (loaded == nullptr) {
    return nullptr;
  }
  return senders_.emplace(std::string(id), std::move(loaded)).first->second.get();
}

const TriggerSet* TenantRules::TriggersOf(std::string_view event_type) const {
  const std::size_t hash = std::hash<std::string_view>()(event_type);
  auto found = std::lower_bound(by_type_.begin(), by_type_.end(), hash,
                                [](const OfType& a, std::size_t b) { return a.hash < b; });
  for (; found != by_type_.end() && found->hash == hash; ++found) {
    if (sets_[found->set].first == event_type) {
      return &sets_[found->set].second;
    }
  }
  return nullptr;
}

const CompiledTrigger* TenantRules::FindTrigger(std::string_view id) const {
  const auto found = std::lower_bound(
      triggers_.begin(), triggers_.end(), id,
      [](const auto& trigger, std::string_view wanted) { return trigger->id < wanted; });
  return found == triggers_.end() || (*found)->id != id ? nullptr : found->get();
}

}  // namespace alertstream::engine
