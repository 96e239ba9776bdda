// What becomes of the commands that wait: started as far as the gates let them, held, expired, or
// given back. The rest of PartitionDispatch stands in partition.cc.
#include <algorithm>
#include <utility>

#include "processor/dispatch/partition.h"
#include "processor/dispatch/retry_after.h"

namespace alertstream::dispatch {
namespace {

constexpr std::size_t kStartsMax = 256;          // In one transaction.
constexpr std::size_t kStartsOfAccountMax = 64;  // In one turn, so that no account starves others.
constexpr std::size_t kRefusalsMax = 500;        // Records of attempts without a call, likewise.
// Another partition's call may end and give us its place.
constexpr std::chrono::milliseconds kBudgetWait{10};
constexpr std::chrono::seconds kSweepEvery{1};
// What is given back because of an account's pace comes back after so long at the latest: settings
// may have changed, and queues are no promise.
constexpr std::chrono::seconds kPaceWaitMax{600};
// Of the room, for one account, while it is full: at most one in so many.
constexpr std::size_t kShareOfRoomMin = 4;

}  // namespace

// The command's final record, without a call.
void PartitionDispatch::Close(const Waiting& waiting, v1::Envelope record) {
  group_.records.push_back(std::move(record));
  CloseSeq(waiting.place.seq);
}

void PartitionDispatch::Refuse(const Waiting& waiting, Outcome outcome) {
  const AttemptTarget target = TargetOf(*waiting.command);
  Close(waiting, ResultRecord(target, outcome, clock_.Now(), waiting.command.get()));
  if (options_.on_attempt) {
    options_.on_attempt({.partition = options_.partition,
                         .channel = target.channel,
                         .provider = target.provider,
                         .account = target.account,
                         .outcome = std::move(outcome)});
  }
}

// How many records may still go without a call into the next transaction.
std::size_t PartitionDispatch::RecordsLeft() const {
  return kRefusalsMax - std::min(kRefusalsMax, group_.records.size());
}

// What is said of a command that goes back to the fold, with `ahead` others before it.
Outcome PartitionDispatch::GivenBack(const AccountGates::Outlook& outlook, std::string code,
                                     std::size_t ahead) const {
  using std::chrono::seconds;
  seconds wait = options_.circuit_wait_max;
  if (!outlook.circuit) {
    const double pace = outlook.per_second > 0 ? static_cast<double>(ahead) / outlook.per_second
                                               : static_cast<double>(kPaceWaitMax.count());
    const auto queue = seconds(
        static_cast<seconds::rep>(std::min(pace, static_cast<double>(kPaceWaitMax.count()))));
    const auto paused = std::chrono::ceil<seconds>(outlook.paused);
    wait = std::min(std::max(queue, paused), kRetryAfterMax);
  }
  return {.result = v1::ATTEMPT_CLASS_THROTTLE,
          .code = std::move(code),
          .retry_after = std::max(wait, seconds(1))};
}

// One account's queue does not keep the commands of all others from being read.
void PartitionDispatch::MakeRoom() {
  const bool could_start = permitted_ || permissions_->full();
  if (draining_ || !could_start || room_.waiting() < options_.waiting_max) {
    return;
  }
  const std::vector<AccountKey> accounts = room_.Accounts();
  const auto longest = std::max_element(accounts.begin(), accounts.end(),
                                        [&](const AccountKey& a, const AccountKey& b) {
                                          return room_.QueueSize(a) < room_.QueueSize(b);
                                        });
  const std::size_t shares = std::max(kShareOfRoomMin, accounts.size() + 1);
  const std::size_t share = std::max<std::size_t>(options_.waiting_max / shares, 1);
  if (longest == accounts.end() || room_.QueueSize(*longest) <= share) {
    return;
  }
  const std::size_t excess = std::min(room_.QueueSize(*longest) - share, RecordsLeft());
  std::size_t ahead = room_.QueueSize(*longest) - excess;
  const auto outlook = gates_.OutlookOf(longest->first, longest->second, clock_.SinceBoot());
  for (const Waiting& newest : room_.TakeNewest(*longest, excess)) {
    Refuse(newest, GivenBack(outlook, "queue_full", ahead++));
  }
}

// What no start will come to soon: expired commands, and those that waited long for their account.
void PartitionDispatch::Sweep() {
  const auto now = clock_.SinceBoot();
  if (draining_ || now - swept_at_ < kSweepEvery) {
    return;
  }
  for (const Waiting& expired : room_.TakeExpired(clock_.Now(), RecordsLeft())) {
    Close(expired,
          NotCalledRecord(TargetOf(*expired.command), v1::ATTEMPT_PHASE_EXPIRED, clock_.Now()));
  }
  const auto before = now - options_.circuit_wait_max;
  for (const AccountKey& account : room_.Accounts()) {
    const auto outlook = gates_.OutlookOf(account.first, account.second, now);
    if (!outlook.circuit && forbidden_at_ > before) {
      continue;  // It was not the account that they waited for.
    }
    const std::vector<Waiting> stale = room_.TakeOlder(account, before, RecordsLeft());
    std::size_t ahead = room_.QueueSize(account);
    for (const Waiting& each : stale) {
      Refuse(each, outlook.circuit
                       ? Outcome{.result = v1::ATTEMPT_CLASS_SUSPEND, .code = "circuit_open"}
                       : GivenBack(outlook, "account_busy", ahead++));
    }
  }
  if (RecordsLeft() > 0) {
    swept_at_ = now;
  } else {
    more_ = true;  // The rest with the next transaction.
  }
}

void PartitionDispatch::Choose() {
  const std::vector<AccountKey> accounts = room_.Accounts();
  ++turn_;
  for (std::size_t i = 0; i < accounts.size(); ++i) {
    ChooseFrom(accounts[(turn_ + i) % accounts.size()]);
  }
}

// Commands from the front of the account's queue, as far as its gate lets them.
void PartitionDispatch::ChooseFrom(const AccountKey& key) {
  const auto account = accounts_.Find(key.first, key.second);
  const LogTime now = clock_.Now();
  for (std::size_t i = 0; i < kStartsOfAccountMax; ++i) {
    const Waiting* const front = room_.Front(key);
    if (front == nullptr) {
      return;
    }
    if (group_.starting.size() >= kStartsMax || group_.records.size() >= kRefusalsMax) {
      break;
    }
    const v1::NotificationCommand& command = *front->command;
    if (command.expires_at_us() != 0 && FromMicros(command.expires_at_us()) <= now) {
      Close(*front, NotCalledRecord(TargetOf(command), v1::ATTEMPT_PHASE_EXPIRED, now));
      room_.TakeFront(key);
      continue;
    }
    if (permissions_->IsHeld(command.recipient_token())) {
      room_.HoldFront(key);
      continue;
    }
    if (account == nullptr && !accounts_.Known()) {
      return;  // It is looked for again; Sweep gives back what waits for too long.
    }
    if (account == nullptr || (!account->tenant.empty() && account->tenant != command.tenant())) {
      Refuse(room_.TakeFront(key), Unsendable("account_missing"));
      continue;
    }
    auto prepared = sender_.Prepare(command, account, now);
    if (auto* const refused = std::get_if<Outcome>(&prepared)) {
      Refuse(room_.TakeFront(key), std::move(*refused));
      continue;
    }
    if (!Admit(key, account, std::move(std::get<HttpRequest>(prepared)))) {
      return;
    }
  }
  more_ = true;
}

bool PartitionDispatch::Admit(const AccountKey& key,
                              const std::shared_ptr<const ProviderAccount>& account,
                              HttpRequest request) {
  if (!budget_.TryTake()) {
    retry_at_ = std::min(retry_at_, clock_.SinceBoot() + std::chrono::microseconds(kBudgetWait));
    return false;
  }
  const auto admission = gates_.TryStart(*account, clock_.SinceBoot());
  if (!admission.go) {
    budget_.Give();
    retry_at_ = std::min(retry_at_, admission.retry_at);
    return false;
  }
  group_.starting.push_back({room_.TakeFront(key), std::move(request), account, admission});
  return true;
}

}  // namespace alertstream::dispatch
