// Gate consent: transactional messages need that no consent was revoked, informational ones a
// consent, marketing a consent with written evidence (47 CFR 64.1200(a)(2), (f)(9)). Pure.
#pragma once

#include "processor/engine/gates/gate.h"
#include "schemas/state.pb.h"

namespace alertstream::engine {

// The consent in force for (channel, message class): of the entry for the channel and the one for
// all channels the later act counts, and of two at the same time the revocation. Null: none.
inline const v1::RecipientState::Consent* ConsentInForce(const v1::RecipientState& recipient,
                                                         v1::Channel channel,
                                                         v1::MessageClass message_class) {
  const v1::RecipientState::Consent* in_force = nullptr;
  for (const auto& consent : recipient.consents()) {
    if (consent.message_class() != message_class ||
        (consent.channel() != channel && consent.channel() != v1::CHANNEL_ALL)) {
      continue;
    }
    if (in_force == nullptr || consent.at_us() > in_force->at_us() ||
        (consent.at_us() == in_force->at_us() && consent.status() == v1::CONSENT_STATUS_REVOKED)) {
      in_force = &consent;
    }
  }
  return in_force;
}

// Observed: the consent's status (v1::ConsentStatus, 0: none); limit: the message class.
inline GateOutcome ConsentGate(const v1::RecipientState& recipient, v1::Channel channel,
                               v1::MessageClass message_class) {
  const auto* consent = ConsentInForce(recipient, channel, message_class);
  const SourceRef source = consent == nullptr ? SourceRef{} : SourceAt(consent->source());
  const std::int64_t status = consent == nullptr ? 0 : consent->status();
  if (status == v1::CONSENT_STATUS_REVOKED) {
    return Suppressed(v1::REASON_CONSENT_REVOKED, status, message_class, source);
  }
  if (message_class != v1::MESSAGE_CLASS_TRANSACTIONAL && consent == nullptr) {
    return Suppressed(v1::REASON_CONSENT_MISSING, status, message_class);
  }
  if (message_class == v1::MESSAGE_CLASS_MARKETING && !consent->written()) {
    return Suppressed(v1::REASON_CONSENT_NOT_WRITTEN, status, message_class, source);
  }
  return Passed(status, message_class, source);
}

}  // namespace alertstream::engine
