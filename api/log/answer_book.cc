#include "api/log/answer_book.h"

#include <algorithm>
#include <iterator>

namespace alertstream::api {
namespace {

// Of an entry besides the messages: nodes of the maps.
constexpr std::size_t kEntryBytes = 256;

std::tuple<std::uint32_t, std::uint32_t, std::int64_t> KeyOf(const AppendedPosition& position) {
  return {static_cast<std::uint32_t>(position.topic),
          static_cast<std::uint32_t>(position.partition), position.offset};
}

}  // namespace

std::optional<std::uint64_t> AnswerBook::OpenTicket() {
  if (tickets_.size() + waits_.size() >= tickets_max_) {
    return std::nullopt;
  }
  tickets_.insert(++stamp_);
  return stamp_;
}

void AnswerBook::CloseTicket(std::uint64_t ticket) {
  if (tickets_.erase(ticket) > 0) {
    DropWhatNobodyCanAskFor();
  }
}

bool AnswerBook::WasCoveredSince(const Key& key, std::uint64_t ticket) const {
  const std::uint32_t topic = std::get<0>(key);
  const std::uint32_t partition = std::get<1>(key);
  const std::int64_t offset = std::get<2>(key);
  return std::any_of(covered_.rbegin(), covered_.rend(), [&](const Covered& covered) {
    return covered.stamp > ticket && covered.topic == topic && covered.partition == partition &&
           covered.first <= offset && offset < covered.next;
  });
}

void AnswerBook::Await(std::uint64_t ticket, const std::vector<AppendedPosition>& positions,
                       std::chrono::microseconds deadline, AnswerWatch::Done done,
                       std::vector<Due>* due) {
  const std::uint64_t id = ++stamp_;
  Wait& wait = waits_[id];
  wait.deadline = deadline;
  wait.done = std::move(done);
  deadlines_.emplace(deadline, id);
  bool lost = false;
  for (const AppendedPosition& position : positions) {
    const Key key = KeyOf(position);
    wait.keys.push_back(key);
    auto [at, is_new] = entries_.try_emplace(key);
    Entry& entry = at->second;
    if (is_new && WasCoveredSince(key, ticket)) {
      // Nothing was kept: there was nothing to say, unless what was had to go.
      entry.covered = true;
      entry.whole = true;
      lost = lost || lost_stamp_ > ticket;
    }
    const auto& decisions = entry.answer.decisions;
    lost = lost || (!decisions.empty() && decisions.front().part() > 0);
    if (entry.waits.empty()) {
      kept_bytes_ -= entry.bytes;
    }
    if (entry.waits.insert(id).second) {
      ++expected_[std::get<1>(key)];
      wait.left += entry.whole ? 0 : 1;
    }
  }
  tickets_.erase(ticket);
  if (lost) {
    EndWait(id, Error(ErrorCode::kUnavailable, "too many answers were kept at the same time"), due);
  } else if (wait.left == 0) {
    EndWait(id, std::nullopt, due);
  }
  DropWhatNobodyCanAskFor();
}

bool AnswerBook::IsWanted(std::int32_t partition) const {
  return !tickets_.empty() || expected_.contains(static_cast<std::uint32_t>(partition));
}

AnswerBook::Entry* AnswerBook::Find(const v1::Position& position) {
  const Key key{position.topic(), position.partition(), position.offset()};
  const auto found = entries_.find(key);
  if (found != entries_.end()) {
    return &found->second;
  }
  if (tickets_.empty()) {
    return nullptr;
  }
  Entry* entry = &entries_[key];
  AddBytes(entry, kEntryBytes);
  arrivals_.emplace_back(stamp_, key);
  return entry;
}

void AnswerBook::AddBytes(Entry* entry, std::size_t bytes) {
  entry->bytes += bytes;
  if (entry->waits.empty()) {
    kept_bytes_ += bytes;
  }
}

void AnswerBook::TakeBatch(const v1::JournalRecord& journal, BatchOutputs outputs,
                           std::vector<Due>* due) {
  ++stamp_;
  std::vector<Key> continued;
  for (v1::DecisionRecord& record : outputs.decisions) {
    if (Entry* entry = Find(record.event())) {
      AddBytes(entry, record.ByteSizeLong());
      entry->more = record.more();
      continued.emplace_back(record.event().topic(), record.event().partition(),
                             record.event().offset());
      entry->answer.decisions.push_back(std::move(record));
    }
  }
  for (v1::Fact& fact : outputs.facts) {
    if (Entry* entry = Find(fact.cause())) {
      AddBytes(entry, fact.ByteSizeLong());
      entry->answer.facts.push_back(std::move(fact));
    }
  }
  for (v1::DeadLetter& letter : outputs.dead_letters) {
    if (Entry* entry = Find(letter.record())) {
      AddBytes(entry, letter.ByteSizeLong());
      entry->answer.dead_letters.push_back(std::move(letter));
    }
  }
  for (const v1::JournalInput& input : journal.inputs()) {
    Cover(input, journal.partition(), due);
  }
  // The last part of a large fan-out may come in a batch long after the one that took the event.
  for (const Key& key : continued) {
    if (const auto found = entries_.find(key); found != entries_.end()) {
      CompleteIfWhole(&found->second, due);
    }
  }
  DropWhatNobodyCanAskFor();
}

void AnswerBook::Cover(const v1::JournalInput& input, std::uint32_t partition,
                       std::vector<Due>* due) {
  if (!tickets_.empty()) {
    covered_.push_back({.stamp = stamp_,
                        .topic = input.topic(),
                        .partition = partition,
                        .first = input.first(),
                        .next = input.next()});
  }
  std::vector<Key> keys;
  for (auto at = entries_.lower_bound(Key(input.topic(), partition, input.first()));
       at != entries_.end() && at->first < Key(input.topic(), partition, input.next()); ++at) {
    if (!at->second.covered) {
      at->second.covered = true;
      keys.push_back(at->first);
    }
  }
  for (const Key& key : keys) {
    if (const auto found = entries_.find(key); found != entries_.end()) {
      CompleteIfWhole(&found->second, due);
    }
  }
}

void AnswerBook::CompleteIfWhole(Entry* entry, std::vector<Due>* due) {
  if (entry->whole || !entry->covered || entry->more) {
    return;
  }
  entry->whole = true;
  const std::set<std::uint64_t> waits = entry->waits;
  for (const std::uint64_t id : waits) {
    if (--waits_.at(id).left == 0) {
      EndWait(id, std::nullopt, due);
    }
  }
}

void AnswerBook::EndWait(std::uint64_t id, std::optional<Error> error, std::vector<Due>* due) {
  const auto found = waits_.find(id);
  Wait wait = std::move(found->second);
  waits_.erase(found);
  deadlines_.erase({wait.deadline, id});
  std::vector<RecordAnswer> answers;
  if (!error) {
    for (const Key& key : wait.keys) {
      answers.push_back(entries_.at(key).answer);
    }
    due->push_back({.done = std::move(wait.done), .result = std::move(answers)});
  } else {
    due->push_back({.done = std::move(wait.done), .result = *error});
  }
  for (const Key& key : wait.keys) {
    const auto entry = entries_.find(key);
    if (entry == entries_.end() || entry->second.waits.erase(id) == 0) {
      continue;
    }
    const auto expected = expected_.find(std::get<1>(key));
    if (--expected->second == 0) {
      expected_.erase(expected);
    }
    // While tickets are open, somebody else may ask for the same record: DropWhat… decides.
    if (entry->second.waits.empty()) {
      kept_bytes_ += entry->second.bytes;
      arrivals_.emplace_back(stamp_, key);
    }
  }
}

void AnswerBook::Expire(std::chrono::microseconds now, std::vector<Due>* due) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    EndWait(deadlines_.begin()->second,
            Error(ErrorCode::kUnavailable, "the processor has not answered in time"), due);
  }
  DropWhatNobodyCanAskFor();
}

