// AnswerBook: which answers of the fold are kept for whom: tickets, waits, and what the accepted
// batches said. The part of AnswerWatch without threads. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "api/log/answer_watch.h"
#include "schemas/journal.pb.h"

namespace alertstream::api {

// The outputs of one accepted batch that answer a record.
struct BatchOutputs {
  std::vector<v1::DecisionRecord> decisions;
  std::vector<v1::Fact> facts;
  std::vector<v1::DeadLetter> dead_letters;
};

class AnswerBook {
 public:
  AnswerBook(std::size_t tickets_max, std::size_t kept_bytes_max)
      : tickets_max_(tickets_max), kept_bytes_max_(kept_bytes_max) {}

  // A call of `done` that is due; made by the caller, without its mutex.
  struct Due {
    AnswerWatch::Done done;
    Result<std::vector<RecordAnswer>> result;
    void Call() { done(std::move(result)); }
  };

  // Nothing: tickets_max are open or waited for.
  std::optional<std::uint64_t> OpenTicket();
  void CloseTicket(std::uint64_t ticket);

  // Closes the ticket. Adds to `due` if everything is there already or cannot come any more.
  void Await(std::uint64_t ticket, const std::vector<AppendedPosition>& positions,
             std::chrono::microseconds deadline, AnswerWatch::Done done, std::vector<Due>* due);

  // Somebody may ask for outputs of a batch of this partition; else it needs no decoding.
  bool IsWanted(std::int32_t partition) const;
  void TakeBatch(const v1::JournalRecord& journal, BatchOutputs outputs, std::vector<Due>* due);

  // The waits whose deadline is not after `now`.
  void Expire(std::chrono::microseconds now, std::vector<Due>* due);
  // All waits; `why` is their error's message.
  void Abandon(const std::string& why, std::vector<Due>* due);

  std::size_t waits() const { return waits_.size(); }
  std::size_t kept_bytes() const { return kept_bytes_; }

 private:
  using Key = std::tuple<std::uint32_t, std::uint32_t, std::int64_t>;  // Topic, partition, offset.
  struct Entry {
    RecordAnswer answer;
    bool covered = false;  // An accepted batch consumed the record.
    bool more = false;     // A further part of its decision is to come.
    bool whole = false;    // Covered and without a further part; its waits know.
    std::size_t bytes = 0;
    std::set<std::uint64_t> waits;
  };
  struct Wait {
    std::vector<Key> keys;
    std::size_t left = 0;  // Keys whose entry is not whole yet.
    std::chrono::microseconds deadline{};
    AnswerWatch::Done done;
  };
  // Records of one topic that a batch consumed, remembered while a ticket is open that is older.
  struct Covered {
    std::uint64_t stamp;
    std::uint32_t topic;
    std::uint32_t partition;
    std::int64_t first;
    std::int64_t next;
  };

  // The entry that a part of a batch belongs to; null if nobody can ask for it.
  Entry* Find(const v1::Position& position);
  void AddBytes(Entry* entry, std::size_t bytes);
  void Cover(const v1::JournalInput& input, std::uint32_t partition, std::vector<Due>* due);
  void CompleteIfWhole(Entry* entry, std::vector<Due>* due);
  bool WasCoveredSince(const Key& key, std::uint64_t ticket) const;
  void EndWait(std::uint64_t id, std::optional<Error> error, std::vector<Due>* due);
  // False: somebody waits for it, or it has gone before.
  bool Forget(const Key& key);
  void DropWhatNobodyCanAskFor();

  const std::size_t tickets_max_;
  const std::size_t kept_bytes_max_;
  // Numbers tickets and batches, so that it is known which came first.
  std::uint64_t stamp_ = 0;
  std::uint64_t lost_stamp_ = 0;  // The newest batch of which an answer had to be dropped.
  std::set<std::uint64_t> tickets_;
  std::map<std::uint64_t, Wait> waits_;
  std::set<std::pair<std::chrono::microseconds, std::uint64_t>> deadlines_;
  std::map<std::uint32_t, std::size_t> expected_;  // Awaited keys of a partition.
  std::map<Key, Entry> entries_;
  std::deque<std::pair<std::uint64_t, Key>> arrivals_;  // Entries made for tickets, oldest first.
  std::deque<Covered> covered_;
  std::size_t kept_bytes_ = 0;  // Of the entries that nobody waits for.
};

}  // namespace alertstream::api
