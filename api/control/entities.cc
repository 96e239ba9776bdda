#include "api/control/entities.h"

namespace alertstream::api {

std::optional<EntityName> EntityOf(const v1::Fact& fact) {
  switch (fact.subject_case()) {
    case v1::Fact::kTenantChange:
      return EntityName{fact.tenant(), "tenant", fact.tenant()};
    case v1::Fact::kSite:
      return EntityName{fact.tenant(), "site", fact.site().site().id()};
    case v1::Fact::kPlan:
      return EntityName{fact.tenant(), "plan", fact.plan().plan().id()};
    case v1::Fact::kSender:
      return EntityName{fact.tenant(), "sender", fact.sender().sender().id()};
    case v1::Fact::kTrigger:
      return EntityName{fact.tenant(), "trigger", fact.trigger().trigger().id()};
    case v1::Fact::kConsent:
    case v1::Fact::kOptOut:
    case v1::Fact::kNotification:
    case v1::Fact::kUsage:
    case v1::Fact::kEngine:
    case v1::Fact::kInbound:
    case v1::Fact::SUBJECT_NOT_SET:
      break;
  }
  return std::nullopt;
}

std::string EntityBytes(const v1::Fact& fact) {
  switch (fact.subject_case()) {
    case v1::Fact::kTenantChange:
      return fact.tenant_change().tenant().SerializeAsString();
    case v1::Fact::kSite:
      return fact.site().site().SerializeAsString();
    case v1::Fact::kPlan:
      return fact.plan().plan().SerializeAsString();
    case v1::Fact::kSender:
      return fact.sender().sender().SerializeAsString();
    case v1::Fact::kTrigger:
      return fact.trigger().trigger().SerializeAsString();
    case v1::Fact::kConsent:
    case v1::Fact::kOptOut:
    case v1::Fact::kNotification:
    case v1::Fact::kUsage:
    case v1::Fact::kEngine:
    case v1::Fact::kInbound:
    case v1::Fact::SUBJECT_NOT_SET:
      break;
  }
  return "";
}

std::string EntityBytes(const v1::AccountChange& change) {
  switch (change.change_case()) {
    case v1::AccountChange::kTenant:
      return change.tenant().SerializeAsString();
    case v1::AccountChange::kSite:
      return change.site().SerializeAsString();
    case v1::AccountChange::kPlan:
      return change.plan().SerializeAsString();
    case v1::AccountChange::kSender:
      return change.sender().SerializeAsString();
    case v1::AccountChange::kTrigger:
      return change.trigger().SerializeAsString();
    case v1::AccountChange::kEngineActivate:
    case v1::AccountChange::kSkipRequested:
    case v1::AccountChange::kLogMarker:
    case v1::AccountChange::CHANGE_NOT_SET:
      break;
  }
  return "";
}

}  // namespace alertstream::api
