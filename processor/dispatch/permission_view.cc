#include "processor/dispatch/permission_view.h"

#include <algorithm>
#include <array>
#include <optional>

#include "processor/base/id.h"
#include "processor/dispatch/read_range.h"
#include "processor/engine/gates/recipient.h"
#include "schemas/envelope.pb.h"
#include "schemas/input_codec.h"
#include "schemas/personal.h"

namespace alertstream::dispatch {
namespace {

constexpr std::size_t kFetchRecords = 2000;
constexpr std::size_t kFetchBytes = 1 << 20;
// How far back is looked at first; then eight times as far.
constexpr std::int64_t kLookBack = 4096;
// More than the age of a permission view, the skew of clocks that a task allows, and the steps of
// append times together.
constexpr LogDuration kClearlyOlder = std::chrono::seconds(15);

// Whom the record may restrict, as addresses: nothing if it restricts nobody.
struct Restricted {
  const v1::Personal* address = nullptr;
  v1::AddressKind kind = v1::ADDRESS_KIND_UNSPECIFIED;
  std::string_view token = {};
};

std::optional<Restricted> RestrictedBy(const v1::Envelope& envelope) {
  if (envelope.has_opt_out_change() &&
      envelope.opt_out_change().status() == v1::OPT_OUT_STATUS_ACTIVE) {
    const auto& change = envelope.opt_out_change();
    return Restricted{&change.address(), change.address_kind(), change.recipient_token()};
  }
  if (envelope.has_consent_change() &&
      envelope.consent_change().status() == v1::CONSENT_STATUS_REVOKED) {
    const auto& change = envelope.consent_change();
    return Restricted{&change.address(), change.address_kind(), change.recipient_token()};
  }
  if (envelope.has_inbound_message()) {
    // Whether it is a STOP the fold says: it knows the words.
    const auto& message = envelope.inbound_message();
    return Restricted{&message.from(), message.from_kind()};
  }
  return std::nullopt;
}

std::size_t IndexOf(std::uint32_t topic) {
  std::size_t i = 0;
  while (i < kHoldTopics && static_cast<std::uint32_t>(kHoldTopicList[i]) != topic) {
    ++i;
  }
  return i;
}

// Site events and timers are decided only when the permission topics were read to their end.
bool DecidedEvents(const v1::JournalRecord& record) {
  return record.timers_fired() > 0 ||
         std::any_of(record.inputs().begin(), record.inputs().end(), [](const auto& input) {
           return input.topic() == static_cast<std::uint32_t>(schemas::Topic::kSiteEvents);
         });
}

// When the newest record below `end` was appended; nothing if there is none but the marker.
Result<std::optional<LogTime>> NewestAppend(log::EventLog& log, log::TopicPartition partition,
                                            std::int64_t end, std::chrono::milliseconds timeout) {
  std::optional<LogTime> newest;
  for (std::int64_t distance = 64; !newest && end > 1; distance *= 8) {
    const std::int64_t from = std::max<std::int64_t>(1, end - distance);
    ALERTSTREAM_RETURN_IF_ERROR(
        ReadRange(log, partition, from, end, timeout, [&](const log::RecordView& record) {
          newest = record.append_time;
          return Status::Ok();
        }));
    if (from == 1) {
      break;
    }
  }
  return newest;
}

}  // namespace

Result<std::unique_ptr<PermissionView>> PermissionView::Open(log::EventLog& log,
                                                             std::int32_t partition,
                                                             const HmacKey& token_key,
                                                             const HoldBook::Positions& covered,
                                                             std::chrono::milliseconds timeout) {
  auto view = std::unique_ptr<PermissionView>(new PermissionView(token_key, covered));
  std::vector<log::TopicPartition> topics;
  std::vector<log::ReadFrom> from;
  for (std::size_t i = 0; i < kHoldTopics; ++i) {
    topics.push_back({kHoldTopicList[i], partition});
    from.push_back({topics.back(), covered[i]});
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto ends, log.Ends(topics, log::EndKind::kStable, timeout));
  std::copy_n(ends.begin(), kHoldTopics, view->opening_ends_.begin());
  ALERTSTREAM_ASSIGN_OR_RETURN(view->reader_, log.OpenReader(from));
  return view;
}

Status PermissionView::Read() {
  for (std::size_t i = 0; i < kHoldTopics; ++i) {
    while (!full()) {
      fetched_.records.clear();
      fetched_.owners.clear();
      const auto count = reader_->Fetch(i, {kFetchRecords, kFetchBytes}, &fetched_);
      for (const log::RecordView& record : fetched_.records) {
        Take(i, record);
      }
      if (!count.ok()) {
        return count.error();
      }
      if (count.value() == 0) {
        break;
      }
    }
  }
  return Status::Ok();
}

void PermissionView::Take(std::size_t topic, const log::RecordView& record) {
  v1::Envelope envelope;
  if (schemas::DecodeInput(kHoldTopicList[topic], record, &envelope)) {
    return;  // A dead letter: it restricts nobody.
  }
  const auto restricted = RestrictedBy(envelope);
  if (!restricted) {
    return;
  }
  if (!restricted->token.empty()) {
    book_.Add(restricted->token, topic, record.offset);
    return;
  }
  const auto kind =
      restricted->kind == v1::ADDRESS_KIND_UNSPECIFIED ? v1::ADDRESS_KIND_PHONE : restricted->kind;
  const auto raw = schemas::Unseal(*restricted->address);
  const auto address =
      raw.ok() ? engine::NormalizeAddress(kind, raw.value()) : Result<std::string>(raw.error());
  if (!address.ok()) {
    return;  // The fold makes a dead letter of it.
  }
  const RecipientToken token = MakeRecipientToken(token_key_, envelope.routing_key(),
                                                  static_cast<std::uint8_t>(kind), address.value());
  book_.Add({reinterpret_cast<const char*>(token.data()), token.size()}, topic, record.offset);
}

void PermissionView::Cover(const v1::JournalRecord& record, std::vector<std::string>* released) {
  for (const auto& input : record.inputs()) {
    const std::size_t topic = IndexOf(input.topic());
    if (topic < kHoldTopics) {
      book_.Cover(topic, input.next(), released);
    }
  }
}

bool PermissionView::Complete() const {
  for (std::size_t i = 0; i < kHoldTopics; ++i) {
    if (reader_->Position(i) < opening_ends_[i]) {
      return false;
    }
  }
  return !full();
}

Result<HoldBook::Positions> FindCovered(log::EventLog& log, std::int32_t partition,
                                        std::int64_t journal_offset,
                                        std::chrono::milliseconds timeout) {
  std::vector<log::TopicPartition> topics;
  topics.reserve(kHoldTopics);
  for (const schemas::Topic topic : kHoldTopicList) {
    topics.push_back({topic, partition});
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto ends, log.Ends(topics, log::EndKind::kStable, timeout));
  std::array<std::optional<LogTime>, kHoldTopics> newest;
  for (std::size_t i = 0; i < kHoldTopics; ++i) {
    ALERTSTREAM_ASSIGN_OR_RETURN(newest[i], NewestAppend(log, topics[i], ends[i], timeout));
  }
  for (std::int64_t distance = kLookBack;; distance *= 8) {
    std::array<std::optional<std::int64_t>, kHoldTopics> named;
    std::optional<LogTime> decided;
    const std::int64_t from = std::max<std::int64_t>(0, journal_offset - distance);
    ALERTSTREAM_RETURN_IF_ERROR(ReadRange(
        log, {schemas::Topic::kJournal, partition}, from, journal_offset, timeout,
        [&](const log::RecordView& record) {
          v1::JournalRecord journal;
          if (record.offset == 0 ||
              !journal.ParseFromArray(record.value.data(), static_cast<int>(record.value.size()))) {
            return Status::Ok();
          }
          decided = DecidedEvents(journal) ? FromMicros(journal.now_us()) : decided;
          for (const auto& input : journal.inputs()) {
            const std::size_t topic = IndexOf(input.topic());
            if (topic < kHoldTopics) {
              named[topic] = input.next();
            }
          }
          return Status::Ok();
        }));
    HoldBook::Positions covered{};
    bool all = true;
    for (std::size_t i = 0; i < kHoldTopics; ++i) {
      const bool passed = !newest[i] || (decided && *decided - *newest[i] > kClearlyOlder);
      covered[i] = named[i] ? *named[i] : (passed ? ends[i] : 0);
      all = all && (named[i] || passed);
    }
    if (all || from == 0) {
      return covered;
    }
  }
}

}  // namespace alertstream::dispatch
