// The leases of a processor: who may start, who works on what, and who is told to.
#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "processor/runtime/processor.h"
#include "processor/runtime/processor_slot.h"
#include "schemas/envelope.pb.h"

namespace alertstream::runtime {
namespace {

constexpr std::chrono::milliseconds kLogTimeout{5'000};
// What leases, the last ones of a clean end among them, wait for the log: one broker that is away
// must not hold up those of the other partitions for as long as a lease lives.
constexpr std::chrono::milliseconds kLeaseTimeout{1'000};
static_assert(2 * kLeaseTimeout + kLeaseEvery < kLeaseLive);  // The ends are asked for, too.
// A live process of our name writes within this, also if one of its rounds took kLeaseTimeout.
constexpr std::chrono::milliseconds kNamesakeWait{1'600};
static_assert(kNamesakeWait > kLeaseTimeout + kLeaseEvery);
// The newest leases that are looked at: one every kLeaseEvery during kLeaseLive, from a few
// instances, with transaction markers between them.
constexpr std::int64_t kLeasesLookedAt = 200;
// How soon an order is seen.
constexpr std::chrono::milliseconds kReadEvery{100};
constexpr std::size_t kReadRecords = 1024;
constexpr std::size_t kReadBytes = 1 << 20;

}  // namespace

// The newest lease of each process that it did not release, as the records up to offset `last` say,
// from `distance` before it on.
Result<std::vector<Processor::HeldLease>> Processor::ReadLeases(std::int32_t partition,
                                                                std::int64_t last,
                                                                std::int64_t distance) {
  ALERTSTREAM_ASSIGN_OR_RETURN(auto leases,
                               Sources::Open(log_, {{{schemas::Topic::kOwnership, partition},
                                                     std::max<std::int64_t>(0, last - distance)}}));
  std::map<std::pair<std::string, std::string>, HeldLease> held;
  const auto deadline = clock_.SinceBoot() + kLogTimeout;
  while (leases.Passed(0) <= last) {
    ALERTSTREAM_RETURN_IF_ERROR(leases.Fill(0, 1024, 1 << 20));
    if (leases.AtHand(0).empty()) {
      if (stop_ || clock_.SinceBoot() > deadline) {
        return Error(ErrorCode::kUnavailable, "the ownership topic cannot be read");
      }
      leases.Pause(std::chrono::milliseconds(10));
      continue;
    }
    for (const auto& each : leases.AtHand(0)) {
      v1::Lease lease;
      if (each.offset == 0 ||
          !lease.ParseFromArray(each.value.data(), static_cast<int>(each.value.size()))) {
        continue;
      }
      const auto who = std::pair(lease.instance(), std::string(ProcessOf(each)));
      if (lease.released()) {
        held.erase(who);
      } else {
        held[who] = {who.first, who.second, lease.owner_epoch(), each.append_time, each.offset};
      }
    }
    leases.Consume(0, leases.AtHand(0).size());
  }
  std::vector<HeldLease> all;
  all.reserve(held.size());
  for (auto& [who, lease] : held) {
    all.push_back(std::move(lease));
  }
  return all;
}

// Appends a record of our own, which tells the log's time, and returns the others' leases that are
// live by it.
Result<std::vector<Processor::HeldLease>> Processor::AskForLeases(Slot& slot,
                                                                  log::Appended* probed) {
  v1::Lease probe;
  probe.set_partition(static_cast<std::uint32_t>(slot.partition));
  probe.set_instance(options_.task.instance);
  probe.set_released(true);
  probe.set_at_us(ToMicros(clock_.Now()));
  const std::string bytes = probe.SerializeAsString();
  const log::NewRecord record = LeaseRecord(slot.partition, schemas::kLogKey, bytes);
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto appended,
                               log_.Append(std::span(&record, 1), kLogTimeout));
  *probed = appended[0];
  ALERTSTREAM_RETURN_IF_ERROR(LogTimeSource(clock_).CheckSkew(probed->append_time));
  if (slot.may_take_over) {
    return std::vector<HeldLease>();
  }
  // The oldest leases are deleted with time: then fewer are looked at.
  std::int64_t distance = kLeasesLookedAt;
  auto held = ReadLeases(slot.partition, probed->offset, distance);
  while (!held.ok() && held.error().code() == ErrorCode::kCorrupt && distance > 0) {
    distance /= 2;
    held = ReadLeases(slot.partition, probed->offset, distance);
  }
  ALERTSTREAM_RETURN_IF_ERROR(held);
  std::vector<HeldLease> live;
  for (auto& lease : held.value()) {
    const bool ours = lease.instance == options_.task.instance &&
                      (lease.process == process_ || lease.process.empty());
    if (!ours && probed->append_time - lease.at < kLeaseLive) {
      live.push_back(std::move(lease));
    }
  }
  return live;
}

Error Processor::IsOwned(const Slot& slot, const std::string& instance) const {
  return {ErrorCode::kFenced,
          fmt::format("partition {} is owned by instance '{}', whose lease is live; stop it, or "
                      "start with --take-over",
                      slot.partition, instance)};
}

Error Processor::NameUsedTwice(const Slot& slot) const {
  return {ErrorCode::kConflict,
          fmt::format("partition {}: instance name used twice: another process writes leases as "
                      "'{}'; give each a name of its own with --instance",
                      slot.partition, options_.task.instance)};
}

// Before a start.
Status Processor::CheckLease(Slot& slot) {
  if (log_.ExclusiveWriter()) {
    return alertstream::Status::Ok();
  }
  log::Appended probed;
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto live, AskForLeases(slot, &probed));
  slot.asked_offset = probed.offset;
  slot.asked_at = clock_.SinceBoot();
  slot.namesake = false;
  for (const auto& lease : live) {
    if (lease.instance != options_.task.instance) {
      return IsOwned(slot, lease.instance);
    }
    slot.namesake = true;  // That ended without releasing it, or lives: see CheckLeaseAgain.
  }
  return alertstream::Status::Ok();
}

// Before a claim, which may come long after CheckLease: who claimed meanwhile keeps the partition.
// Others that are starting do not count, or two of them could refuse themselves for ever.
Status Processor::CheckLeaseAgain(Slot& slot) {
  if (log_.ExclusiveWriter() || slot.may_take_over) {
    return alertstream::Status::Ok();
  }
  while (slot.namesake && !stop_ && clock_.SinceBoot() - slot.asked_at < kNamesakeWait) {
    clock_.SleepFor(kReadEvery);
  }
  log::Appended probed;
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto live, AskForLeases(slot, &probed));
  for (const auto& lease : live) {
    if (lease.instance == options_.task.instance && lease.offset > slot.asked_offset) {
      return NameUsedTwice(slot);
    }
    if (lease.instance != options_.task.instance && lease.epoch > 0) {
      return IsOwned(slot, lease.instance);
    }
  }
  return alertstream::Status::Ok();
}

log::NewRecord Processor::LeaseRecord(std::int32_t partition, std::string_view key,
                                      std::string_view bytes) const {
  return {schemas::Topic::kOwnership, partition, key, bytes, std::span(&process_header_, 1)};
}

Status Processor::AppendLease(Slot& slot) {
  if (log_.ExclusiveWriter()) {
    return alertstream::Status::Ok();
  }
  v1::Lease lease;
  lease.set_partition(static_cast<std::uint32_t>(slot.partition));
  lease.set_instance(options_.task.instance);
  lease.set_at_us(ToMicros(clock_.Now()));
  const std::string bytes = lease.SerializeAsString();
  const log::NewRecord record = LeaseRecord(slot.partition, schemas::kLogKey, bytes);
  ALERTSTREAM_RETURN_IF_ERROR(log_.Append(std::span(&record, 1), kLogTimeout));
  return alertstream::Status::Ok();
}

// What every partition's lease, or sign of standing by, says now.
void Processor::WriteLeases(bool last) {
  std::vector<std::string> bytes;
  std::vector<Slot*> written;
  std::vector<std::string_view> keys;
  for (auto& slot : slots_) {
    const std::lock_guard lock(slot->mutex);
    const bool owns = slot->task != nullptr;
    const bool released = last && (!slot->standby || slot->owner.epoch > 0);
    if (!owns && !released && (last || !slot->following)) {
      continue;
    }
    v1::Lease lease;
    lease.set_partition(static_cast<std::uint32_t>(slot->partition));
    lease.set_instance(options_.task.instance);
    const bool standby = slot->following && !last;
    if (!standby) {
      lease.set_owner_epoch(slot->owner.epoch);
      lease.set_owner_nonce(slot->owner.nonce);
    }
    lease.set_released(last || standby);
    lease.set_at_us(ToMicros(clock_.Now()));
    bytes.push_back(lease.SerializeAsString());
    keys.push_back(standby ? kStandbyKey : schemas::kLogKey);
    written.push_back(slot.get());
  }
  std::vector<log::NewRecord> records;
  for (std::size_t i = 0; i < written.size(); ++i) {
    records.push_back(LeaseRecord(written[i]->partition, keys[i], bytes[i]));
  }
  if (records.empty()) {
    return;
  }
  const auto appended = log_.Append(records, kLeaseTimeout);
  if (!appended.ok()) {
    return;  // Some may have been appended; the next round comes soon.
  }
  for (std::size_t i = 0; i < written.size(); ++i) {
    const LogTime at = appended.value()[i].append_time;
    const auto skew = LogTimeSource(clock_).CheckSkew(at);
    const std::lock_guard lock(written[i]->mutex);
    written[i]->lease_error = skew.ok() ? "" : skew.error().message();
  }
}

// What was appended to `ownership` since the last call; what is older is not needed: leases come
// twice a second. A log that cannot be read is opened again, at its end, by the next call.
void Processor::ReadOwnership(std::optional<Sources>* ownership) {
  if (!*ownership) {
    std::vector<log::TopicPartition> where;
    for (const auto& slot : slots_) {
      where.push_back({schemas::Topic::kOwnership, slot->partition});
    }
    const auto ends = log_.Ends(where, log::EndKind::kStable, kLeaseTimeout);
    if (!ends.ok()) {
      return;
    }
    std::vector<log::ReadFrom> from;
    for (std::size_t i = 0; i < where.size(); ++i) {
      from.push_back({where[i], ends.value()[i]});
    }
    auto opened = Sources::Open(log_, std::move(from));
    if (!opened.ok()) {
      return;
    }
    for (const auto& slot : slots_) {
      const std::lock_guard lock(slot->mutex);
      slot->book.Missed();
    }
    ownership->emplace(std::move(opened).value());
  }
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = *slots_[i];
    if (!(*ownership)->Fill(i, kReadRecords, kReadBytes).ok()) {
      ownership->reset();
      return;
    }
    const std::lock_guard lock(slot.mutex);
    for (const auto& record : (*ownership)->AtHand(i)) {
      slot.book.Read(record);
    }
    (*ownership)->Consume(i, (*ownership)->AtHand(i).size());
    const auto& other = slot.book.newest_other();
    if (slot.task != nullptr && other && other->epoch > slot.owner.epoch) {
      slot.superseded = other->instance;
    }
  }
}

void Processor::RunLeases() {
  std::optional<Sources> ownership;
  auto write_at = clock_.SinceBoot();
  auto read_at = write_at;
  while (!stop_) {
    const auto now = clock_.SinceBoot();
    if (now >= write_at) {
      write_at = now + kLeaseEvery;
      WriteLeases(false);
    }
    if (now >= read_at && !stop_) {
      read_at = now + kReadEvery;
      ReadOwnership(&ownership);
    }
    clock_.SleepFor(std::chrono::milliseconds(25));
  }
  WriteLeases(true);
}

}  // namespace alertstream::runtime
