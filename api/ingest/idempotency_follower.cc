#include "api/ingest/idempotency_follower.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <map>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "processor/base/clock.h"
#include "schemas/input_codec.h"
#include "schemas/limits.h"
#include "schemas/output.pb.h"
#include "schemas/personal.h"
#include "schemas/state.pb.h"
#include "schemas/topics.h"

namespace alertstream::api {
namespace {

// Stored: the tables of the index. An entry lies under its hash; the same hash under its time is
// what the sweep reads.
constexpr char kEntries = 'k';
constexpr char kByTime = 's';
constexpr std::uint32_t kFormat = 1;

constexpr std::size_t kBatchRecords = 2000;
constexpr std::size_t kBatchBytes = std::size_t{4} << 20U;
constexpr std::size_t kSweepRows = 10'000;  // One write.
constexpr std::chrono::milliseconds kWait{200};
// Between two rounds that found little: a round costs a write, and look-ups wait for it.
constexpr std::chrono::milliseconds kGather{10};
constexpr std::chrono::milliseconds kAskTimeout{10'000};
constexpr std::chrono::minutes kSweepEvery{1};
constexpr LogDuration kWindow{schemas::kDedupeUs};

std::string BigEndian(std::uint64_t number) {
  std::string bytes(sizeof(number), '\0');
  for (std::size_t i = bytes.size(); i-- > 0; number >>= 8U) {
    bytes[i] = static_cast<char>(number & 0xFFU);
  }
  return bytes;
}

std::uint64_t FromBigEndian(std::string_view bytes) {
  std::uint64_t number = 0;
  for (const char c : bytes) {
    number = (number << 8U) | static_cast<unsigned char>(c);
  }
  return number;
}

std::uint64_t MicrosOf(LogTime time) { return static_cast<std::uint64_t>(ToMicros(time)); }

std::string EntryKey(std::string_view hash) { return kEntries + std::string(hash); }
std::string TimeKey(LogTime time, std::string_view hash) {
  return kByTime + BigEndian(MicrosOf(time)) + std::string(hash);
}

std::string EncodeEntry(const IdempotencyEntry& entry) {
  return std::string(AsView(entry.event_id)) + std::string(AsView(entry.body_sha256)) +
         BigEndian(static_cast<std::uint64_t>(entry.partition)) +
         BigEndian(static_cast<std::uint64_t>(entry.offset)) +
         BigEndian(MicrosOf(entry.append_time));
}

std::optional<IdempotencyEntry> DecodeEntry(std::string_view value) {
  IdempotencyEntry entry;
  const std::size_t head = entry.event_id.size() + entry.body_sha256.size();
  if (value.size() != head + 3 * sizeof(std::uint64_t)) {
    return std::nullopt;
  }
  std::copy_n(value.begin(), entry.event_id.size(), entry.event_id.begin());
  std::copy_n(value.begin() + static_cast<std::ptrdiff_t>(entry.event_id.size()),
              entry.body_sha256.size(), entry.body_sha256.begin());
  entry.partition = static_cast<std::int32_t>(FromBigEndian(value.substr(head, 8)));
  entry.offset = static_cast<std::int64_t>(FromBigEndian(value.substr(head + 8, 8)));
  entry.append_time =
      FromMicros(static_cast<std::int64_t>(FromBigEndian(value.substr(head + 16, 8))));
  return entry;
}

bool IsExpired(const IdempotencyEntry& entry, LogTime now) {
  return now - entry.append_time >= kWindow;
}

// What the index keeps of an event; nothing if it has no key or is not one that the fold decides.
std::optional<std::pair<IdempotencyHash, IdempotencyEntry>> EntryOf(const log::RecordView& record,
                                                                    std::int32_t partition,
                                                                    v1::Envelope* envelope) {
  if (schemas::DecodeInput(schemas::Topic::kSiteEvents, record, envelope)) {
    return std::nullopt;
  }
  const auto key = IdempotencyKeyOf(*envelope);
  const auto data = schemas::Unseal(envelope->site_event().data());
  if (!key || !data.ok()) {
    return std::nullopt;
  }
  IdempotencyEntry entry;
  entry.event_id = MakeId({.append_time = record.append_time,
                           .tenant = envelope->tenant(),
                           .topic = static_cast<std::uint8_t>(schemas::Topic::kSiteEvents),
                           .partition = static_cast<std::uint32_t>(partition),
                           .offset = record.offset});
  if (envelope->body_sha256().size() == entry.body_sha256.size()) {
    std::copy(envelope->body_sha256().begin(), envelope->body_sha256().end(),
              entry.body_sha256.begin());
  } else {
    entry.body_sha256 = BodyDigest(envelope->type(), data.value());
  }
  entry.partition = partition;
  entry.offset = record.offset;
  entry.append_time = record.append_time;
  return std::pair(HashOf(*key), entry);
}

// A dead-lettered event, whose key the fold takes again.
struct Refused {
  std::int64_t letter = 0;  // Offset on dead-letters.
  std::int64_t event = 0;   // Offset on site-events.
  IdempotencyHash hash{};
};

// Nothing: the letter frees no key. An event with another body than the first (a conflict) never
// had it, and one that was too large is never in the index.
std::optional<Refused> RefusedOf(const log::RecordView& record, std::int32_t partition,
                                 v1::Envelope* envelope) {
  v1::DeadLetter letter;
  if (!letter.ParseFromArray(record.value.data(), static_cast<int>(record.value.size())) ||
      letter.record().topic() != static_cast<std::uint32_t>(schemas::Topic::kSiteEvents) ||
      letter.record().partition() != static_cast<std::uint32_t>(partition) ||
      letter.reason() == v1::DEAD_LETTER_REASON_IDEMPOTENCY_CONFLICT) {
    return std::nullopt;
  }
  const auto bytes = schemas::Unseal(letter.original());
  v1::RawRecord original;
  if (!bytes.ok() ||
      !original.ParseFromArray(bytes.value().data(), static_cast<int>(bytes.value().size()))) {
    return std::nullopt;
  }
  std::vector<log::Header> headers;
  for (const auto& header : original.headers()) {
    headers.push_back({header.name(), header.value()});
  }
  const auto entry = EntryOf({.offset = letter.record().offset(),
                              .append_time = FromMicros(letter.append_time_us()),
                              .key = original.key(),
                              .value = original.value(),
                              .headers = headers},
                             partition, envelope);
  if (!entry) {
    return std::nullopt;
  }
  return Refused{.letter = record.offset, .event = letter.record().offset(), .hash = entry->first};
}

}  // namespace

struct IdempotencyFollower::Impl {
  Impl(log::EventLog& log_in, Clock& clock_in, std::unique_ptr<state::StateStore> store_in,
       IdempotencyFollowerOptions options_in)
      : log(log_in), clock(clock_in), options(std::move(options_in)), store(std::move(store_in)) {}

