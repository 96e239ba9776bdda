#include "tests/conformance/log_conformance.h"

#include <algorithm>
#include <atomic>
#include <set>
#include <string_view>
#include <thread>

#include <gmock/gmock.h>

#include "processor/base/clock.h"
#include "schemas/topics.h"

namespace alertstream::log {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace std::chrono_literals;
using namespace std::string_literals;

constexpr TopicPartition kEvents0{.topic = Topic::kSiteEvents, .partition = 0};
constexpr TopicPartition kEvents1{.topic = Topic::kSiteEvents, .partition = 1};
constexpr TopicPartition kDecisions0{.topic = Topic::kDecisions, .partition = 0};
constexpr TopicPartition kJournal1{.topic = Topic::kJournal, .partition = 1};
constexpr TopicPartition kDeadLetters0{.topic = Topic::kDeadLetters, .partition = 0};

// What the tests append lives longer than the call: literals, or strings of the test.
NewRecord Record(TopicPartition where, std::string_view value, std::string_view key = "acme") {
  return {.topic = where.topic, .partition = where.partition, .key = key, .value = value};
}

template <typename T>
void ExpectError(const T& outcome, ErrorCode code, const std::string& part) {
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(ErrorCodeName(outcome.error().code()), std::string(ErrorCodeName(code)))
      << outcome.error().message();
  EXPECT_THAT(outcome.error().message(), HasSubstr(part));
}

template <typename T>
std::string MessageOf(const T& outcome) {
  return outcome.ok() ? "ok" : outcome.error().message();
}

ReadBack Copy(const RecordView& view) {
  ReadBack record{.offset = view.offset,
                  .append_time = view.append_time,
                  .key = std::string(view.key),
                  .value = std::string(view.value),
                  .headers = {}};
  for (const auto& header : view.headers) {
    record.headers.emplace_back(header.name, header.value);
  }
  return record;
}

}  // namespace

void LogConformance::SetUp() {
  fixture_ = GetParam().make();
  auto opened = fixture_->Open();
  ASSERT_TRUE(opened.ok()) << MessageOf(opened);
  log_ = std::move(opened).value();
  if (fixture_->StartsWithoutTopics()) {
    ExpectError(log().Partitions(kLogTimeout), ErrorCode::kNotFound, "topics apply");
  }
  const TopicPlan plan{.partitions = fixture_->Partitions(), .replication = 1};
  const auto applied = log().ApplyTopics(plan, kLogTimeout);
  ASSERT_TRUE(applied.ok()) << MessageOf(applied);

  std::vector<TopicPartition> all;
  for (const auto& spec : schemas::kTopics) {
    for (std::int32_t partition = 0; partition < plan.partitions; ++partition) {
      all.push_back({.topic = spec.topic, .partition = partition});
    }
  }
  const auto ends = log().Ends(all, EndKind::kStable, kLogTimeout);
  ASSERT_TRUE(ends.ok()) << MessageOf(ends);
  ASSERT_EQ(ends.value().size(), all.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    starts_[all[i]] = ends.value()[i];
  }
}

void LogConformance::Reopen() {
  log_.reset();
  auto opened = fixture_->Open();
  ASSERT_TRUE(opened.ok()) << MessageOf(opened);
  log_ = std::move(opened).value();
}

std::unique_ptr<Transactor> LogConformance::InitTransactor(const std::string& id) {
  auto transactor = log().OpenTransactor(id);
  if (!transactor.ok()) {
    ADD_FAILURE() << MessageOf(transactor);
    return nullptr;
  }
  const auto status = transactor.value()->Init(kLogTimeout);
  EXPECT_TRUE(status.ok()) << MessageOf(status);
  return std::move(transactor).value();
}

std::int64_t LogConformance::End(TopicPartition source, EndKind kind) {
  const auto ends = log().Ends(std::span(&source, 1), kind, kLogTimeout);
  if (!ends.ok() || ends.value().size() != 1) {
    ADD_FAILURE() << MessageOf(ends);
    return -1;
  }
  return ends.value()[0];
}

// The end is asked for anew each time: the marker that ends a transaction may come after its commit
// was acknowledged, and until then the stable end lies before it.
std::int64_t LogConformance::SettledEnd(TopicPartition source) {
  const auto deadline = SystemClock().SinceBoot() + kLogTimeout;
  for (;;) {
    const auto end = End(source, EndKind::kUncommitted);
    if (End(source, EndKind::kStable) == end) {
      return end;
    }
    if (SystemClock().SinceBoot() > deadline) {
      ADD_FAILURE() << "the stable end never reached " << end;
      return end;
    }
    SystemClock().SleepFor(2ms);
  }
}

