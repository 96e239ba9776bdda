// PermissionView: follows the permission topics of one partition ahead of the journal, so that a
// command to a person is held while something that may restrict them waits to be decided: an
// opt-out, a revocation, or anything the person wrote to us. It decides nothing; the fold does.
// Belongs to one thread.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "processor/base/crypto.h"
#include "processor/base/result.h"
#include "processor/dispatch/hold_book.h"
#include "processor/log/event_log.h"
#include "schemas/journal.pb.h"

namespace alertstream::dispatch {

inline constexpr std::array<schemas::Topic, kHoldTopics> kHoldTopicList = {
    schemas::Topic::kOptOuts, schemas::Topic::kConsentChanges, schemas::Topic::kInboundMessages};

// Records that are kept while the journal has not passed them; then nothing is started until it
// has. About 200 bytes each.
inline constexpr std::size_t kUncoveredMax = 500'000;

class PermissionView {
 public:
  // Follows from `covered`: the positions that the journal has passed.
  static Result<std::unique_ptr<PermissionView>> Open(log::EventLog& log, std::int32_t partition,
                                                      const HmacKey& token_key,
                                                      const HoldBook::Positions& covered,
                                                      std::chrono::milliseconds timeout);

  // Takes what has arrived. Never waits. kUnavailable: the topics cannot be read now.
  Status Read();
  // The journal has accepted `record`. Appends to `released` whose commands may go on.
  void Cover(const v1::JournalRecord& record, std::vector<std::string>* released);

  bool IsHeld(std::string_view token) const { return book_.IsHeld(token); }
  // False: there may be records that it does not know of; nothing may start.
  bool Complete() const;
  // True: it reads on only when the journal has passed some.
  bool full() const { return book_.size() >= kUncoveredMax; }

 private:
  PermissionView(const HmacKey& token_key, const HoldBook::Positions& covered)
      : token_key_(token_key), book_(covered) {}
  void Take(std::size_t topic, const log::RecordView& record);

  const HmacKey& token_key_;  // Outlives the view.
  HoldBook book_;
  std::unique_ptr<log::Reader> reader_;
  HoldBook::Positions opening_ends_{};
  log::Fetched fetched_;
};

// Which offsets of the permission topics the journal had passed at `journal_offset`. A topic that
// no record near it names is known to be passed if the newest record of the topic is clearly older
// than a batch that decided events, which waits for the permission topics.
Result<HoldBook::Positions> FindCovered(log::EventLog& log, std::int32_t partition,
                                        std::int64_t journal_offset,
                                        std::chrono::milliseconds timeout);

}  // namespace alertstream::dispatch