  // What one round of reading comes to.
  struct Round {
    std::map<std::string, std::optional<std::string>> changes;
    std::vector<IdempotencyHash> seen;
    std::vector<std::int64_t> next;
    std::size_t records = 0;
  };

  Status Open();
  void Run();
  Result<std::size_t> TakeIn();
  Status TakeInEvents(std::size_t partition, Round* round);
  Status TakeInDeadLetters(std::size_t partition, Round* round);
  void Free(const Refused& refused, std::int32_t partition, Round* round) const;
  Status SweepIfDue();
  Result<std::size_t> Sweep(LogTime before);
  Status Write(const std::map<std::string, std::optional<std::string>>& changes);
  std::optional<IdempotencyEntry> FindStored(std::string_view hash) const;
  std::optional<IdempotencyEntry> Find(const IdempotencyHash& hash) const;
  void NoteReady();

  log::EventLog& log;
  Clock& clock;
  const IdempotencyFollowerOptions options;

  // Of the thread, and of Open before it. Sources: site-events of all partitions, then dead-letters
  // of all.
  std::unique_ptr<log::Reader> reader;
  std::vector<std::int64_t> positions;
  // Of each partition: read, but of events that are not taken in yet.
  std::vector<std::deque<Refused>> refused;
  std::vector<std::int64_t> opening_ends;
  std::chrono::microseconds swept_at{0};
  v1::Envelope envelope;

  // An entry is written to the store before it leaves `recent`: whoever asks in that order finds
  // it.
  mutable std::mutex recent_mutex;
  std::map<IdempotencyHash, IdempotencyEntry> recent;
  std::vector<std::int64_t> read_back;  // Of site-events: the log has had its word up to there.
  mutable std::mutex store_mutex;
  std::unique_ptr<state::StateStore> store;

