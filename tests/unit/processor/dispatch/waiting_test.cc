// Who waits: the queues of accounts, and the people whose commands are held.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "processor/dispatch/hold_book.h"
#include "processor/dispatch/waiting_room.h"

namespace alertstream::dispatch {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::size_t kOptOuts = 0;
constexpr std::size_t kConsents = 1;
constexpr std::size_t kInbound = 2;

std::vector<std::string> Covered(HoldBook& book, std::size_t topic, std::int64_t next) {
  std::vector<std::string> released;
  book.Cover(topic, next, &released);
  return released;
}

TEST(HoldBookTest, APersonIsHeldUntilTheirRecordIsPassed) {
  HoldBook book({10, 0, 0});
  book.Add("ann", kOptOuts, 9);  // Passed already.
  EXPECT_FALSE(book.IsHeld("ann"));
  book.Add("ann", kOptOuts, 10);
  EXPECT_TRUE(book.IsHeld("ann"));
  EXPECT_FALSE(book.IsHeld("bob"));
  EXPECT_THAT(Covered(book, kOptOuts, 10), IsEmpty());
  EXPECT_TRUE(book.IsHeld("ann"));
  EXPECT_THAT(Covered(book, kOptOuts, 11), ElementsAre("ann"));
  EXPECT_FALSE(book.IsHeld("ann"));
  EXPECT_EQ(book.size(), 0U);
}

TEST(HoldBookTest, EveryTopicAndEveryRecordHasToBePassed) {
  HoldBook book({0, 0, 0});
  book.Add("ann", kOptOuts, 1);
  book.Add("ann", kOptOuts, 5);
  book.Add("ann", kInbound, 3);
  book.Add("bob", kConsents, 2);
  EXPECT_THAT(Covered(book, kOptOuts, 3), IsEmpty());
  EXPECT_THAT(Covered(book, kOptOuts, 6), IsEmpty());
  EXPECT_THAT(Covered(book, kConsents, 3), ElementsAre("bob"));
  EXPECT_THAT(Covered(book, kInbound, 4), ElementsAre("ann"));
}

TEST(HoldBookTest, PositionsNeverGoBack) {
  HoldBook book({0, 0, 0});
  EXPECT_THAT(Covered(book, kOptOuts, 8), IsEmpty());
  EXPECT_THAT(Covered(book, kOptOuts, 4), IsEmpty());
  book.Add("ann", kOptOuts, 7);
  EXPECT_FALSE(book.IsHeld("ann"));
}

Waiting Command(const std::string& id, std::uint64_t seq, const std::string& account = "main",
                const std::string& person = "ann", std::uint32_t attempt = 1) {
  auto command = std::make_unique<v1::NotificationCommand>();
  command->set_notification_id(id);
  command->set_attempt(attempt);
  command->set_provider("twilio");
  command->set_account(account);
  command->set_recipient_token(person);
  command->set_expires_at_us(static_cast<std::int64_t>(seq) * 1000);
  command->set_decided_at_us(static_cast<std::int64_t>(seq) * 10);
  return {{seq, 0}, std::move(command), std::chrono::seconds(seq)};
}

const AccountKey kMain{"twilio", "main"};
const AccountKey kOther{"twilio", "other"};

std::vector<std::string> Ids(const std::vector<Waiting>& all) {
  std::vector<std::string> ids;
  ids.reserve(all.size());
  for (const Waiting& each : all) {
    ids.push_back(each.command->notification_id() + std::to_string(each.command->attempt()));
  }
  return ids;
}

std::vector<std::string> Drain(WaitingRoom& room, const AccountKey& account) {
  std::vector<std::string> ids;
  while (room.Front(account) != nullptr) {
    ids.push_back(room.TakeFront(account).command->notification_id());
  }
  return ids;
}

TEST(WaitingRoomTest, KeepsTheJournalsOrderOfEachAccount) {
  WaitingRoom room;
  EXPECT_TRUE(room.Add(Command("c", 3)));
  EXPECT_TRUE(room.Add(Command("a", 1)));
  EXPECT_TRUE(room.Add(Command("b", 2, "other")));
  EXPECT_FALSE(room.Add(Command("a", 4)));
  EXPECT_TRUE(room.Add(Command("a", 4, "main", "ann", 2)));
  EXPECT_EQ(room.waiting(), 4U);
  EXPECT_EQ(room.OldestDecided(), FromMicros(10));
  EXPECT_THAT(room.Accounts(), ElementsAre(kMain, kOther));
  EXPECT_THAT(Drain(room, kMain), ElementsAre("a", "c", "a"));
  EXPECT_THAT(Drain(room, kOther), ElementsAre("b"));
  EXPECT_EQ(room.waiting(), 0U);
  EXPECT_FALSE(room.OldestDecided());
}

TEST(WaitingRoomTest, WhoIsReleasedGoesBackToTheirPlace) {
  WaitingRoom room;
  room.Add(Command("a", 1));
  room.Add(Command("b", 2, "main", "bob"));
  room.Add(Command("c", 3));
  room.HoldFront(kMain);
  EXPECT_EQ(room.held(), 1U);
  EXPECT_EQ(room.waiting(), 2U);
  room.Release("bob");
  EXPECT_EQ(room.held(), 1U);
  room.Release("ann");
  EXPECT_EQ(room.held(), 0U);
  EXPECT_THAT(Drain(room, kMain), ElementsAre("a", "b", "c"));
}

TEST(WaitingRoomTest, ACancelledNotificationLeavesWithAllItsAttempts) {
  WaitingRoom room;
  room.Add(Command("a", 1));
  room.Add(Command("a", 2, "other", "ann", 2));
  room.Add(Command("b", 3));
  room.HoldFront(kMain);
  EXPECT_THAT(Ids(room.TakeNotification("a")), ElementsAre("a1", "a2"));
  EXPECT_THAT(room.TakeNotification("a"), IsEmpty());
  EXPECT_EQ(room.held(), 0U);
  EXPECT_THAT(Drain(room, kMain), ElementsAre("b"));
}

TEST(WaitingRoomTest, ACancelWithoutIdTakesTheSendsOfThePersonsChannelAndClass) {
  const auto add = [](WaitingRoom& room, const std::string& id, std::uint64_t seq,
                      v1::CommandKind kind, v1::Channel channel, v1::MessageClass message_class,
                      const std::string& person = "ann") {
    Waiting waiting = Command(id, seq, seq % 2 == 0 ? "main" : "other", person);
    waiting.command->set_kind(kind);
    waiting.command->set_channel(channel);
    waiting.command->set_message_class(message_class);
    room.Add(std::move(waiting));
  };
  for (const bool of_class : {false, true}) {
    WaitingRoom room;
    constexpr auto kSend = v1::COMMAND_KIND_SEND;
    constexpr auto kSms = v1::CHANNEL_SMS;
    constexpr auto kMarketing = v1::MESSAGE_CLASS_MARKETING;
    add(room, "held", 2, kSend, kSms, kMarketing);
    add(room, "marketing", 3, kSend, kSms, kMarketing);
    add(room, "order", 4, kSend, kSms, v1::MESSAGE_CLASS_TRANSACTIONAL);
    add(room, "answer", 6, v1::COMMAND_KIND_CONFIRMATION, kSms, v1::MESSAGE_CLASS_TRANSACTIONAL);
    add(room, "mail", 8, kSend, v1::CHANNEL_EMAIL, kMarketing);
    add(room, "theirs", 10, kSend, kSms, kMarketing, "bob");
    room.HoldFront(kMain);
    v1::NotificationCommand cancel;
    cancel.set_recipient_token("ann");
    cancel.set_channel(kSms);
    if (of_class) {
      cancel.set_message_class(kMarketing);
      EXPECT_THAT(Ids(room.TakePerson(cancel)), ElementsAre("held1", "marketing1"));
      EXPECT_THAT(Drain(room, kMain), ElementsAre("order", "answer", "mail", "theirs"));
    } else {
      EXPECT_THAT(Ids(room.TakePerson(cancel)), ElementsAre("held1", "marketing1", "order1"));
      EXPECT_THAT(Drain(room, kMain), ElementsAre("answer", "mail", "theirs"));
    }
    EXPECT_EQ(room.held(), 0U);
    EXPECT_EQ(room.Front(kOther), nullptr);
  }
}

TEST(WaitingRoomTest, TakesWhatExpiredHeldOrNot) {
  WaitingRoom room;
  room.Add(Command("a", 1));
  room.Add(Command("b", 2, "main", "bob"));
  room.Add(Command("c", 3));
  room.HoldFront(kMain);
  EXPECT_THAT(room.TakeExpired(FromMicros(999), 10), IsEmpty());
  EXPECT_THAT(Ids(room.TakeExpired(FromMicros(2000), 1)), ElementsAre("b1"));
  EXPECT_THAT(Ids(room.TakeExpired(FromMicros(2000), 10)), ElementsAre("a1"));
  EXPECT_THAT(Drain(room, kMain), ElementsAre("c"));
}

TEST(WaitingRoomTest, TakesTheOldestOfAnAccount) {
  WaitingRoom room;
  room.Add(Command("a", 1));
  room.Add(Command("b", 2));
  room.Add(Command("c", 9));
  EXPECT_THAT(Ids(room.TakeOlder(kMain, 5s, 1)), ElementsAre("a1"));
  EXPECT_THAT(Ids(room.TakeOlder(kMain, 5s, 10)), ElementsAre("b1"));
  EXPECT_THAT(room.TakeOlder(kOther, 5s, 10), IsEmpty());
  room.Clear();
  EXPECT_EQ(room.Front(kMain), nullptr);
}

TEST(WaitingRoomTest, TakesTheNewestOfAnAccountInOrder) {
  WaitingRoom room;
  room.Add(Command("a", 1));
  room.Add(Command("b", 2));
  room.Add(Command("c", 3));
  room.Add(Command("d", 4, "other"));
  EXPECT_EQ(room.QueueSize(kMain), 3U);
  EXPECT_THAT(Ids(room.TakeNewest(kMain, 2)), ElementsAre("b1", "c1"));
  EXPECT_EQ(room.QueueSize(kMain), 1U);
  EXPECT_THAT(Ids(room.TakeNewest(kMain, 9)), ElementsAre("a1"));
  EXPECT_EQ(room.QueueSize(kMain), 0U);
  EXPECT_THAT(Drain(room, kOther), ElementsAre("d"));
}

}  // namespace
}  // namespace alertstream::dispatch
