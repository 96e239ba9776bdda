#include "tests/simulation/models/journal_model.h"

#include <fmt/format.h>

#include <set>
#include <tuple>

#include "processor/base/crypto.h"
#include "schemas/topics.h"

namespace alertstream::simulation {
namespace {

using schemas::Topic;

constexpr Topic kOutputs[] = {Topic::kNotificationCommands, Topic::kDecisions, Topic::kFacts,
                              Topic::kDeadLetters};

std::uint64_t Number(std::string_view bytes) {
  std::uint64_t value = 0;
  for (const char c : bytes) {
    value = value * 256 + static_cast<unsigned char>(c);
  }
  return value;
}

struct OutputStamp {
  std::uint64_t seq = 0;
  std::uint64_t index = 0;
  std::uint64_t epoch = 0;
  friend auto operator<=>(const OutputStamp&, const OutputStamp&) = default;
};

OutputStamp StampIn(const StoredRecord& record) {
  for (const auto& [name, value] : record.headers) {
    if (value.size() == 24) {
      const std::string_view bytes = value;
      return {Number(bytes.substr(4, 8)), Number(bytes.substr(12, 4)), Number(bytes.substr(16, 8))};
    }
  }
  return {};
}

class Reader {
 public:
  Reader(const SimBroker& broker, bool strays, Violations* violations)
      : broker_(broker), strays_(strays), violations_(*violations) {}

  History Read() {
    const auto& slots = broker_.Slots({Topic::kJournal, 0});
    for (std::size_t offset = 1; offset < slots.size(); ++offset) {
      if (slots[offset].state == StoredSlot::State::kVisible) {
        Take(slots[offset].record->value, static_cast<std::int64_t>(offset));
      }
    }
    for (const Topic topic : kOutputs) {
      TakeOutputs(topic);
    }
    return std::move(history_);
  }

 private:
  void Fail(const char* invariant, std::string what) {
    violations_.push_back({invariant, std::move(what)});
  }

  void Take(const std::string& bytes, std::int64_t offset) {
    v1::JournalRecord record;
    if (!record.ParseFromString(bytes)) {
      Fail("I2", fmt::format("journal offset {}: no journal record", offset));
      return;
    }
    const std::uint64_t expected = history_.journal.size() + 1;
    const std::string place = fmt::format("journal offset {} seq {}", offset, record.seq());
    if (record.seq() != expected) {
      Fail("I2", fmt::format("{}: {} is expected: the journal is forked", place, expected));
    } else if (record.prev_hash() != std::string(AsView(hash_))) {
      Fail("I2", place + ": prev_hash is not the hash of the record before it");
    }
    const bool claim = record.kind() == v1::JOURNAL_KIND_CLAIM;
    if (record.owner_epoch() != epoch_ + (claim ? 1 : 0)) {
      Fail("I2", fmt::format("{}: epoch {} after {}", place, record.owner_epoch(), epoch_));
    }
    if (!claim && record.owner_nonce() != nonce_) {
      Fail("I2", fmt::format("{}: two owners in epoch {}", place, record.owner_epoch()));
    }
    if (record.now_us() < now_us_) {
      Fail("I2", place + ": time goes back");
    }
    for (const auto& input : record.inputs()) {
      auto& next = history_.consumed[static_cast<Topic>(input.topic())];
      if (input.first() != next || input.next() <= input.first()) {
        Fail("I1", fmt::format("{}: {} {}..{} after {}", place,
                               schemas::NameOf(static_cast<Topic>(input.topic())), input.first(),
                               input.next(), next));
      }
      next = input.next();
    }
    hash_ = Sha256::Of(bytes);
    epoch_ = record.owner_epoch();
    nonce_ = record.owner_nonce();
    now_us_ = record.now_us();
    history_.journal.push_back(std::move(record));
    history_.journal_offsets.push_back(offset);
  }

  void TakeOutputs(Topic topic) {
    std::map<std::uint64_t, std::uint64_t> counts;
    std::set<OutputStamp> seen;
    const auto& slots = broker_.Slots({topic, 0});
    for (std::size_t offset = 1; offset < slots.size(); ++offset) {
      if (slots[offset].state != StoredSlot::State::kVisible) {
        continue;
      }
      const StoredRecord& record = *slots[offset].record;
      const OutputStamp stamp = StampIn(record);
      if (!seen.insert(stamp).second) {
        if (!strays_) {
          Fail("I2", fmt::format("{} offset {}: seq {} index {} twice", schemas::NameOf(topic),
                                 offset, stamp.seq, stamp.index));
        }
        continue;
      }
      if (stamp.seq == 0 || stamp.seq > history_.journal.size() ||
          history_.journal[stamp.seq - 1].owner_epoch() != stamp.epoch) {
        Fail("I2",
             fmt::format("{} offset {}: of no journal record", schemas::NameOf(topic), offset));
        continue;
      }
      ++counts[stamp.seq];
      if (topic == Topic::kDecisions) {
        Add(record, &history_.decisions);
      } else if (topic == Topic::kNotificationCommands) {
        Add(record, &history_.commands);
      }
    }
    for (const auto& journal : history_.journal) {
      std::uint64_t named = 0;
      for (const auto& output : journal.outputs()) {
        named += output.topic() == static_cast<std::uint32_t>(topic) ? output.count() : 0;
      }
      if (counts[journal.seq()] != named) {
        Fail("I2", fmt::format("{}: seq {} names {} records, there are {}", schemas::NameOf(topic),
                               journal.seq(), named, counts[journal.seq()]));
      }
    }
  }

  template <typename Message>
  void Add(const StoredRecord& record, std::vector<Message>* out) {
    Message message;
    if (!message.ParseFromString(record.value)) {
      Fail("I2", "an output that does not decode");
    }
    out->push_back(std::move(message));
  }

  const SimBroker& broker_;
  const bool strays_;
  Violations& violations_;
  History history_;
  Digest hash_{};
  std::uint64_t epoch_ = 0;
  std::string nonce_;
  std::int64_t now_us_ = 0;
};

}  // namespace

History ReadHistory(const SimBroker& broker, bool strays, Violations* violations) {
  return Reader(broker, strays, violations).Read();
}

}  // namespace alertstream::simulation
