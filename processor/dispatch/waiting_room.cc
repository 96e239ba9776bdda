#include "processor/dispatch/waiting_room.h"

#include <algorithm>

#include "processor/base/check.h"

namespace alertstream::dispatch {
namespace {

AccountKey AccountOf(const v1::NotificationCommand& command) {
  return {command.provider(), command.account()};
}

}  // namespace

bool WaitingRoom::Add(Waiting waiting) {
  const AccountKey account = AccountOf(*waiting.command);
  const auto [place, added] =
      index_.try_emplace(KeyOf(*waiting.command),
                         Location{waiting.place, account, waiting.command->recipient_token()});
  if (added) {
    queues_[account].emplace(waiting.place, std::move(waiting));
  }
  return added;
}

std::vector<AccountKey> WaitingRoom::Accounts() const {
  std::vector<AccountKey> accounts;
  accounts.reserve(queues_.size());
  for (const auto& [account, queue] : queues_) {
    accounts.push_back(account);
  }
  return accounts;
}

const Waiting* WaitingRoom::Front(const AccountKey& account) const {
  const auto queue = queues_.find(account);
  return queue == queues_.end() ? nullptr : &queue->second.begin()->second;
}

Waiting WaitingRoom::TakeAt(std::map<AttemptKey, Location>::iterator found) {
  ALERTSTREAM_CHECK(found != index_.end());
  const Location& location = found->second;
  Waiting taken;
  if (location.held) {
    const auto person = held_.find(location.token);
    const auto entry = person->second.find(location.place);
    taken = std::move(entry->second);
    person->second.erase(entry);
    if (person->second.empty()) {
      held_.erase(person);
    }
    --held_count_;
  } else {
    const auto queue = queues_.find(location.account);
    const auto entry = queue->second.find(location.place);
    taken = std::move(entry->second);
    queue->second.erase(entry);
    if (queue->second.empty()) {
      queues_.erase(queue);
    }
  }
  index_.erase(found);
  ALERTSTREAM_CHECK(taken.command != nullptr);
  return taken;
}

Waiting WaitingRoom::TakeFront(const AccountKey& account) {
  return TakeAt(index_.find(KeyOf(*Front(account)->command)));
}

void WaitingRoom::HoldFront(const AccountKey& account) {
  const auto queue = queues_.find(account);
  const auto entry = queue->second.begin();
  index_.find(KeyOf(*entry->second.command))->second.held = true;
  const std::string token = entry->second.command->recipient_token();
  held_[token].emplace(entry->first, std::move(entry->second));
  ++held_count_;
  queue->second.erase(entry);
  if (queue->second.empty()) {
    queues_.erase(queue);
  }
}

void WaitingRoom::Release(std::string_view token) {
  const auto person = held_.find(token);
  if (person == held_.end()) {
    return;
  }
  for (auto& [place, waiting] : person->second) {
    index_.find(KeyOf(*waiting.command))->second.held = false;
    --held_count_;
    queues_[AccountOf(*waiting.command)].emplace(place, std::move(waiting));
  }
  held_.erase(person);
}

std::vector<Waiting> WaitingRoom::TakeNotification(std::string_view notification_id) {
  std::vector<Waiting> taken;
  auto next = index_.lower_bound({std::string(notification_id), 0});
  while (next != index_.end() && next->first.first == notification_id) {
    taken.push_back(TakeAt(next++));
  }
  return taken;
}

const v1::NotificationCommand& WaitingRoom::CommandAt(const Location& location) const {
  const Queue& queue =
      location.held ? held_.find(location.token)->second : queues_.find(location.account)->second;
  return *queue.find(location.place)->second.command;
}

std::vector<Waiting> WaitingRoom::TakePerson(const v1::NotificationCommand& cancel) {
  std::vector<Waiting> taken;
  for (auto next = index_.begin(); next != index_.end();) {
    const auto found = next++;
    if (found->second.token != cancel.recipient_token()) {
      continue;
    }
    const v1::NotificationCommand& command = CommandAt(found->second);
    const bool of_class = cancel.message_class() == v1::MESSAGE_CLASS_UNSPECIFIED ||
                          cancel.message_class() == command.message_class();
    if (command.kind() == v1::COMMAND_KIND_SEND && command.channel() == cancel.channel() &&
        command.tenant() == cancel.tenant() && of_class) {
      taken.push_back(TakeAt(found));
    }
  }
  return taken;
}

std::vector<Waiting> WaitingRoom::TakeExpired(LogTime now, std::size_t max) {
  std::vector<AttemptKey> expired;
  const auto look = [&](const Queue& queue) {
    for (const auto& [place, waiting] : queue) {
      if (expired.size() < max && waiting.command->expires_at_us() != 0 &&
          FromMicros(waiting.command->expires_at_us()) <= now) {
        expired.push_back(KeyOf(*waiting.command));
      }
    }
  };
  for (const auto& [account, queue] : queues_) {
    look(queue);
  }
  for (const auto& [token, queue] : held_) {
    look(queue);
  }
  std::vector<Waiting> taken;
  taken.reserve(expired.size());
  for (const AttemptKey& key : expired) {
    taken.push_back(TakeAt(index_.find(key)));
  }
  return taken;
}

std::vector<Waiting> WaitingRoom::TakeOlder(const AccountKey& account,
                                            std::chrono::microseconds before, std::size_t max) {
  std::vector<Waiting> taken;
  for (const Waiting* front = Front(account);
       front != nullptr && front->since < before && taken.size() < max; front = Front(account)) {
    taken.push_back(TakeFront(account));
  }
  return taken;
}

std::vector<Waiting> WaitingRoom::TakeNewest(const AccountKey& account, std::size_t max) {
  std::vector<Waiting> taken;
  for (auto queue = queues_.find(account); queue != queues_.end() && taken.size() < max;
       queue = queues_.find(account)) {
    taken.push_back(TakeAt(index_.find(KeyOf(*queue->second.rbegin()->second.command))));
  }
  std::reverse(taken.begin(), taken.end());
  return taken;
}

std::size_t WaitingRoom::QueueSize(const AccountKey& account) const {
  const auto queue = queues_.find(account);
  return queue == queues_.end() ? 0 : queue->second.size();
}

void WaitingRoom::Clear() {
  queues_.clear();
  held_.clear();
  index_.clear();
  held_count_ = 0;
}

std::optional<LogTime> WaitingRoom::OldestDecided() const {
  std::optional<LogTime> oldest;
  const auto look = [&](const Queue& queue) {
    const LogTime decided = FromMicros(queue.begin()->second.command->decided_at_us());
    oldest = oldest ? std::min(*oldest, decided) : decided;
  };
  for (const auto& [account, queue] : queues_) {
    look(queue);
  }
  for (const auto& [token, queue] : held_) {
    look(queue);
  }
  return oldest;
}

}  // namespace alertstream::dispatch
