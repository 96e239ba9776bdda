// Limits on the fields of input records, each with its reason. A record above one is refused at the
// edge and dead-lettered in the fold, by the same code (envelope_check.h). A limit may be raised
// only behind an engine version: records that were refused under it are part of history.
// Pure vocabulary; the limits on whole records stand in topics.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "schemas/topics.h"

namespace alertstream::schemas {

// The newest Envelope.schema_version that this code understands.
inline constexpr std::uint32_t kSchemaVersionMax = 1;

// The newest engine version whose checks these are. What an earlier one refused or let pass stays
// refused or passed in its part of history.
inline constexpr std::uint32_t kChecksVersion = 5;

// Envelope.
inline constexpr std::size_t kEventIdBytesMax = 256;    // ULID, UUID or "host/queue/offset".
inline constexpr std::size_t kEventTypeBytesMax = 128;  // Reverse domain names; key of an index.
inline constexpr std::size_t kSourceBytesMax = 512;  // A URI reference; part of the dedupe scope.
inline constexpr std::size_t kSiteIdBytesMax = 64;   // A host name's label, or a short name.
inline constexpr std::size_t kActorBytesMax = 128;   // A user or key id.
inline constexpr std::size_t kTraceparentBytesMax = 55;  // W3C trace context, version 00: exactly.
inline constexpr std::size_t kTracestateBytesMax = 512;  // What W3C asks every hop to carry.
inline constexpr std::size_t kIdempotencyKeyBytesMax = 256;  // Stripe's and the IETF draft's habit.
// Tenant, site, trust and source of the edge's own look-ups, with separators.
inline constexpr std::size_t kIdempotencyScopeBytesMax = 768;
static_assert(kTenantIdBytesMax + kSiteIdBytesMax + kSourceBytesMax + 64 <=
                  kIdempotencyScopeBytesMax,
              "the edge's scope must hold its parts");
inline constexpr std::size_t kSha256Bytes = 32;

// 2000-01-01 and 2200-01-01, UTC: a time outside is a unit mistaken (seconds, milliseconds or
// nanoseconds for microseconds), and would keep an event from expiring for ever.
inline constexpr std::int64_t kTimeUsMin = 946'684'800'000'000;
inline constexpr std::int64_t kTimeUsMax = 7'258'118'400'000'000;

// Event data, as compact JSON. The REST body is the largest source of it; what structured
// CloudEvents expand to when they are written anew ("1e9") must stay below as well.
inline constexpr std::size_t kEventDataBytesMax = kEventBytesMax;
// Everything of an Envelope but the data: all of the texts above together, with tags and lengths.
static_assert(kEventIdBytesMax + kEventTypeBytesMax + kSourceBytesMax + kSiteIdBytesMax +
                      kActorBytesMax + kTraceparentBytesMax + kTracestateBytesMax +
                      kIdempotencyKeyBytesMax + kIdempotencyScopeBytesMax + 2 * kTenantIdBytesMax +
                      kSha256Bytes + 256 <=
                  kEnvelopeOverheadBytesMax,
              "an Envelope around the largest event data must fit into an input record");

// People and messages.
inline constexpr std::size_t kPhoneTextBytesMax = 64;  // 15 digits, with room for any punctuation.
inline constexpr std::size_t kEmailBytesMax = 254;     // RFC 5321: a path of 256 with its brackets.
inline constexpr std::size_t kPushTokenBytesMax = 4096;  // Tokens have no bound of their own.
inline constexpr std::size_t kRecipientTokenBytes = 16;
// WhatsApp passes 4,096 characters of up to four bytes; a STOP must never be lost to its length.
inline constexpr std::size_t kInboundBodyBytesMax = 16'384;
inline constexpr std::size_t kConsentDetailBytesMax = 8192;  // URL, agent and the text agreed to.
inline constexpr std::size_t kReasonBytesMax = 512;          // One sentence for the audit trail.
inline constexpr std::size_t kSourceWordBytesMax = 64;       // "web_form", "paper": one word.
inline constexpr std::size_t kDisclosureVersionBytesMax = 128;

// Providers. Their ids are opaque to us; the longest seen is a WhatsApp message id of about 100.
inline constexpr std::size_t kProviderBytesMax = 64;
inline constexpr std::size_t kProviderAccountBytesMax = 256;
inline constexpr std::size_t kProviderMessageIdBytesMax = 256;
inline constexpr std::size_t kProviderStatusBytesMax = 128;  // Also error codes.
inline constexpr std::size_t kNotificationIdBytesMax = 64;   // ntf_ and 26 characters, with room.
inline constexpr std::uint32_t kAttemptMaxV1 = 1000;         // Far above any retry policy then.
// Since version 2: a suspended account is asked once a minute for up to 7 days, ten times over.
inline constexpr std::uint32_t kAttemptMax = 100'000;

// Since version 3: the text of a message as it was sent, for the next attempt. Above all that is
// ever rendered.
inline constexpr std::size_t kMessageBodyBytesMax = 16'384;

inline constexpr std::size_t kDeadLetterIdBytes = 16;

// Account changes.
inline constexpr std::size_t kEntityIdBytesMax = 64;  // Trigger, plan, sender: part of state keys.
inline constexpr std::size_t kNameBytesMax = 256;     // A title in a list.
inline constexpr std::size_t kReplyBytesMax = 1600;   // Ten segments: what providers take at most.
inline constexpr std::size_t kConditionBytesMax = 4096;  // Compiled by every task that loads it.
inline constexpr std::size_t kTemplateBytesMax = 8192;   // Four times the longest message rendered.
static_assert(kPushTokenBytesMax + kTemplateBytesMax + 2 * kEntityIdBytesMax <=
                  kEnvelopeOverheadBytesMax / 2,
              "a direct notification beside the largest event data must fit into an input record");
inline constexpr std::size_t kFieldPathBytesMax = 512;  // 32 levels of 15 characters.
inline constexpr int kRecipientsMax = 1000;             // One event's fan-out over one trigger.
static_assert(kRecipientsMax * (kPhoneTextBytesMax + 8) + kTemplateBytesMax + kConditionBytesMax <=
                  kEventBytesMax,
              "the largest trigger must fit into an input record");

inline constexpr std::int64_t kSecondUs = 1'000'000;
inline constexpr std::int64_t kHourUs = 3600 * kSecondUs;
inline constexpr std::int64_t kDayUs = 24 * kHourUs;
inline constexpr std::int64_t kRetryAfterUsMax = kDayUs;      // Adapters cap it far below.
inline constexpr std::int64_t kUnknownWaitUsMin = kSecondUs;  // Below, no callback can be in time.
inline constexpr std::int64_t kUnknownWaitUsMax = kHourUs;    // Above, the message has gone stale.
inline constexpr std::int64_t kDedupeUs = 7 * kDayUs;  // How long an event's key is remembered.
inline constexpr std::int64_t kMaxAgeUsMax = 7 * kDayUs;
static_assert(kMaxAgeUsMax <= kDedupeUs,
              "an event that is still acted upon must still be recognised as a duplicate");
inline constexpr std::int64_t kCooldownUsMax = 31 * kDayUs;  // "Once a month".
// The sends of 24 hours are one value of the state, rewritten with every send.
inline constexpr std::uint32_t kDailyCapMax = 100;
inline constexpr std::int64_t kSendsPerMonthMax = 1'000'000'000'000;  // Sums stay far from int64's.
inline constexpr std::uint32_t kShardsMax = 1;           // A tenant lies in one partition today.
inline constexpr std::uint32_t kPartitionsMax = 10'000;  // One task, two producers each.

}  // namespace alertstream::schemas
