#include "api/control/entity_book.h"

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "processor/runtime/output_reader.h"
#include "schemas/topics.h"

namespace alertstream::api {
namespace {

constexpr std::chrono::milliseconds kIdle{50};
constexpr std::chrono::milliseconds kReadTimeout{2'000};

struct InForce {
  std::uint64_t version = 0;
  std::int64_t made_at = 0;  // Offset of the first change that the fold answered with the version.
};

// A tenant has one, though several of its senders may have been defined as the default.
struct DefaultSender {
  std::string id;            // Empty: none.
  std::int64_t made_at = 0;  // Offset of the change that said so.
};

}  // namespace

struct EntityBook::Impl {
  void Run();
  Result<bool> TakeIn(runtime::OutputReader* reader);
  bool Note(const v1::Fact& fact);
  bool MovesDefault(const v1::Fact& fact);

  std::vector<std::unique_ptr<runtime::OutputReader>> readers;
  mutable std::mutex mutex;
  std::condition_variable changed;
  std::map<EntityName, InForce> entities;
  std::map<std::string, DefaultSender> defaults;  // By tenant.
  std::string problem;
  bool stopping = false;
  std::atomic<bool> ready{false};
  std::thread thread;
};

// In whatever order facts come, the same is known in the end. Offsets of an entity compare: all its
// changes lie in one partition.
bool EntityBook::Impl::Note(const v1::Fact& fact) {
  const auto name = EntityOf(fact);
  if (!name || fact.result() != v1::FACT_RESULT_ACCEPTED || !fact.has_cause()) {
    return false;
  }
  const std::int64_t offset = fact.cause().offset();
  const std::lock_guard lock(mutex);
  InForce& entity = entities[*name];
  if (fact.version() > entity.version ||
      (fact.version() == entity.version && offset < entity.made_at)) {
    entity = {.version = fact.version(), .made_at = offset};
  }
  const bool moves_default = fact.has_sender() && MovesDefault(fact);
  return fact.version() == entity.version && offset > entity.made_at && !moves_default;
}

// Whether the change made its sender the tenant's default, or no longer: the sender's own version
// does not tell, because it is another one's change that took the default away.
bool EntityBook::Impl::MovesDefault(const v1::Fact& fact) {
  const v1::Sender& sender = fact.sender().sender();
  const std::int64_t offset = fact.cause().offset();
  const auto [found, is_first] = defaults.try_emplace(fact.tenant(), DefaultSender{});
  DefaultSender& present = found->second;
  if (!is_first && offset <= present.made_at) {
    return offset == present.made_at;
  }
  if ((present.id == sender.id()) == sender.is_default()) {
    return false;
  }
  present = {.id = sender.is_default() ? sender.id() : "", .made_at = offset};
  return true;
}

Result<bool> EntityBook::Impl::TakeIn(runtime::OutputReader* reader) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto batch, reader->Next(std::chrono::milliseconds(0)));
  if (!batch) {
    return false;
  }
  for (const auto& output : batch->outputs) {
    v1::Fact fact;
    const auto& value = output.record.value;
    if (fact.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
      Note(fact);
    }
  }
  return true;
}

void EntityBook::Impl::Run() {
  for (;;) {
    bool any = false;
    bool at_end = true;
    std::string wrong;
    for (std::size_t i = 0; i < readers.size(); ++i) {
      const auto taken = TakeIn(readers[i].get());
      any = any || (taken.ok() && taken.value());
      at_end = at_end && readers[i]->AtOpeningEnd();
      if (!taken.ok()) {
        wrong = fmt::format("rules in force, partition {}: {}", i, taken.error().message());
      }
    }
    ready = ready || at_end;
    std::unique_lock lock(mutex);
    problem = wrong;
    if (!any) {
      changed.wait_for(lock, kIdle, [this] { return stopping; });
    }
    if (stopping) {
      return;
    }
  }
}

Result<std::unique_ptr<EntityBook>> EntityBook::Start(log::EventLog& log,
                                                      const EntityBookOptions& options) {
  auto impl = std::make_unique<Impl>();
  for (std::int32_t partition = 0; partition < options.partitions; ++partition) {
    ALERTSTREAM_ASSIGN_OR_RETURN(
        auto reader, runtime::OutputReader::Open(log, {.log_id = options.log_id,
                                                       .partition = partition,
                                                       .topics = {schemas::Topic::kFacts},
                                                       .read_timeout = kReadTimeout}));
    impl->readers.push_back(std::move(reader));
  }
  auto book = std::unique_ptr<EntityBook>(new EntityBook(std::move(impl)));
  Impl* running = book->impl_.get();
  running->thread = std::thread([running] { running->Run(); });
  return book;
}

EntityBook::EntityBook(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

EntityBook::~EntityBook() { Stop(); }

bool EntityBook::Note(const v1::Fact& fact) { return impl_->Note(fact); }

bool EntityBook::Ready() const { return impl_->ready; }

std::string EntityBook::Problem() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->problem;
}

void EntityBook::Stop() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->changed.notify_all();
  if (impl_->thread.joinable()) {
    impl_->thread.join();
  }
}

}  // namespace alertstream::api
