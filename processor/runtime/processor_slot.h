// What a Processor keeps of each of its partitions. Used by processor.cc and processor_leases.cc
// only.
#pragma once

#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "processor/runtime/lease_book.h"
#include "processor/runtime/processor.h"

namespace alertstream::runtime {

struct Processor::Slot {
  Slot(const std::string& instance, const std::string& process) : book(instance, process) {}

  std::int32_t partition = 0;
  bool standby = false;  // Follows until it is told to own, and again after it was fenced.
  std::thread thread;

  mutable std::mutex mutex;
  // Guarded by mutex.
  PartitionStatus status;
  PartitionTask* task = nullptr;  // While it is owned.
  Owner owner;
  bool following = false;
  std::string lease_error;  // A skew found by the lease thread.
  std::string superseded;   // The instance that owns the partition now, as its lease says.
  std::array<std::int64_t, schemas::kInputTopicCount> positions{};  // Passed.
  bool needs_person = false;                                        // Waiting does not help.
  LeaseBook book;
  TakeOverGuard guard;

  // Of the partition's thread.
  bool follows = false;                  // The next start follows; else it is to own.
  bool may_take_over = false;            // From a live owner, once.
  std::int64_t asked_offset = 0;         // Of the record with which CheckLease asked for the time,
  std::chrono::microseconds asked_at{};  // and when it did.
  bool namesake = false;                 // A process of our name held a lease then, dead or alive.
  bool damaged = false;  // Its store failed with kCorrupt, or differs from the journal.
  std::set<std::uint64_t> differing;  // Where it did.
  std::chrono::microseconds held_since{};
  std::chrono::microseconds held_before{};  // The waits that are over.
  std::chrono::microseconds progress_at{};  // When it was last told.
};

}  // namespace alertstream::runtime
