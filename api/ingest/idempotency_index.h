// IdempotencyIndex: which event stands for a key of the last seven days, so that a client that
// repeats a request gets its first answer. A port: thread-safe. Used by the ingest door, which asks
// before it appends and notes what the log took; filled besides from what other instances appended.
//
// The index is a help for clients, not the guarantee: what it does not know (yet) the fold decides
// as a duplicate or dead-letters as a conflict.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "processor/base/crypto.h"
#include "processor/base/id.h"
#include "processor/base/time.h"
#include "schemas/envelope.pb.h"

namespace alertstream::api {

// The scope of a key, the same parts as in the fold's gate dedupe, and the key: Idempotency-Key or
// the CloudEvents extension `idempotencykey`, else the event's id; never empty.
struct IdempotencyKey {
  std::string_view tenant;
  v1::Trust trust = v1::TRUST_UNSPECIFIED;
  std::string_view site;
  std::string_view source;
  std::string_view key;
};

// That of an event as it lies on site-events; nothing if the event has no key. Views of `envelope`.
std::optional<IdempotencyKey> IdempotencyKeyOf(const v1::Envelope& envelope);

// What an index files a key under: the first 16 bytes of SHA-256 over the tenant's length and text
// and then exactly what the fold hashes (trust, and site, source, key each behind their length).
// Stored on disk; the meaning may never change.
using IdempotencyHash = IdBytes;
IdempotencyHash HashOf(const IdempotencyKey& key);

// The digest by which two bodies are the same: SHA-256 of the type, a zero byte and the data as
// stored. The fold forms it where an Envelope's body_sha256 is empty.
Digest BodyDigest(std::string_view type, std::string_view data);

struct IdempotencyEntry {
  IdBytes event_id = {};  // Shown as evt_.
  Digest body_sha256 = {};
  std::int32_t partition = 0;  // Of site-events.
  std::int64_t offset = 0;
  LogTime append_time;
};

class IdempotencyIndex {
 public:
  virtual ~IdempotencyIndex() = default;

  // The first event of that key appended within kDedupeUs; nothing if there is none or it is not
  // known here. A local look-up at most.
  virtual std::optional<IdempotencyEntry> Find(const IdempotencyHash& hash) const = 0;
  // Found by every later Find. An entry that is there and not expired stays: the first event
  // counts.
  virtual void Insert(const IdempotencyHash& hash, const IdempotencyEntry& entry) = 0;
};

}  // namespace alertstream::api
