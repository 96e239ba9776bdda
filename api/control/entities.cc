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
    case v1::Fact::kDeadLetter:
    case v1::Fact::SUBJECT_NOT_SET:
      break;
  }
  return std::nullopt;
}

}  // namespace alertstream::api
