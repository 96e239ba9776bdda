// The golden histories: what is written, in which order, with which restarts. Told once for every
// engine version, run on any log by golden_writer. Changing a story means writing its files anew.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "processor/base/clock.h"
#include "processor/log/event_log.h"
#include "tests/support/runtime_story.h"

namespace alertstream::runtime {

// A log with an owner for each of its partitions.
class GoldenStage {
 public:
  // `pause` lets time pass; on a log with a clock of its own it may leave out what is short.
  GoldenStage(log::EventLog& log, Clock& clock, std::int32_t partitions,
              std::function<void(LogDuration)> pause);

  StoryWriter& writer() { return writer_; }
  LogTime now() const { return clock_.Now(); }
  // The commands of partition 0 that came since the last call.
  Result<std::vector<v1::NotificationCommand>> NewCommands();
  // All dead letters of partition 0.
  Result<std::vector<v1::DeadLetter>> DeadLetters();
  void Pause(LogDuration by) { pause_(by); }
  // Everything appended is decided.
  Status Decide();
  // The owners of all partitions die, without having written their state, and start again.
  Status Restart();

 private:
  log::EventLog& log_;
  Clock& clock_;
  std::function<void(LogDuration)> pause_;
  StoryWriter writer_;
  std::size_t commands_seen_ = 0;
  std::vector<std::unique_ptr<state::MemoryStore>> stores_;
  std::vector<std::unique_ptr<Instance>> owners_;
};

struct GoldenHistory {
  std::string_view name;
  std::int32_t partitions;
  bool outputs;  // Stored too; else only their roots in the journal are compared.
  Status (*tell)(GoldenStage& stage);
};

const std::vector<GoldenHistory>& GoldenHistories();

}  // namespace alertstream::runtime