  mutable std::mutex problem_mutex;
  std::string problem;
  std::atomic<bool> ready{false};
  std::atomic<bool> stopping{false};
  std::thread thread;
};

Status IdempotencyFollower::Impl::Open() {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto bytes, store->Meta());
  v1::StoreMeta meta;
  const bool parsed = bytes && meta.ParseFromString(*bytes) && meta.log_id() == options.log_id &&
                      meta.format() == kFormat;
  // A store of before dead-letters were followed has the positions of events only.
  const bool known = parsed && (meta.positions_size() == options.partitions ||
                                meta.positions_size() == 2 * options.partitions);
  if (!known && bytes) {
    ALERTSTREAM_RETURN_IF_ERROR(store->Clear());
  }
  std::vector<log::TopicPartition> sources;
  std::vector<log::ReadFrom> from;
  for (std::int32_t source = 0; source < 2 * options.partitions; ++source) {
    positions.push_back(known && source < meta.positions_size() ? meta.positions(source).next()
                                                                : 0);
    sources.push_back(
        {source < options.partitions ? schemas::Topic::kSiteEvents : schemas::Topic::kDeadLetters,
         source % options.partitions});
    from.push_back({sources.back(), positions.back()});
  }
  refused.resize(static_cast<std::size_t>(options.partitions));
  read_back.assign(positions.begin(), positions.begin() + options.partitions);
  ALERTSTREAM_ASSIGN_OR_RETURN(opening_ends, log.Ends(sources, log::EndKind::kStable, kAskTimeout));
  ALERTSTREAM_ASSIGN_OR_RETURN(reader, log.OpenReader(from));
  NoteReady();
  return Status::Ok();
}

void IdempotencyFollower::Impl::NoteReady() {
  for (std::size_t i = 0; i < positions.size(); ++i) {
    if (positions[i] < opening_ends[i]) {
      return;
    }
  }
  ready = true;
}

void IdempotencyFollower::Impl::Run() {
  while (!stopping) {
    const auto taken = TakeIn();
    const Status swept = taken.ok() ? SweepIfDue() : Status(taken.error());
    {
      const std::lock_guard lock(problem_mutex);
      problem = swept.ok() ? "" : "idempotency index: " + swept.error().message();
    }
    if (!swept.ok() && swept.error().code() != ErrorCode::kUnavailable) {
      return;  // Damaged: a person has to look, and meanwhile the fold decides alone.
    }
    if (!taken.ok() || taken.value() == 0) {
      reader->Wait(kWait);
    } else if (taken.value() < kBatchRecords) {
      SystemClock().SleepFor(kGather);
    }
  }
}

// Reads what is at hand and writes it together with the positions behind it.
Result<std::size_t> IdempotencyFollower::Impl::TakeIn() {
  const auto partitions = static_cast<std::size_t>(options.partitions);
  Round round;
  round.next = positions;
  Status read = Status::Ok();
  for (std::size_t i = 0; i < partitions && read.ok(); ++i) {
    read = TakeInEvents(i, &round);
  }
  for (std::size_t i = 0; i < partitions && read.ok(); ++i) {
    read = TakeInDeadLetters(i, &round);
  }
  // What was read before one of them failed does not come again.
  if (round.next == positions) {
    return read.ok() ? Result<std::size_t>(std::size_t{0}) : Result<std::size_t>(read.error());
  }
  positions = round.next;
  ALERTSTREAM_RETURN_IF_ERROR(Write(round.changes));
  {
    const std::lock_guard lock(recent_mutex);
    for (const IdempotencyHash& hash : round.seen) {
      recent.erase(hash);
    }
    read_back.assign(positions.begin(), positions.begin() + options.partitions);
  }
  NoteReady();
  return read.ok() ? Result<std::size_t>(round.records) : Result<std::size_t>(read.error());
}

Status IdempotencyFollower::Impl::TakeInEvents(std::size_t partition, Round* round) {
  const LogTime now = clock.Now();
  const auto home = static_cast<std::int32_t>(partition);
  log::Fetched fetched;
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const std::size_t count,
      reader->Fetch(partition, {.records_max = kBatchRecords, .bytes_max = kBatchBytes}, &fetched));
  round->records += count;
  round->next[partition] = reader->Position(partition);
  for (const log::RecordView& record : fetched.records) {
    // One that lies in the wrong partition comes again in the right one.
    if (now - record.append_time >= kWindow ||
        schemas::PartitionOf(record.key, options.partitions) != home) {
      continue;
    }
    const auto entry = EntryOf(record, home, &envelope);
    if (!entry) {
      continue;
    }
    const std::string_view hash = AsView(entry->first);
    round->seen.push_back(entry->first);
    const auto stored = FindStored(hash);
    if ((stored && !IsExpired(*stored, record.append_time)) ||
        round->changes.contains(EntryKey(hash))) {
      continue;
    }
    round->changes[EntryKey(hash)] = EncodeEntry(entry->second);
    round->changes[TimeKey(record.append_time, hash)] = "";
  }
  return Status::Ok();
}