std::vector<ReadBack> LogConformance::ReadFromOffset(TopicPartition source, std::int64_t from,
                                                     const FetchLimits& limits) {
  std::vector<ReadBack> records;
  const auto end = transaction_open_ ? End(source, EndKind::kStable) : SettledEnd(source);
  const ReadFrom start{.source = source, .offset = from};
  auto reader = log().OpenReader(std::span(&start, 1));
  if (!reader.ok()) {
    ADD_FAILURE() << MessageOf(reader);
    return records;
  }
  const auto deadline = SystemClock().SinceBoot() + kLogTimeout;
  while (reader.value()->Position(0) < end) {
    if (SystemClock().SinceBoot() > deadline) {
      ADD_FAILURE() << "position " << reader.value()->Position(0) << " never reached " << end;
      return records;
    }
    Fetched fetched;
    const auto count = reader.value()->Fetch(0, limits, &fetched);
    if (!count.ok()) {
      ADD_FAILURE() << MessageOf(count);
      return records;
    }
    EXPECT_EQ(count.value(), fetched.records.size());
    EXPECT_LE(count.value(), limits.records_max);
    for (const auto& view : fetched.records) {
      records.push_back(Copy(view));
      EXPECT_LT(view.offset, reader.value()->Position(0));
    }
    if (count.value() == 0) {
      reader.value()->Wait(50ms);
    }
  }
  EXPECT_EQ(reader.value()->Position(0), std::max(from, end));
  return records;
}

std::vector<ReadBack> LogConformance::Read(TopicPartition source, const FetchLimits& limits) {
  return ReadFromOffset(source, StartOf(source), limits);
}

std::vector<std::string> LogConformance::Values(TopicPartition source) {
  std::vector<std::string> values;
  for (auto& record : Read(source)) {
    values.push_back(std::move(record.value));
  }
  return values;
}

TEST_P(LogConformance, TopicsExistOnceApplied) {
  const auto partitions = log().Partitions(kLogTimeout);
  ASSERT_TRUE(partitions.ok()) << MessageOf(partitions);
  EXPECT_EQ(partitions.value(), fixture_->Partitions());
  const auto topics = log().DescribeTopics(kLogTimeout);
  ASSERT_TRUE(topics.ok()) << MessageOf(topics);
  ASSERT_EQ(topics.value().size(), schemas::kTopicCount);
  for (std::size_t i = 0; i < schemas::kTopicCount; ++i) {
    const auto& info = topics.value()[i];
    EXPECT_EQ(info.topic, schemas::kTopics[i].topic);
    EXPECT_TRUE(info.exists);
    EXPECT_EQ(info.partitions, fixture_->Partitions());
    EXPECT_GE(info.replication, 1);
    EXPECT_THAT(info.wrong_settings, IsEmpty()) << schemas::NameOf(info.topic);
  }
}

TEST_P(LogConformance, ApplyingTopicsAgainChangesNothing) {
  const NewRecord record = Record(kEvents0, "before");
  ASSERT_TRUE(log().Append(std::span(&record, 1), kLogTimeout).ok());
  const auto again =
      log().ApplyTopics({.partitions = fixture_->Partitions(), .replication = 1}, kLogTimeout);
  EXPECT_TRUE(again.ok()) << MessageOf(again);
  EXPECT_THAT(Values(kEvents0), ElementsAre("before"));
}

TEST_P(LogConformance, AnotherPartitionCountIsAConflict) {
  ExpectError(
      log().ApplyTopics({.partitions = fixture_->Partitions() + 1, .replication = 1}, kLogTimeout),
      ErrorCode::kConflict, "partition");
  EXPECT_EQ(log().Partitions(kLogTimeout).value(), fixture_->Partitions());
}

TEST_P(LogConformance, AppendReturnsTheOffsetsAndTimesThatAreRead) {
  const std::vector<NewRecord> records = {Record(kEvents0, "a"), Record(kEvents1, "b"),
                                          Record(kEvents0, "c"), Record(kDecisions0, "d"),
                                          Record(kEvents0, "e")};
  const auto appended = log().Append(records, kLogTimeout);
  ASSERT_TRUE(appended.ok()) << MessageOf(appended);
  ASSERT_EQ(appended.value().size(), records.size());
  for (std::size_t i = 0; i < records.size(); ++i) {
    const auto read = ReadFromOffset({.topic = records[i].topic, .partition = records[i].partition},
                                     appended.value()[i].offset);
    ASSERT_FALSE(read.empty());
    EXPECT_EQ(read[0].offset, appended.value()[i].offset);
    EXPECT_EQ(read[0].append_time, appended.value()[i].append_time);
    EXPECT_EQ(read[0].value, records[i].value);
  }
  EXPECT_THAT(Values(kEvents0), ElementsAre("a", "c", "e"));
  EXPECT_THAT(Values(kEvents1), ElementsAre("b"));
}

