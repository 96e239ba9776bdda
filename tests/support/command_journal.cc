#include "tests/support/command_journal.h"

#include <deque>
#include <utility>

#include <gtest/gtest.h>

#include "processor/journal/merkle.h"
#include "tests/support/manual_clock.h"

namespace alertstream {
namespace {

using schemas::Topic;
constexpr std::chrono::milliseconds kTimeout{20'000};

}  // namespace

CommandJournal::CommandJournal(log::EventLog& log, std::string log_id, std::int32_t partition)
    : now(ManualClock::kNoon), log_(log), log_id_(std::move(log_id)), partition_(partition) {
  auto transactor = log_.OpenTransactor("command-journal-" + std::to_string(partition));
  EXPECT_TRUE(transactor.ok());
  transactor_ = std::move(transactor).value();
  EXPECT_TRUE(transactor_->Init(kTimeout).ok());
}

std::uint64_t CommandJournal::Batch(const std::vector<v1::NotificationCommand>& commands,
                                    const std::vector<Passed>& passed) {
  const std::uint64_t seq = tail_.seq + 1;
  const std::uint64_t epoch = 1;
  v1::JournalRecord record;
  record.set_version(journal::kJournalVersion);
  record.set_log_id(log_id_);
  record.set_generation(journal::kGeneration);
  record.set_partition(static_cast<std::uint32_t>(partition_));
  record.set_seq(seq);
  record.set_owner_epoch(epoch);
  record.set_owner_nonce(std::string(journal::kNonceBytes, 'n'));
  record.set_kind(seq == 1 ? v1::JOURNAL_KIND_CLAIM : v1::JOURNAL_KIND_BATCH);
  record.set_now_us(ToMicros(now));
  record.set_engine_version(2);
  record.set_prev_hash(std::string(AsView(tail_.hash)));
  for (const Passed& each : passed) {
    auto* input = record.add_inputs();
    input->set_topic(static_cast<std::uint32_t>(each.topic));
    input->set_next(each.next);
    input->set_count(1);
  }
  std::deque<std::string> bytes;
  std::deque<log::Header> headers;
  std::vector<log::NewRecord> records;
  journal::MerkleTree tree;
  for (std::size_t i = 0; i < commands.size(); ++i) {
    std::string& stamp = bytes.emplace_back();
    journal::AppendStamp({.partition = static_cast<std::uint32_t>(partition_),
                          .seq = seq,
                          .index = static_cast<std::uint32_t>(i),
                          .owner_epoch = epoch},
                         &stamp);
    const auto& header = headers.emplace_back(log::Header{journal::kStampHeader, stamp});
    const std::string& value = bytes.emplace_back(commands[i].SerializeAsString());
    records.push_back({Topic::kNotificationCommands, partition_, commands[i].tenant(), value,
                       std::span(&header, 1)});
    tree.Add(journal::LeafOfOutput(commands[i].tenant(), records.back().headers, value));
  }
  if (!commands.empty()) {
    auto* output = record.add_outputs();
    output->set_topic(static_cast<std::uint32_t>(Topic::kNotificationCommands));
    output->set_count(commands.size());
    output->set_root(std::string(AsView(tree.Root())));
  }
  const std::string journal_bytes = journal::EncodeJournal(record);
  records.push_back({Topic::kJournal, partition_, schemas::kLogKey, journal_bytes});
  EXPECT_TRUE(transactor_->Commit(records, kTimeout).ok());
  auto tail = journal::Continue(tail_, record, journal_bytes, 0, log_id_,
                                static_cast<std::uint32_t>(partition_));
  EXPECT_TRUE(tail.ok());
  tail_ = std::move(tail).value();
  return seq;
}

std::string NotificationIdOf(std::uint32_t n) {
  std::string id(16, '\0');
  for (int i = 0; i < 4; ++i) {
    id[15 - static_cast<std::size_t>(i)] = static_cast<char>((n >> (8 * i)) & 0xFFU);
  }
  return id;
}

v1::NotificationCommand SmsCommand(std::uint32_t n, std::string_view recipient_token) {
  v1::NotificationCommand command;
  command.set_notification_id(NotificationIdOf(n));
  command.set_kind(v1::COMMAND_KIND_SEND);
  command.set_tenant("acme");
  command.set_recipient_token(std::string(recipient_token));
  command.set_channel(v1::CHANNEL_SMS);
  command.set_message_class(v1::MESSAGE_CLASS_TRANSACTIONAL);
  command.mutable_to()->set_plain("+254712345678");
  command.mutable_body()->set_plain("Order " + std::to_string(n));
  command.set_sender_id("main");
  command.set_provider("twilio");
  command.set_account("main");
  command.set_from_number("+254700000001");
  command.set_attempt(1);
  command.set_decided_at_us(ToMicros(ManualClock::kNoon));
  command.set_expires_at_us(ToMicros(ManualClock::kNoon + std::chrono::hours(24)));
  return command;
}

v1::NotificationCommand CancelCommand(std::uint32_t n) {
  v1::NotificationCommand command;
  command.set_notification_id(NotificationIdOf(n));
  command.set_kind(v1::COMMAND_KIND_CANCEL);
  command.set_tenant("acme");
  command.set_attempt(1);
  return command;
}

}  // namespace alertstream