// A letter waits until its event has been taken in; meanwhile no further ones are read. A restart
// begins with the first that waits.
Status IdempotencyFollower::Impl::TakeInDeadLetters(std::size_t partition, Round* round) {
  const std::size_t source = static_cast<std::size_t>(options.partitions) + partition;
  const auto home = static_cast<std::int32_t>(partition);
  std::deque<Refused>& waiting = refused[partition];
  if (waiting.empty()) {
    log::Fetched fetched;
    ALERTSTREAM_ASSIGN_OR_RETURN(
        const std::size_t count,
        reader->Fetch(source, {.records_max = kBatchRecords, .bytes_max = kBatchBytes}, &fetched));
    round->records += count;
    for (const log::RecordView& record : fetched.records) {
      if (const auto found = RefusedOf(record, home, &envelope)) {
        waiting.push_back(*found);
      }
    }
  }
  while (!waiting.empty() && waiting.front().event < round->next[partition]) {
    Free(waiting.front(), home, round);
    waiting.pop_front();
  }
  round->next[source] = waiting.empty() ? reader->Position(source) : waiting.front().letter;
  return Status::Ok();
}

void IdempotencyFollower::Impl::Free(const Refused& refused_event, std::int32_t partition,
                                     Round* round) const {
  const std::string_view hash = AsView(refused_event.hash);
  const auto change = round->changes.find(EntryKey(hash));
  const auto entry = change == round->changes.end()
                         ? FindStored(hash)
                         : (change->second ? DecodeEntry(*change->second) : std::nullopt);
  // The key may stand for another event: one before it, or one since.
  if (!entry || entry->partition != partition || entry->offset != refused_event.event) {
    return;
  }
  round->changes[EntryKey(hash)] = std::nullopt;
  round->changes[TimeKey(entry->append_time, hash)] = std::nullopt;
}

Status IdempotencyFollower::Impl::Write(
    const std::map<std::string, std::optional<std::string>>& changes) {
  v1::StoreMeta meta;
  meta.set_log_id(options.log_id);
  meta.set_format(kFormat);
  for (std::size_t i = 0; i < positions.size(); ++i) {
    const bool events = i < static_cast<std::size_t>(options.partitions);
    auto* input = meta.add_positions();
    input->set_topic(static_cast<std::uint32_t>(events ? schemas::Topic::kSiteEvents
                                                       : schemas::Topic::kDeadLetters));
    input->set_next(positions[i]);
  }
  std::vector<state::StateWrite> writes;
  writes.reserve(changes.size());
  for (const auto& [key, value] : changes) {
    writes.push_back(
        {.key = key, .value = value ? std::optional<std::string_view>(*value) : std::nullopt});
  }
  const std::lock_guard lock(store_mutex);
  return store->Apply(writes, meta.SerializeAsString());
}

Status IdempotencyFollower::Impl::SweepIfDue() {
  const auto since_boot = clock.SinceBoot();
  if (swept_at != std::chrono::microseconds{0} && since_boot - swept_at < kSweepEvery) {
    return Status::Ok();
  }
  swept_at = since_boot;
  const LogTime now = clock.Now();
  for (;;) {
    std::uint64_t keys = 0;
    {
      const std::lock_guard lock(store_mutex);
      keys = store->KeysEstimate();
    }
    const bool full = keys / 2 > options.entries_max;  // Two rows each.
    ALERTSTREAM_ASSIGN_OR_RETURN(const std::size_t swept, Sweep(full ? now : now - kWindow));
    if (swept == 0 || stopping) {
      return Status::Ok();
    }
  }
}