TEST_P(LogConformance, AppendTimesNeverStepBackAndAreNow) {
  const auto before = SystemClock().Now();
  for (int i = 0; i < 20; ++i) {
    const NewRecord record = Record(kEvents0, "tick");
    ASSERT_TRUE(log().Append(std::span(&record, 1), kLogTimeout).ok());
  }
  const auto read = Read(kEvents0);
  ASSERT_EQ(read.size(), 20u);
  // Kafka's times are whole milliseconds.
  EXPECT_GE(read[0].append_time, before - 1ms);
  EXPECT_LE(read.back().append_time, SystemClock().Now() + 1ms);
  for (std::size_t i = 1; i < read.size(); ++i) {
    EXPECT_GE(read[i].append_time, read[i - 1].append_time);
    EXPECT_GT(read[i].offset, read[i - 1].offset);
  }
}

TEST_P(LogConformance, AppendOfNothingIsFine) {
  const auto appended = log().Append({}, kLogTimeout);
  ASSERT_TRUE(appended.ok()) << MessageOf(appended);
  EXPECT_THAT(appended.value(), IsEmpty());
}

TEST_P(LogConformance, ACommitAppearsInAllItsPartitionsInOrder) {
  const auto transactor = InitTransactor(fixture_->TransactionalId("atomic"));
  ASSERT_NE(transactor, nullptr);
  const std::vector<NewRecord> records = {Record(kDecisions0, "d1"), Record(kJournal1, "j1"),
                                          Record(kDecisions0, "d2"), Record(kEvents1, "e1")};
  const auto committed = transactor->Commit(records, kLogTimeout);
  ASSERT_TRUE(committed.ok()) << MessageOf(committed);
  EXPECT_THAT(Values(kDecisions0), ElementsAre("d1", "d2"));
  EXPECT_THAT(Values(kJournal1), ElementsAre("j1"));
  EXPECT_THAT(Values(kEvents1), ElementsAre("e1"));
  EXPECT_THAT(Values(kEvents0), IsEmpty());
}

TEST_P(LogConformance, ReadingFromTheMiddleSkipsWhatIsBefore) {
  std::vector<std::int64_t> offsets;
  for (const std::string_view value : {"0", "1", "2", "3", "4", "5"}) {
    const NewRecord record = Record(kEvents0, value);
    const auto appended = log().Append(std::span(&record, 1), kLogTimeout);
    ASSERT_TRUE(appended.ok()) << MessageOf(appended);
    offsets.push_back(appended.value()[0].offset);
  }
  for (std::size_t from = 0; from < offsets.size(); ++from) {
    const auto read = ReadFromOffset(kEvents0, offsets[from]);
    ASSERT_EQ(read.size(), offsets.size() - from);
    EXPECT_EQ(read[0].value, std::to_string(from));
  }
  EXPECT_THAT(ReadFromOffset(kEvents0, End(kEvents0, EndKind::kStable)), IsEmpty());
}

TEST_P(LogConformance, ReadingFromTheMiddleOfOneAppendWorks) {
  const std::vector<NewRecord> records(10, Record(kEvents0, "x"));
  const auto appended = log().Append(records, kLogTimeout);
  ASSERT_TRUE(appended.ok()) << MessageOf(appended);
  EXPECT_EQ(ReadFromOffset(kEvents0, appended.value()[7].offset).size(), 3u);
}

TEST_P(LogConformance, ManySmallFetchesEqualOneLarge) {
  const auto transactor = InitTransactor(fixture_->TransactionalId("chunks"));
  ASSERT_NE(transactor, nullptr);
  std::vector<std::string> values;
  for (std::size_t i = 0; i < 120; ++i) {
    values.push_back(std::to_string(i) + std::string((i * 37) % 300, 'v'));
  }
  for (std::size_t i = 0; i < values.size(); i += 8) {
    std::vector<NewRecord> records;
    for (std::size_t j = i; j < i + 8; ++j) {
      records.push_back(Record(kEvents0, values[j]));
    }
    ASSERT_TRUE(transactor->Commit(records, kLogTimeout).ok());
  }
  const auto whole = Read(kEvents0);
  ASSERT_EQ(whole.size(), values.size());
  for (const std::size_t records_max : {1u, 3u, 7u, 64u}) {
    EXPECT_EQ(Read(kEvents0, {.records_max = records_max, .bytes_max = 1 << 20}), whole);
  }
  // A byte limit below the size of a record still returns one record.
  EXPECT_EQ(Read(kEvents0, {.records_max = 1000, .bytes_max = 1}), whole);
  EXPECT_EQ(Read(kEvents0, {.records_max = 1000, .bytes_max = 500}), whole);
}

