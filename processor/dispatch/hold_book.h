// HoldBook: which people's commands must wait, because something that may restrict them lies on a
// permission topic and the journal has not passed it yet. Pure; belongs to one thread. Used by the
// dispatcher of a partition.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace alertstream::dispatch {

inline constexpr std::size_t kHoldTopics = 3;  // Opt-outs, consent changes, inbound messages.

class HoldBook {
 public:
  using Positions = std::array<std::int64_t, kHoldTopics>;

  // Everything below these offsets has been decided.
  explicit HoldBook(const Positions& covered) : covered_(covered) {}

  // A record at `offset` of topic `topic` may restrict the person. REQUIRES: ascending offsets.
  void Add(std::string_view token, std::size_t topic, std::int64_t offset) {
    if (offset < covered_[topic]) {
      return;
    }
    auto [person, added] = people_.try_emplace(std::string(token));
    if (added) {
      person->second.fill(-1);
    }
    person->second[topic] = offset;
    uncovered_[topic].emplace_back(offset, std::string(token));
  }

  // The journal has passed everything below `next`. Appends to `released` who is free now.
  void Cover(std::size_t topic, std::int64_t next, std::vector<std::string>* released) {
    covered_[topic] = std::max(covered_[topic], next);
    auto& records = uncovered_[topic];
    while (!records.empty() && records.front().first < covered_[topic]) {
      std::string token = std::move(records.front().second);
      records.pop_front();
      const auto person = people_.find(token);
      if (person != people_.end() && !Uncovered(person->second)) {
        people_.erase(person);
        released->push_back(std::move(token));
      }
    }
  }

  bool IsHeld(std::string_view token) const { return people_.find(token) != people_.end(); }
  // Records that are not covered.
  std::size_t size() const {
    return uncovered_[0].size() + uncovered_[1].size() + uncovered_[2].size();
  }
  const Positions& covered() const { return covered_; }

 private:
  bool Uncovered(const Positions& newest) const {
    for (std::size_t i = 0; i < kHoldTopics; ++i) {
      if (newest[i] >= covered_[i]) {
        return true;
      }
    }
    return false;
  }

  Positions covered_;
  // Of each person the newest record's offset on each topic; -1: none.
  std::map<std::string, Positions, std::less<>> people_;
  std::array<std::deque<std::pair<std::int64_t, std::string>>, kHoldTopics> uncovered_;
};

}  // namespace alertstream::dispatch
