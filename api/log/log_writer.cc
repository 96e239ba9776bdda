#include "api/log/log_writer.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <span>
#include <thread>
#include <utility>

#include "processor/base/clock.h"
#include "processor/log/record_limits.h"

namespace alertstream::api {
namespace {

struct Request {
  std::vector<RecordToAppend> records;
  std::size_t bytes = 0;
  LogWriter::Done done;
};

std::size_t BytesOf(const std::vector<RecordToAppend>& records) {
  std::size_t bytes = 0;
  for (const RecordToAppend& record : records) {
    bytes += record.key.size() + record.value.size();
    for (const auto& [name, value] : record.headers) {
      bytes += name.size() + value.size();
    }
  }
  return bytes;
}

// Records as the log takes them, with the views of their headers, which hardly any has.
struct Views {
  std::vector<log::NewRecord> records;
  std::deque<std::vector<log::Header>> headers;

  void Add(const Request& request);
};

void Views::Add(const Request& request) {
  for (const RecordToAppend& record : request.records) {
    log::NewRecord& view = records.emplace_back();
    view = {record.topic, record.partition, record.key, record.value};
    if (record.headers.empty()) {
      continue;
    }
    auto& own = headers.emplace_back();
    for (const auto& [name, value] : record.headers) {
      own.push_back({name, value});
    }
    view.headers = own;
  }
}

}  // namespace

struct LogWriter::Impl {
  Impl(log::EventLog& log_in, const LogWriterOptions& options_in)
      : log(log_in),
        options(options_in),
        partitions(options_in.partitions),
        thread([this] { Run(); }) {}

  void Run();
  // The next requests of one append, which leave the queue but still count as pending.
  std::vector<Request> TakeGroup();
  void AppendGroup(std::vector<Request>* group);
  // For one call of the log; kUnavailable once the deadline of Stop is over.
  Result<std::chrono::milliseconds> TimeLeft() const;
  Status LearnPartitions();
  Status Check(const Request& request) const;
  Result<std::vector<log::Appended>> AppendRecords(std::span<const Request> requests);
  void Answer(Request* request, Result<std::vector<log::Appended>> result);

  log::EventLog& log;
  const LogWriterOptions options;
  std::int32_t partitions = 0;  // 0: not known yet. Of the thread.

  mutable std::mutex mutex;
  std::condition_variable changed;
  std::deque<Request> queue;
  std::size_t records_pending = 0;
  std::size_t bytes_pending = 0;
  bool stopping = false;
  std::chrono::microseconds stop_by{0};  // Since boot, once it is stopping.

  std::thread thread;  // Last: it uses what stands above.
};

void LogWriter::Impl::Run() {
  for (;;) {
    std::vector<Request> group = TakeGroup();
    if (group.empty()) {
      return;
    }
    AppendGroup(&group);
  }
}

std::vector<Request> LogWriter::Impl::TakeGroup() {
  std::unique_lock lock(mutex);
  changed.wait(lock, [this] { return stopping || !queue.empty(); });
  std::vector<Request> group;
  std::size_t records = 0;
  std::size_t bytes = 0;
  // A request is never split: its records were refused or accepted together.
  while (!queue.empty()) {
    const Request& next = queue.front();
    if (!group.empty() && (records + next.records.size() > options.group_records_max ||
                           bytes + next.bytes > options.group_bytes_max)) {
      break;
    }
    records += next.records.size();
    bytes += next.bytes;
    group.push_back(std::move(queue.front()));
    queue.pop_front();
  }
  return group;
}

Result<std::chrono::milliseconds> LogWriter::Impl::TimeLeft() const {
  const std::lock_guard lock(mutex);
  if (!stopping) {
    return options.timeout;
  }
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(stop_by - SystemClock().SinceBoot());
  if (left <= std::chrono::milliseconds(0)) {
    return Error(ErrorCode::kUnavailable, "the program ended before the log took the records");
  }
  return std::min(left, options.timeout);
}

Status LogWriter::Impl::LearnPartitions() {
  if (partitions == 0) {
    ALERTSTREAM_ASSIGN_OR_RETURN(const auto timeout, TimeLeft());
    ALERTSTREAM_ASSIGN_OR_RETURN(partitions, log.Partitions(timeout));
  }
  return Status::Ok();
}

Status LogWriter::Impl::Check(const Request& request) const {
  Views views;
  views.Add(request);
  return log::CheckRecords(views.records, partitions);
}

Result<std::vector<log::Appended>> LogWriter::Impl::AppendRecords(
    std::span<const Request> requests) {
  Views views;
  for (const Request& request : requests) {
    views.Add(request);
  }
  if (views.records.empty()) {
    return std::vector<log::Appended>();
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto timeout, TimeLeft());
  return log.Append(views.records, timeout);
}

// What a caller did wrong is answered to that caller alone: it never reaches an append of others.
void LogWriter::Impl::AppendGroup(std::vector<Request>* group) {
  if (const Status learned = LearnPartitions(); !learned.ok()) {
    for (Request& request : *group) {
      Answer(&request, learned.error());
    }
    return;
  }
  std::vector<Request> valid;
  for (Request& request : *group) {
    if (const Status checked = Check(request); !checked.ok()) {
      Answer(&request, checked.error());
    } else {
      valid.push_back(std::move(request));
    }
  }
  const auto appended = AppendRecords(valid);
  if (!appended.ok() && appended.error().code() == ErrorCode::kInvalid && valid.size() > 1) {
    // The log knows a limit that CheckRecords does not: it refused all, so each goes alone.
    for (Request& request : valid) {
      Answer(&request, AppendRecords(std::span(&request, 1)));
    }
    return;
  }
  auto from =
      appended.ok() ? appended.value().begin() : std::vector<log::Appended>::const_iterator();
  for (Request& request : valid) {
    if (!appended.ok()) {
      Answer(&request, appended.error());
      continue;
    }
    const auto to = from + static_cast<std::ptrdiff_t>(request.records.size());
    Answer(&request, std::vector<log::Appended>(from, to));
    from = to;
  }
}

void LogWriter::Impl::Answer(Request* request, Result<std::vector<log::Appended>> result) {
  {
    const std::lock_guard lock(mutex);
    records_pending -= request->records.size();
    bytes_pending -= request->bytes;
  }
  request->done(std::move(result));
}

LogWriter::LogWriter(log::EventLog& log, const LogWriterOptions& options)
    : impl_(std::make_unique<Impl>(log, options)) {}

LogWriter::~LogWriter() { Stop(); }

bool LogWriter::Append(std::vector<RecordToAppend> records, Done done) {
  const std::size_t bytes = BytesOf(records);
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->stopping || records.size() > impl_->options.records_max - impl_->records_pending ||
        bytes > impl_->options.bytes_max - impl_->bytes_pending) {
      return false;
    }
    impl_->records_pending += records.size();
    impl_->bytes_pending += bytes;
    impl_->queue.push_back(
        {.records = std::move(records), .bytes = bytes, .done = std::move(done)});
  }
  impl_->changed.notify_one();
  return true;
}

std::size_t LogWriter::pending_records() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->records_pending;
}

void LogWriter::Stop(std::chrono::milliseconds deadline) {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
    impl_->stop_by = SystemClock().SinceBoot() + deadline;
  }
  impl_->changed.notify_one();
  if (impl_->thread.joinable()) {
    impl_->thread.join();
  }
}

}  // namespace alertstream::api