TEST_P(LogConformance, FetchKeepsTheByteLimit) {
  const std::string value(100, 'v');
  const std::vector<NewRecord> records(50, Record(kEvents0, value, "key0"));
  ASSERT_TRUE(log().Append(records, kLogTimeout).ok());
  const ReadFrom start{.source = kEvents0, .offset = StartOf(kEvents0)};
  const auto reader = log().OpenReader(std::span(&start, 1));
  ASSERT_TRUE(reader.ok()) << MessageOf(reader);
  const auto deadline = SystemClock().SinceBoot() + kLogTimeout;
  std::size_t total = 0;
  while (total < records.size()) {
    ASSERT_LT(SystemClock().SinceBoot(), deadline);
    Fetched fetched;
    const auto count = reader.value()->Fetch(0, {.records_max = 100, .bytes_max = 1040}, &fetched);
    ASSERT_TRUE(count.ok()) << MessageOf(count);
    EXPECT_LE(count.value(), 10u);
    total += count.value();
    if (count.value() == 0) {
      reader.value()->Wait(50ms);
    }
  }
  EXPECT_EQ(total, records.size());
}

TEST_P(LogConformance, FetchedRecordsOutliveTheReader) {
  const std::vector<Header> headers = {{.name = "trace", .value = "abc"}};
  NewRecord record = Record(kEvents0, "kept");
  record.headers = headers;
  ASSERT_TRUE(log().Append(std::span(&record, 1), kLogTimeout).ok());
  Fetched fetched;
  {
    const ReadFrom start{.source = kEvents0, .offset = StartOf(kEvents0)};
    const auto reader = log().OpenReader(std::span(&start, 1));
    ASSERT_TRUE(reader.ok()) << MessageOf(reader);
    const auto deadline = SystemClock().SinceBoot() + kLogTimeout;
    while (fetched.records.empty() && SystemClock().SinceBoot() < deadline) {
      reader.value()->Wait(50ms);
      ASSERT_TRUE(reader.value()->Fetch(0, kWideFetch, &fetched).ok());
    }
  }
  ASSERT_EQ(fetched.records.size(), 1u);
  const auto copy = Copy(fetched.records[0]);
  EXPECT_EQ(copy.value, "kept");
  EXPECT_EQ(copy.headers, (decltype(copy.headers){{"trace", "abc"}}));
}

TEST_P(LogConformance, OneReaderFollowsSeveralPartitions) {
  const std::vector<NewRecord> records = {Record(kEvents0, "a"), Record(kEvents1, "b"),
                                          Record(kJournal1, "c"), Record(kEvents1, "d")};
  ASSERT_TRUE(log().Append(records, kLogTimeout).ok());
  const std::vector<ReadFrom> starts = {
      {.source = kEvents0, .offset = StartOf(kEvents0)},
      {.source = kEvents1, .offset = StartOf(kEvents1)},
      {.source = kDecisions0, .offset = StartOf(kDecisions0)},
      {.source = kJournal1, .offset = StartOf(kJournal1)},
  };
  const auto reader = log().OpenReader(starts);
  ASSERT_TRUE(reader.ok()) << MessageOf(reader);
  std::vector<std::string> values(starts.size());
  const auto deadline = SystemClock().SinceBoot() + kLogTimeout;
  std::size_t total = 0;
  while (total < records.size() && SystemClock().SinceBoot() < deadline) {
    reader.value()->Wait(50ms);
    for (std::size_t i = 0; i < starts.size(); ++i) {
      Fetched fetched;
      ASSERT_TRUE(reader.value()->Fetch(i, kWideFetch, &fetched).ok());
      for (const auto& view : fetched.records) {
        values[i] += view.value;
        ++total;
      }
    }
  }
  EXPECT_THAT(values, ElementsAre("a", "bd", "", "c"));
}

