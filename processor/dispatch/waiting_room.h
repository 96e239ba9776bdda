// WaitingRoom: the commands of a partition that were read and not started: a queue for each
// provider account in the journal's order, and beside it those that are held because of their
// person. Pure; belongs to one thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "processor/base/time.h"
#include "schemas/output.pb.h"

namespace alertstream::dispatch {

// The notification's 16 bytes, and the attempt: what makes an attempt one and the same.
using AttemptKey = std::pair<std::string, std::uint32_t>;

inline AttemptKey KeyOf(const v1::NotificationCommand& command) {
  return {command.notification_id(), command.attempt()};
}

// A command's place in the journal.
struct Place {
  std::uint64_t seq = 0;
  std::uint32_t index = 0;

  friend bool operator<(const Place& a, const Place& b) {
    return a.seq != b.seq ? a.seq < b.seq : a.index < b.index;
  }
};

struct Waiting {
  Place place;
  std::unique_ptr<v1::NotificationCommand> command;
  std::chrono::microseconds since{};  // When it was read, by Clock::SinceBoot.
};

// Provider and account.
using AccountKey = std::pair<std::string, std::string>;

class WaitingRoom {
 public:
  // False: the attempt is here already.
  bool Add(Waiting waiting);

  // The accounts that have a queue, in order.
  std::vector<AccountKey> Accounts() const;
  // The first of the account's queue; null: it is empty.
  const Waiting* Front(const AccountKey& account) const;
  // REQUIRES: Front(account) is not null.
  Waiting TakeFront(const AccountKey& account);
  // Takes the front out of the queue until Release of its person.
  // REQUIRES: Front(account) is not null.
  void HoldFront(const AccountKey& account);
  // What is held of the person goes back to its place.
  void Release(std::string_view token);

  // Every attempt of the notification that has not started, held ones too.
  std::vector<Waiting> TakeNotification(std::string_view notification_id);
  // Likewise every SEND to the person of a CANCEL that names no notification: on its channel, and
  // of its class if it has one.
  std::vector<Waiting> TakePerson(const v1::NotificationCommand& cancel);
  // At most `max` whose expires_at is not after `now`, held ones too.
  std::vector<Waiting> TakeExpired(LogTime now, std::size_t max);
  // At most `max` of the account's queue that were read before `before`, the oldest first.
  std::vector<Waiting> TakeOlder(const AccountKey& account, std::chrono::microseconds before,
                                 std::size_t max);
  // At most `max` of the account's queue, those of the newest places, in order.
  std::vector<Waiting> TakeNewest(const AccountKey& account, std::size_t max);
  void Clear();

  std::size_t waiting() const { return index_.size() - held_count_; }
  std::size_t held() const { return held_count_; }
  // How long the account's queue is.
  std::size_t QueueSize(const AccountKey& account) const;
  // When the oldest of all was decided; nothing if none is here.
  std::optional<LogTime> OldestDecided() const;

 private:
  using Queue = std::map<Place, Waiting>;
  struct Location {
    Place place;
    AccountKey account;
    std::string token;
    bool held = false;
  };
  const v1::NotificationCommand& CommandAt(const Location& location) const;
  Waiting TakeAt(std::map<AttemptKey, Location>::iterator found);

  std::map<AccountKey, Queue> queues_;              // None is empty.
  std::map<std::string, Queue, std::less<>> held_;  // By recipient token; none is empty.
  std::map<AttemptKey, Location> index_;
  std::size_t held_count_ = 0;
};

}  // namespace alertstream::dispatch