void AnswerBook::Abandon(const std::string& why, std::vector<Due>* due) {
  while (!waits_.empty()) {
    EndWait(waits_.begin()->first, Error(ErrorCode::kUnavailable, why), due);
  }
  DropWhatNobodyCanAskFor();
}

bool AnswerBook::Forget(const Key& key) {
  const auto found = entries_.find(key);
  if (found == entries_.end() || !found->second.waits.empty()) {
    return false;
  }
  kept_bytes_ -= found->second.bytes;
  entries_.erase(found);
  return true;
}

// A ticket is older than the answers to what is appended under it, so that whatever came before the
// oldest open one is nobody's.
void AnswerBook::DropWhatNobodyCanAskFor() {
  const std::uint64_t oldest = tickets_.empty() ? stamp_ + 1 : *tickets_.begin();
  while (!arrivals_.empty() &&
         (arrivals_.front().first < oldest || kept_bytes_ > kept_bytes_max_)) {
    const auto [stamp, key] = arrivals_.front();
    arrivals_.pop_front();
    if (Forget(key) && stamp >= oldest) {
      lost_stamp_ = stamp;
    }
  }
  while (!covered_.empty() && covered_.front().stamp < oldest) {
    covered_.pop_front();
  }
}

}  // namespace alertstream::api