TEST_P(LogConformance, AReaderAtTheEndSeesWhatIsAppendedLater) {
  const ReadFrom start{.source = kEvents0, .offset = End(kEvents0, EndKind::kStable)};
  const auto reader = log().OpenReader(std::span(&start, 1));
  ASSERT_TRUE(reader.ok()) << MessageOf(reader);
  Fetched fetched;
  ASSERT_TRUE(reader.value()->Fetch(0, kWideFetch, &fetched).ok());
  EXPECT_THAT(fetched.records, IsEmpty());
  for (const std::string_view value : {"first", "second"}) {
    std::thread appender([&] {
      const NewRecord record = Record(kEvents0, value);
      EXPECT_TRUE(log().Append(std::span(&record, 1), kLogTimeout).ok());
    });
    Fetched next;
    const auto deadline = SystemClock().SinceBoot() + kLogTimeout;
    while (next.records.empty() && SystemClock().SinceBoot() < deadline) {
      reader.value()->Wait(10'000ms);
      EXPECT_TRUE(reader.value()->Fetch(0, kWideFetch, &next).ok());
    }
    appender.join();
    ASSERT_EQ(next.records.size(), 1u);
    EXPECT_EQ(next.records[0].value, value);
  }
}

TEST_P(LogConformance, WakeEndsAWait) {
  const ReadFrom start{.source = kEvents0, .offset = End(kEvents0, EndKind::kStable)};
  const auto reader = log().OpenReader(std::span(&start, 1));
  ASSERT_TRUE(reader.ok()) << MessageOf(reader);
  const auto began = SystemClock().SinceBoot();
  reader.value()->Wake();
  reader.value()->Wait(kLogTimeout);  // The wake came before the wait.
  std::thread waker([&] { reader.value()->Wake(); });
  reader.value()->Wait(kLogTimeout);
  waker.join();
  EXPECT_LT(SystemClock().SinceBoot() - began, kLogTimeout);
}

TEST_P(LogConformance, WaitEndsAfterItsTimeout) {
  const ReadFrom start{.source = kEvents0, .offset = End(kEvents0, EndKind::kStable)};
  const auto reader = log().OpenReader(std::span(&start, 1));
  ASSERT_TRUE(reader.ok()) << MessageOf(reader);
  const auto began = SystemClock().SinceBoot();
  reader.value()->Wait(60ms);
  const auto took = SystemClock().SinceBoot() - began;
  EXPECT_GE(took, 50ms);
  EXPECT_LT(took, kLogTimeout);
}

TEST_P(LogConformance, KeysValuesAndHeadersMayHoldAnyBytes) {
  std::string all;
  for (int i = 0; i < 256; ++i) {
    all += static_cast<char>(i);
  }
  const std::string nul = "a\0b\0"s;
  const std::vector<Header> headers = {{.name = "empty", .value = ""},
                                       {.name = "nul", .value = nul},
                                       {.name = "all", .value = all},
                                       {.name = "nul", .value = "again"}};
  std::vector<NewRecord> records = {Record(kEvents0, nul, all), Record(kEvents0, all, nul),
                                    Record(kEvents0, "", "key"), Record(kEvents0, "no key", "")};
  records[1].headers = headers;
  ASSERT_TRUE(log().Append(records, kLogTimeout).ok());
  const auto read = Read(kEvents0);
  ASSERT_EQ(read.size(), 4u);
  EXPECT_EQ(read[0].key, all);
  EXPECT_EQ(read[0].value, nul);
  EXPECT_THAT(read[0].headers, IsEmpty());
  EXPECT_EQ(read[1].key, nul);
  EXPECT_EQ(read[1].value, all);
  EXPECT_THAT(read[1].headers, ElementsAre(std::pair("empty"s, ""s), std::pair("nul"s, nul),
                                           std::pair("all"s, all), std::pair("nul"s, "again"s)));
  EXPECT_EQ(read[2].key, "key");
  EXPECT_EQ(read[2].value, "");
  EXPECT_EQ(read[3].key, "");
  EXPECT_EQ(read[3].value, "no key");
}

TEST_P(LogConformance, TheLargestEventAndDeadLetterFit) {
  const auto transactor = InitTransactor(fixture_->TransactionalId("large"));
  ASSERT_NE(transactor, nullptr);
  std::string event(schemas::kEventBytesMax, 'e');
  event.front() = '{';
  std::string dead_letter(schemas::kDeadLetterBytesMax, 'd');
  dead_letter.back() = '.';
  const NewRecord first = Record(kEvents0, event);
  const auto appended = log().Append(std::span(&first, 1), kLogTimeout);
  ASSERT_TRUE(appended.ok()) << MessageOf(appended);
  const std::vector<NewRecord> records = {Record(kDeadLetters0, dead_letter),
                                          Record(kEvents0, event)};
  const auto committed = transactor->Commit(records, kLogTimeout);
  ASSERT_TRUE(committed.ok()) << MessageOf(committed);
  const auto letters = Values(kDeadLetters0);
  ASSERT_EQ(letters.size(), 1u);
  EXPECT_TRUE(letters[0] == dead_letter);
  const auto events = Values(kEvents0);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_TRUE(events[0] == event);
  EXPECT_TRUE(events[1] == event);
}

TEST_P(LogConformance, OneByteMoreIsInvalidAndNothingIsAppended) {
  const std::string letter(schemas::kDeadLetterBytesMax + 1, 'd');
  const std::string event(schemas::kInputRecordBytesMax + 1, 'e');
  const std::vector<NewRecord> large_last = {Record(kEvents0, "small"), Record(kEvents0, event)};
  ExpectError(log().Append(large_last, kLogTimeout), ErrorCode::kInvalid, "site-events");

  const auto transactor = InitTransactor(fixture_->TransactionalId("larger"));
  ASSERT_NE(transactor, nullptr);
  const std::vector<NewRecord> records = {Record(kEvents0, "small"), Record(kDeadLetters0, letter)};
  ExpectError(transactor->Commit(records, kLogTimeout), ErrorCode::kInvalid, "dead-letters");
  // kInvalid is the one failure after which the transactor goes on without Init.
  const NewRecord small = Record(kEvents0, "after");
  const auto committed = transactor->Commit(std::span(&small, 1), kLogTimeout);
  ASSERT_TRUE(committed.ok()) << MessageOf(committed);
  EXPECT_THAT(Values(kEvents0), ElementsAre("after"));
  EXPECT_THAT(Values(kDeadLetters0), IsEmpty());
}

TEST_P(LogConformance, AnUnknownPartitionIsInvalid) {
  const NewRecord high = Record({.topic = Topic::kFacts, .partition = fixture_->Partitions()}, "x");
  ExpectError(log().Append(std::span(&high, 1), kLogTimeout), ErrorCode::kInvalid, "facts");
  const NewRecord low = Record({.topic = Topic::kFacts, .partition = -1}, "x");
  ExpectError(log().Append(std::span(&low, 1), kLogTimeout), ErrorCode::kInvalid, "facts");
}

TEST_P(LogConformance, AZombieIsFenced) {
  const auto id = fixture_->TransactionalId("zombie");
  const auto zombie = InitTransactor(id);
  ASSERT_NE(zombie, nullptr);
  const NewRecord first = Record(kDecisions0, "by the first");
  ASSERT_TRUE(zombie->Commit(std::span(&first, 1), kLogTimeout).ok());

  const auto heir = InitTransactor(id);
  ASSERT_NE(heir, nullptr);
  const std::vector<NewRecord> late = {Record(kDecisions0, "by the zombie"),
                                       Record(kJournal1, "by the zombie")};
  ExpectError(zombie->Commit(late, kLogTimeout), ErrorCode::kFenced, id);

  const NewRecord next = Record(kDecisions0, "by the heir");
  const auto committed = heir->Commit(std::span(&next, 1), kLogTimeout);
  ASSERT_TRUE(committed.ok()) << MessageOf(committed);
  EXPECT_THAT(Values(kDecisions0), ElementsAre("by the first", "by the heir"));
  EXPECT_THAT(Values(kJournal1), IsEmpty());
}

TEST_P(LogConformance, AZombieThatNeverCommittedIsFencedToo) {
  const auto id = fixture_->TransactionalId("idle");
  const auto zombie = InitTransactor(id);
  const auto heir = InitTransactor(id);
  ASSERT_NE(zombie, nullptr);
  ASSERT_NE(heir, nullptr);
  const NewRecord record = Record(kDecisions0, "late");
  ExpectError(zombie->Commit(std::span(&record, 1), kLogTimeout), ErrorCode::kFenced, id);
  EXPECT_THAT(Values(kDecisions0), IsEmpty());
}

TEST_P(LogConformance, AnotherIdIsNotFenced) {
  const auto a = InitTransactor(fixture_->TransactionalId("mine"));
  const auto b = InitTransactor(fixture_->TransactionalId("yours"));
  ASSERT_NE(a, nullptr);
  ASSERT_NE(b, nullptr);
  const NewRecord record = Record(kDecisions0, "both");
  EXPECT_TRUE(a->Commit(std::span(&record, 1), kLogTimeout).ok());
  EXPECT_TRUE(b->Commit(std::span(&record, 1), kLogTimeout).ok());
  EXPECT_THAT(Values(kDecisions0), ElementsAre("both", "both"));
}

TEST_P(LogConformance, TwoIdsInTurnKeepTheSequence) {
  const auto a = InitTransactor(fixture_->TransactionalId("turn-a"));
  const auto b = InitTransactor(fixture_->TransactionalId("turn-b"));
  ASSERT_NE(a, nullptr);
  ASSERT_NE(b, nullptr);
  constexpr int kTurns = 200;
  for (int turn = 0; turn < kTurns; ++turn) {
    const auto text = std::to_string(turn);
    const std::vector<NewRecord> records = {Record(kDecisions0, text), Record(kJournal1, text)};
    const auto committed = (turn % 2 == 0 ? *a : *b).Commit(records, kLogTimeout);
    ASSERT_TRUE(committed.ok()) << "turn " << turn << ": " << MessageOf(committed);
  }
  for (const auto source : {kDecisions0, kJournal1}) {
    const auto values = Values(source);
    ASSERT_EQ(values.size(), static_cast<std::size_t>(kTurns));
    for (std::size_t turn = 0; turn < values.size(); ++turn) {
      ASSERT_EQ(values[turn], std::to_string(turn));
    }
  }
}

TEST_P(LogConformance, EndsFollowEveryAppend) {
  const auto transactor = InitTransactor(fixture_->TransactionalId("ends"));
  ASSERT_NE(transactor, nullptr);
  auto last = SettledEnd(kJournal1);
  for (int i = 0; i < 5; ++i) {
    const NewRecord record = Record(kJournal1, "j");
    ASSERT_TRUE(transactor->Commit(std::span(&record, 1), kLogTimeout).ok());
    EXPECT_EQ(Read(kJournal1).size(), static_cast<std::size_t>(i) + 1);
    const auto end = End(kJournal1, EndKind::kUncommitted);
    EXPECT_GT(end, last);
    EXPECT_EQ(End(kJournal1, EndKind::kStable), end);
    last = end;
  }
  const std::vector<TopicPartition> both = {kEvents0, kJournal1};
  const auto ends = log().Ends(both, EndKind::kUncommitted, kLogTimeout);
  ASSERT_TRUE(ends.ok()) << MessageOf(ends);
  EXPECT_THAT(ends.value(), ElementsAre(StartOf(kEvents0), last));
}

TEST_P(LogConformance, AnOpenTransactionHoldsTheStableEndAndIsInvisible) {
  const std::vector<NewRecord> records = {Record(kDecisions0, "open"), Record(kJournal1, "open")};
  const auto open = fixture_->Begin(log(), fixture_->TransactionalId("open"), records);
  if (open == nullptr) {
    GTEST_SKIP() << GetParam().name << ": a transaction cannot be held open";
  }
  transaction_open_ = true;
  EXPECT_GT(End(kDecisions0, EndKind::kUncommitted), StartOf(kDecisions0));
  EXPECT_EQ(End(kDecisions0, EndKind::kStable), StartOf(kDecisions0));
  const NewRecord behind = Record(kDecisions0, "behind");
  ASSERT_TRUE(log().Append(std::span(&behind, 1), kLogTimeout).ok());
  EXPECT_THAT(Values(kDecisions0), IsEmpty());
  EXPECT_THAT(Values(kJournal1), IsEmpty());

  const auto committed = open->Commit();
  ASSERT_TRUE(committed.ok()) << MessageOf(committed);
  transaction_open_ = false;
  EXPECT_THAT(Values(kDecisions0), ElementsAre("open", "behind"));
  EXPECT_THAT(Values(kJournal1), ElementsAre("open"));
}

TEST_P(LogConformance, AnAbortedTransactionStaysInvisible) {
  const std::vector<NewRecord> records = {Record(kDecisions0, "aborted"),
                                          Record(kJournal1, "aborted")};
  const auto open = fixture_->Begin(log(), fixture_->TransactionalId("abort"), records);
  if (open == nullptr) {
    GTEST_SKIP() << GetParam().name << ": a transaction cannot be held open";
  }
  const auto aborted = open->Abort();
  ASSERT_TRUE(aborted.ok()) << MessageOf(aborted);
  const NewRecord next = Record(kDecisions0, "next");
  ASSERT_TRUE(log().Append(std::span(&next, 1), kLogTimeout).ok());
  EXPECT_THAT(Values(kDecisions0), ElementsAre("next"));
  EXPECT_THAT(Values(kJournal1), IsEmpty());
}

TEST_P(LogConformance, InitAbortsTheOpenTransactionOfItsId) {
  const auto id = fixture_->TransactionalId("take-over");
  const NewRecord record = Record(kDecisions0, "half done");
  const auto open = fixture_->Begin(log(), id, std::span(&record, 1));
  if (open == nullptr) {
    GTEST_SKIP() << GetParam().name << ": a transaction cannot be held open";
  }
  const auto heir = InitTransactor(id);
  ASSERT_NE(heir, nullptr);
  ExpectError(open->Commit(), ErrorCode::kFenced, id);
  const NewRecord next = Record(kDecisions0, "heir");
  ASSERT_TRUE(heir->Commit(std::span(&next, 1), kLogTimeout).ok());
  EXPECT_THAT(Values(kDecisions0), ElementsAre("heir"));
  EXPECT_EQ(End(kDecisions0, EndKind::kStable), End(kDecisions0, EndKind::kUncommitted));
}

TEST_P(LogConformance, InitSettlesAnUnknownCommit) {
  for (const auto what : {UnknownCommit::kApplied, UnknownCommit::kNotApplied}) {
    const auto id = fixture_->TransactionalId("unknown");
    const auto transactor = InitTransactor(id);
    ASSERT_NE(transactor, nullptr);
    const auto before = Values(kDecisions0).size();
    if (!fixture_->InjectUnknownCommit(log(), id, what)) {
      GTEST_SKIP() << GetParam().name << ": an unknown outcome cannot be provoked";
    }
    const std::vector<NewRecord> records = {Record(kDecisions0, "maybe"),
                                            Record(kJournal1, "maybe")};
    ExpectError(transactor->Commit(records, kLogTimeout), ErrorCode::kUnknown, id);
    const auto init = transactor->Init(kLogTimeout);
    ASSERT_TRUE(init.ok()) << MessageOf(init);
    // After Init nothing can change any more: all of it is there, or nothing.
    EXPECT_EQ(End(kDecisions0, EndKind::kStable), End(kDecisions0, EndKind::kUncommitted));
    const std::size_t expected = before + (what == UnknownCommit::kApplied ? 1 : 0);
    EXPECT_EQ(Values(kDecisions0).size(), expected);
    EXPECT_EQ(Values(kJournal1).size(), expected);
    const NewRecord next = Record(kEvents1, "next");
    EXPECT_TRUE(transactor->Commit(std::span(&next, 1), kLogTimeout).ok());
  }
}

TEST_P(LogConformance, ARestartKeepsEverything) {
  const auto id = fixture_->TransactionalId("restart");
  {
    const auto transactor = InitTransactor(id);
    ASSERT_NE(transactor, nullptr);
    for (const std::string_view value : {"1", "2", "3"}) {
      const std::vector<NewRecord> records = {Record(kDecisions0, value), Record(kJournal1, value)};
      ASSERT_TRUE(transactor->Commit(records, kLogTimeout).ok());
    }
    const NewRecord event = Record(kEvents0, "event");
    ASSERT_TRUE(log().Append(std::span(&event, 1), kLogTimeout).ok());
  }
  const auto decisions = Read(kDecisions0);
  const auto end = End(kDecisions0, EndKind::kUncommitted);
  ASSERT_NO_FATAL_FAILURE(Reopen());
  EXPECT_EQ(log().Partitions(kLogTimeout).value(), fixture_->Partitions());
  EXPECT_EQ(End(kDecisions0, EndKind::kUncommitted), end);
  EXPECT_EQ(Read(kDecisions0), decisions);
  EXPECT_THAT(Values(kEvents0), ElementsAre("event"));
  EXPECT_THAT(Values(kJournal1), ElementsAre("1", "2", "3"));

  const auto transactor = InitTransactor(id);
  ASSERT_NE(transactor, nullptr);
  const NewRecord next = Record(kDecisions0, "4");
  ASSERT_TRUE(transactor->Commit(std::span(&next, 1), kLogTimeout).ok());
  const auto more = Read(kDecisions0);
  ASSERT_EQ(more.size(), 4u);
  EXPECT_GE(more[3].offset, end);
  EXPECT_GE(more[3].append_time, more[2].append_time);
}

TEST_P(LogConformance, ConcurrentAppendersLoseAndMixNothing) {
  constexpr int kThreads = 4;
  constexpr int kAppends = 25;
  std::atomic<int> failures = 0;
  std::vector<std::map<std::int64_t, std::string>> appended(kThreads);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kAppends; ++i) {
        const auto name = std::to_string(thread) + "-" + std::to_string(i) + "-";
        const std::vector<std::string> values = {name + "0", name + "1", name + "2"};
        const std::vector<NewRecord> records = {
            Record(kEvents0, values[0]), Record(kEvents0, values[1]), Record(kEvents0, values[2])};
        const auto result = log().Append(records, kLogTimeout);
        if (!result.ok() || result.value().size() != 3) {
          ++failures;
          continue;
        }
        for (std::size_t j = 0; j < 3; ++j) {
          appended[static_cast<std::size_t>(thread)][result.value()[j].offset] = values[j];
        }
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  ASSERT_EQ(failures, 0);
  std::map<std::int64_t, std::string> expected;
  for (const auto& one : appended) {
    ASSERT_EQ(one.size(), static_cast<std::size_t>(kAppends) * 3);
    expected.insert(one.begin(), one.end());
    // One appender's records lie in the order in which it appended them.
    std::vector<std::string> order;
    for (const auto& [offset, value] : one) {
      order.push_back(value);
    }
    const auto thread = order[0].substr(0, 1);
    for (std::size_t i = 0; i < order.size(); ++i) {
      EXPECT_EQ(order[i], thread + "-" + std::to_string(i / 3) + "-" + std::to_string(i % 3));
    }
  }
  std::map<std::int64_t, std::string> read;
  for (const auto& record : Read(kEvents0)) {
    read[record.offset] = record.value;
  }
  EXPECT_EQ(read, expected);
}

TEST_P(LogConformance, ConcurrentTransactorsCommitWhole) {
  constexpr int kThreads = 3;
  constexpr int kCommits = 20;
  std::atomic<int> failures = 0;
  std::vector<std::thread> threads;
  std::vector<std::unique_ptr<Transactor>> transactors;
  for (int thread = 0; thread < kThreads; ++thread) {
    transactors.push_back(
        InitTransactor(fixture_->TransactionalId("parallel-" + std::to_string(thread))));
    ASSERT_NE(transactors.back(), nullptr);
  }
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kCommits; ++i) {
        const auto value = std::to_string(thread) + "-" + std::to_string(i);
        const std::vector<NewRecord> records = {Record(kDecisions0, value),
                                                Record(kJournal1, value)};
        if (!transactors[static_cast<std::size_t>(thread)]->Commit(records, kLogTimeout).ok()) {
          ++failures;
        }
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  ASSERT_EQ(failures, 0);
  const auto decisions = Values(kDecisions0);
  const auto journal = Values(kJournal1);
  EXPECT_EQ(decisions.size(), static_cast<std::size_t>(kThreads) * kCommits);
  EXPECT_EQ(std::set<std::string>(decisions.begin(), decisions.end()),
            std::set<std::string>(journal.begin(), journal.end()));
  EXPECT_EQ(journal.size(), decisions.size());
}

TEST_P(LogConformance, DescribeNamesTheLog) { EXPECT_FALSE(log().Describe().empty()); }

}  // namespace alertstream::log
