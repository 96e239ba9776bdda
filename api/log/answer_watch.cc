#include "api/log/answer_watch.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "api/log/answer_book.h"
#include "api/log/engine_version.h"
#include "api/log/lag_meter.h"
#include "processor/runtime/output_reader.h"

namespace alertstream::api {
namespace {

using schemas::Topic;

constexpr std::chrono::milliseconds kReadStep{200};
// A batch whose outputs do not come; the reader begins with it again.
constexpr std::chrono::milliseconds kReadTimeout{2'000};
constexpr std::chrono::milliseconds kAskTimeout{2'000};
constexpr std::chrono::milliseconds kRetryAfter{200};
constexpr std::chrono::milliseconds kLookEvery{20};  // For waits whose time is up.
constexpr std::chrono::milliseconds kIdle{250};      // While nobody waits; Await ends it.
constexpr std::chrono::seconds kSampleEvery{1};

template <typename Message>
Status ParseInto(const runtime::ReleasedRecord& output, std::vector<Message>* messages) {
  const auto& value = output.record.value;
  if (!messages->emplace_back().ParseFromArray(value.data(), static_cast<int>(value.size()))) {
    return Error(ErrorCode::kCorrupt,
                 fmt::format("{} offset {}: the record cannot be decoded",
                             schemas::NameOf(output.topic), output.record.offset));
  }
  return Status::Ok();
}

Result<BatchOutputs> ParseOutputs(const runtime::ReleasedBatch& batch) {
  BatchOutputs outputs;
  for (const auto& output : batch.outputs) {
    if (output.topic == Topic::kDecisions) {
      ALERTSTREAM_RETURN_IF_ERROR(ParseInto(output, &outputs.decisions));
    } else if (output.topic == Topic::kFacts) {
      ALERTSTREAM_RETURN_IF_ERROR(ParseInto(output, &outputs.facts));
    } else if (output.topic == Topic::kDeadLetters) {
      ALERTSTREAM_RETURN_IF_ERROR(ParseInto(output, &outputs.dead_letters));
    }
  }
  return outputs;
}

}  // namespace

// What threads, callers and tickets meet in; tickets may keep it alive after the watch.
class AnswerWatch::Core {
 public:
  explicit Core(const AnswerWatchOptions& options)
      : book(options.tickets_max, options.kept_bytes_max),
        problems(static_cast<std::size_t>(options.partitions)),
        versions(static_cast<std::size_t>(options.partitions)) {}

  std::mutex mutex;
  std::condition_variable changed;
  AnswerBook book;
  LagMeter::Positions consumed;
  std::vector<std::string> problems;                   // Of each partition; "" if there is none.
  std::vector<std::optional<std::uint32_t>> versions;  // In force; nothing: not known yet.
  std::size_t asked = 0;  // Partitions whose journal's end was looked at.
  std::string lag_problem;
  bool stopping = false;
};

struct AnswerWatch::Ticket::State {
  std::shared_ptr<Core> core;
  std::uint64_t id = 0;
};

AnswerWatch::Ticket::Ticket(std::unique_ptr<State> state) : state_(std::move(state)) {}

AnswerWatch::Ticket::~Ticket() {
  const std::lock_guard lock(state_->core->mutex);
  state_->core->book.CloseTicket(state_->id);
}

struct AnswerWatch::Impl {
  Impl(log::EventLog& log_in, Clock& clock_in, const AnswerWatchOptions& options_in)
      : log(log_in),
        clock(clock_in),
        options(options_in),
        core(std::make_shared<Core>(options_in)),
        meter(log_in, options_in.partitions) {}

  void LearnVersion(std::size_t partition);
  void Follow(std::size_t partition, runtime::OutputReader* reader);
  Status Take(std::size_t partition, runtime::OutputReader* reader);
  void Attend();
  void Measure();
  bool Stopping() const {
    const std::lock_guard lock(core->mutex);
    return core->stopping;
  }

  log::EventLog& log;
  Clock& clock;
  const AnswerWatchOptions options;
  std::shared_ptr<Core> core;  // The tickets are its other owners.
  LagMeter meter;              // Of Measure.
  std::atomic<double> lag_seconds{0};
  std::vector<std::unique_ptr<runtime::OutputReader>> readers;
  std::vector<std::thread> threads;
};

Status AnswerWatch::Impl::Take(std::size_t partition, runtime::OutputReader* reader) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto batch, reader->Next(kReadStep));
  if (!batch) {
    return Status::Ok();
  }
  bool wanted = false;
  {
    const std::lock_guard lock(core->mutex);
    wanted = core->book.IsWanted(static_cast<std::int32_t>(partition));
  }
  // A ticket that is opened now is for records that are not appended yet: not in this batch.
  BatchOutputs outputs;
  if (wanted) {
    ALERTSTREAM_ASSIGN_OR_RETURN(outputs, ParseOutputs(*batch));
  }
  std::vector<AnswerBook::Due> due;
  {
    const std::lock_guard lock(core->mutex);
    core->versions[partition] = batch->journal.engine_version();
    LagMeter::Raise(batch->journal, &core->consumed);
    core->book.TakeBatch(batch->journal, std::move(outputs), &due);
  }
  for (AnswerBook::Due& each : due) {
    each.Call();
  }
  return Status::Ok();
}

// What is in force before the first batch that this watch sees. What cannot be read now is asked
// for again.
void AnswerWatch::Impl::LearnVersion(std::size_t partition) {
  const auto version = ReadEngineVersion(log, static_cast<std::int32_t>(partition), kAskTimeout);
  if (version.ok()) {
    const std::lock_guard lock(core->mutex);
    core->versions[partition] = version.value();
  }
}

void AnswerWatch::Impl::Follow(std::size_t partition, runtime::OutputReader* reader) {
  LearnVersion(partition);
  {
    const std::lock_guard lock(core->mutex);
    ++core->asked;
  }
  core->changed.notify_all();
  while (!Stopping()) {
    const Status taken = Take(partition, reader);
    std::unique_lock lock(core->mutex);
    if (!core->versions[partition]) {
      lock.unlock();
      LearnVersion(partition);
      lock.lock();
    }
    core->problems[partition] =
        taken.ok() ? "" : fmt::format("partition {}: {}", partition, taken.error().message());
    if (taken.ok()) {
      continue;
    }
    if (taken.error().code() != ErrorCode::kUnavailable) {
      return;  // Its history is damaged: waiting does not mend it.
    }
    core->changed.wait_for(lock, kRetryAfter, [this] { return core->stopping; });
  }
}

// Ends the waits whose time is up.
void AnswerWatch::Impl::Attend() {
  std::unique_lock lock(core->mutex);
  while (!core->stopping) {
    std::vector<AnswerBook::Due> due;
    core->book.Expire(clock.SinceBoot(), &due);
    if (!due.empty()) {
      lock.unlock();
      for (AnswerBook::Due& each : due) {
        each.Call();
      }
      lock.lock();
      continue;
    }
    core->changed.wait_for(lock, core->book.waits() > 0 ? kLookEvery : kIdle);
  }
}

// On a thread of its own: a log that does not answer holds it up, and must not hold up the waits.
void AnswerWatch::Impl::Measure() {
  std::unique_lock lock(core->mutex);
  while (!core->changed.wait_for(lock, kSampleEvery, [this] { return core->stopping; })) {
    const LagMeter::Positions consumed = core->consumed;
    lock.unlock();
    const auto lag = meter.Sample(consumed, clock.Now(), kAskTimeout);
    if (lag.ok()) {
      lag_seconds = std::chrono::duration<double>(lag.value()).count();
    }
    lock.lock();
    core->lag_problem = lag.ok() ? "" : "lag: " + lag.error().message();
  }
}

Result<std::unique_ptr<AnswerWatch>> AnswerWatch::Start(log::EventLog& log, Clock& clock,
                                                        const AnswerWatchOptions& options) {
  auto impl = std::make_unique<Impl>(log, clock, options);
  ALERTSTREAM_RETURN_IF_ERROR(impl->meter.Start(kAskTimeout));
  impl->core->consumed = impl->meter.consumed();
  for (std::int32_t partition = 0; partition < options.partitions; ++partition) {
    ALERTSTREAM_ASSIGN_OR_RETURN(
        auto reader, runtime::OutputReader::Open(
                         log, {.log_id = options.log_id,
                               .partition = partition,
                               .topics = {Topic::kDecisions, Topic::kFacts, Topic::kDeadLetters},
                               .from_end = true,
                               .read_timeout = kReadTimeout}));
    impl->readers.push_back(std::move(reader));
  }
  auto watch = std::unique_ptr<AnswerWatch>(new AnswerWatch(std::move(impl)));
  Impl* running = watch->impl_.get();
  for (std::size_t i = 0; i < running->readers.size(); ++i) {
    running->threads.emplace_back([running, i] { running->Follow(i, running->readers[i].get()); });
  }
  running->threads.emplace_back([running] { running->Attend(); });
  running->threads.emplace_back([running] { running->Measure(); });
  std::unique_lock lock(running->core->mutex);
  running->core->changed.wait_for(
      lock, kAskTimeout, [running] { return running->core->asked == running->readers.size(); });
  return watch;
}

AnswerWatch::AnswerWatch(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

AnswerWatch::~AnswerWatch() { Stop(); }

std::unique_ptr<AnswerWatch::Ticket> AnswerWatch::Open() {
  auto state = std::make_unique<Ticket::State>();
  state->core = impl_->core;
  {
    const std::lock_guard lock(impl_->core->mutex);
    const auto id = impl_->core->book.OpenTicket();
    if (!id || impl_->core->stopping) {
      if (id) {
        impl_->core->book.CloseTicket(*id);
      }
      return nullptr;
    }
    state->id = *id;
  }
  return std::unique_ptr<Ticket>(new Ticket(std::move(state)));
}

void AnswerWatch::Await(std::unique_ptr<Ticket> ticket,
                        const std::vector<AppendedPosition>& positions,
                        std::chrono::milliseconds timeout, Done done) {
  std::vector<AnswerBook::Due> due;
  {
    const std::lock_guard lock(impl_->core->mutex);
    AnswerBook& book = impl_->core->book;
    book.Await(ticket->state_->id, positions, impl_->clock.SinceBoot() + timeout, std::move(done),
               &due);
    if (impl_->core->stopping) {
      book.Abandon("the server is stopping", &due);
    }
  }
  impl_->core->changed.notify_all();
  for (AnswerBook::Due& each : due) {
    each.Call();
  }
}

double AnswerWatch::LagSeconds() const { return impl_->lag_seconds; }

std::optional<std::uint32_t> AnswerWatch::EngineVersion(std::int32_t partition) const {
  const std::lock_guard lock(impl_->core->mutex);
  const auto index = static_cast<std::size_t>(partition);
  return index < impl_->core->versions.size() ? impl_->core->versions[index] : std::nullopt;
}

std::string AnswerWatch::Problem() const {
  const std::lock_guard lock(impl_->core->mutex);
  for (const std::string& problem : impl_->core->problems) {
    if (!problem.empty()) {
      return problem;
    }
  }
  return impl_->core->lag_problem;
}

void AnswerWatch::Stop() {
  std::vector<AnswerBook::Due> due;
  {
    const std::lock_guard lock(impl_->core->mutex);
    impl_->core->stopping = true;
    impl_->core->book.Abandon("the server is stopping", &due);
  }
  impl_->core->changed.notify_all();
  for (AnswerBook::Due& each : due) {
    each.Call();
  }
  for (std::thread& thread : impl_->threads) {
    if (thread.joinable()) {
      thread.join();
    }
  }
}

}  // namespace alertstream::api
