// CommandJournal: writes commands with their journal records as a partition's task would, without
// one: for tests of what follows the journal. Belongs to one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "processor/journal/chain.h"
#include "processor/log/event_log.h"
#include "schemas/journal.pb.h"
#include "schemas/output.pb.h"

namespace alertstream {

// What a batch passed of an input topic.
struct Passed {
  schemas::Topic topic{};
  std::int64_t next = 0;
};

class CommandJournal {
 public:
  CommandJournal(log::EventLog& log, std::string log_id, std::int32_t partition = 0);

  // One accepted batch. Returns its seq.
  std::uint64_t Batch(const std::vector<v1::NotificationCommand>& commands,
                      const std::vector<Passed>& passed = {});

  // Time of the journal's records; the test moves it.
  LogTime now;

 private:
  log::EventLog& log_;
  const std::string log_id_;
  const std::int32_t partition_;
  std::unique_ptr<log::Transactor> transactor_;
  journal::Tail tail_;
};

// The id of notification `n`: 16 bytes.
std::string NotificationIdOf(std::uint32_t n);
// An SMS of tenant acme through twilio's account "main" to the person with that token.
v1::NotificationCommand SmsCommand(std::uint32_t n, std::string_view recipient_token);
v1::NotificationCommand CancelCommand(std::uint32_t n);

}  // namespace alertstream
