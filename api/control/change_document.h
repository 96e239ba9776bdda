// Documents of the control endpoint that are no rules, read field by field into the payload of an
// Envelope: consents, opt-outs, skips, the engine's version. Pure. control_request.h lists their
// fields.
#pragma once

#include <cstdint>
#include <string>

#include "api/control/rule_fields.h"
#include "schemas/envelope.pb.h"

namespace alertstream::api {

// Each reads the fields of its kind; problems go where `fields` reports them.
void ReadConsent(FieldReader& fields, const RuleTree& document, ProblemList* problems,
                 v1::ConsentChange* change);

// Who asks for an opt-out, and so what has to be said: an operator gives a reason, a tenant's own
// system may name a source instead.
enum class OptOutForm : std::uint8_t { kControl, kResource };
void ReadOptOut(FieldReader& fields, OptOutForm form, v1::OptOutChange* change);

// {"phone" or "recipient", "trigger" or ("channel", "class", "template", "sender"?)}. `recipient`:
// the person's rcp_ id, instead of an address; else empty.
void ReadDirect(FieldReader& fields, const RuleTree& document, ProblemList* problems,
                v1::DirectNotification* direct, std::string* recipient);

// `partitions`: how many there are.
void ReadSkip(FieldReader& fields, std::int32_t partitions, v1::AccountChange* change);
void ReadEngineActivate(FieldReader& fields, v1::EngineActivate* change);

}  // namespace alertstream::api