// The first kSweepRows entries appended before `before`. Returns how many there were.
Result<std::size_t> IdempotencyFollower::Impl::Sweep(LogTime before) {
  std::map<std::string, std::optional<std::string>> changes;
  std::vector<std::string> rows;
  {
    const std::lock_guard lock(store_mutex);
    ALERTSTREAM_RETURN_IF_ERROR(store->Scan(std::string(1, kByTime), TimeKey(before, ""),
                                            [&](std::string_view key, std::string_view) {
                                              rows.emplace_back(key);
                                              return rows.size() < kSweepRows;
                                            }));
  }
  for (const std::string& row : rows) {
    changes[row] = std::nullopt;
    const std::string_view hash = std::string_view(row).substr(1 + sizeof(std::uint64_t));
    const auto entry = FindStored(hash);
    // Since then the key may have been used again.
    if (entry && TimeKey(entry->append_time, hash) == row) {
      changes[EntryKey(hash)] = std::nullopt;
    }
  }
  if (!rows.empty()) {
    ALERTSTREAM_RETURN_IF_ERROR(Write(changes));
  }
  return rows.size();
}

std::optional<IdempotencyEntry> IdempotencyFollower::Impl::FindStored(std::string_view hash) const {
  std::string value;
  const std::lock_guard lock(store_mutex);
  const auto found = store->Get(EntryKey(hash), &value);
  return found.ok() && found.value() ? DecodeEntry(value) : std::nullopt;
}

std::optional<IdempotencyEntry> IdempotencyFollower::Impl::Find(const IdempotencyHash& hash) const {
  const LogTime now = clock.Now();
  std::optional<IdempotencyEntry> inserted;
  {
    const std::lock_guard lock(recent_mutex);
    const auto found = recent.find(hash);
    if (found != recent.end() && !IsExpired(found->second, now)) {
      inserted = found->second;
    }
  }
  // Where both have one, another instance's event came first.
  auto stored = FindStored(AsView(hash));
  return stored && !IsExpired(*stored, now) ? stored : inserted;
}

Result<std::unique_ptr<IdempotencyFollower>> IdempotencyFollower::Start(
    log::EventLog& log, Clock& clock, std::unique_ptr<state::StateStore> store,
    const IdempotencyFollowerOptions& options) {
  auto impl = std::make_unique<Impl>(log, clock, std::move(store), options);
  ALERTSTREAM_RETURN_IF_ERROR(impl->Open());
  auto follower = std::unique_ptr<IdempotencyFollower>(new IdempotencyFollower(std::move(impl)));
  Impl* running = follower->impl_.get();
  running->thread = std::thread([running] { running->Run(); });
  return follower;
}

IdempotencyFollower::IdempotencyFollower(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

IdempotencyFollower::~IdempotencyFollower() { Stop(); }

std::optional<IdempotencyEntry> IdempotencyFollower::Find(const IdempotencyHash& hash) const {
  return impl_->Find(hash);
}

void IdempotencyFollower::Insert(const IdempotencyHash& hash, const IdempotencyEntry& entry) {
  const LogTime now = impl_->clock.Now();
  const std::lock_guard lock(impl_->recent_mutex);
  const auto partition = static_cast<std::size_t>(entry.partition);
  if (partition < impl_->read_back.size() && entry.offset < impl_->read_back[partition]) {
    return;  // It was read back already, and the fold may have refused it since.
  }
  if (const auto found = impl_->recent.find(hash); found != impl_->recent.end()) {
    if (IsExpired(found->second, now)) {
      found->second = entry;
    }
  } else if (impl_->recent.size() < impl_->options.recent_max) {
    impl_->recent.emplace(hash, entry);
  }
}

bool IdempotencyFollower::Ready() const { return impl_->ready; }

std::string IdempotencyFollower::Problem() const {
  const std::lock_guard lock(impl_->problem_mutex);
  return impl_->problem;
}

void IdempotencyFollower::Stop() {
  impl_->stopping = true;
  impl_->reader->Wake();
  if (impl_->thread.joinable()) {
    impl_->thread.join();
  }
}

}  // namespace alertstream::api
