// Session: what a command works with: ports, streams and the global options. Made by the program's
// main; a test makes one over a memory log. Belongs to one thread.
#pragma once

#include <atomic>
#include <chrono>
#include <iosfwd>
#include <string>

#include "ops/cli/commands/control_port.h"
#include "ops/cli/exit_code.h"
#include "ops/cli/table.h"
#include "processor/base/clock.h"
#include "processor/base/crypto.h"
#include "processor/base/result.h"
#include "processor/log/event_log.h"
#include "processor/runtime/identity.h"
#include "processor/runtime/processor.h"

namespace alertstream::cli {

struct Streams {
  std::ostream& out;  // Data.
  std::ostream& err;  // Everything else.
  RenderOptions render;
};

struct Session {
  log::EventLog& log;
  const runtime::LogIdentity& identity;
  const HmacKey& token_key;
  Clock& clock;
  Streams io;
  std::string tenant;  // --tenant; "": none was named.
  std::string actor;   // Who makes the changes of this run.
  // Decides while the command runs; null: another process does, or nobody needs to.
  runtime::Processor* processor = nullptr;
  // A server owns the log: changes go through it. Null: they are appended.
  ControlPort* control = nullptr;
  // False: only `control` can be asked; `log` answers nothing and `token_key` is not the log's.
  bool has_log = true;
  // How long one question to the log may take: --timeout.
  std::chrono::milliseconds ask_timeout{15'000};
  const std::atomic<bool>* interrupted = nullptr;  // Set by a signal; may be null.

  bool Interrupted() const { return interrupted != nullptr && interrupted->load(); }
  bool Json() const {
    return io.render.format == OutputFormat::kJson || io.render.format == OutputFormat::kJsonLines;
  }
};

// Rows of a list without --limit.
inline constexpr std::size_t kListRowsMax = 1000;

// Prints `table` on `io.out` in its format.
Status Print(const Streams& io, const Table& table);
// The first `rows_max` rows, and on io.err how many were left out, if any.
Status PrintList(const Streams& io, Table table, std::size_t rows_max);

}  // namespace alertstream::cli
