// The local log: an EventLog in a directory of this machine (RocksDB), without a broker. One
// process writes; others follow a live directory read-only. Thread-safe. Opened by the command line
// only.
//
// Durable: an append returns after its bytes have reached the disk (one fsync for all that wait at
// the moment). Opening stops with kCorrupt rather than lose a record whose append was acknowledged.
// A full disk or an I/O error fails appends; the log goes on by itself when it can write again.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "processor/base/clock.h"
#include "processor/base/result.h"
#include "processor/log/event_log.h"

namespace alertstream::log {

struct LocalLogOptions {
  std::string directory;  // Created if missing, unless read_only.
  Clock& clock;           // Append times: microseconds, never back within a partition.
  // Follows a directory that another process may be writing: appends are refused with kDenied, new
  // records are looked for in Reader::Wait and Ends. May show a record just before it is durable.
  bool read_only = false;
  // False: an append survives the end of the process, not that of the machine. For benchmarks.
  bool sync = true;
  // Appends are refused with kUnavailable while the disk has less free space than this, so that the
  // store's background work never meets a full disk in the middle of a write.
  std::uint64_t free_bytes_min = std::uint64_t{128} << 20;
};

// kConflict: another process owns the directory (the message names it). kNotFound: read_only, and
// there is no log. kCorrupt: what is stored is damaged, the message says where and what can be
// done. The directory stays owned until the log and every reader and transactor of it are
// destroyed.
Result<std::unique_ptr<EventLog>> OpenLocalLog(const LocalLogOptions& options);

}  // namespace alertstream::log
