#include "api/control/entity_book.h"

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "processor/base/crypto.h"
#include "processor/runtime/output_reader.h"
#include "schemas/topics.h"

namespace alertstream::api {
namespace {

constexpr std::chrono::milliseconds kIdle{50};
constexpr std::chrono::milliseconds kReadTimeout{2'000};

struct InForce {
  std::uint64_t version = 0;
  Digest digest = {};
};

}  // namespace

struct EntityBook::Impl {
  void Run();
  Result<bool> TakeIn(runtime::OutputReader* reader);
  void Note(const v1::Fact& fact);

  std::vector<std::unique_ptr<runtime::OutputReader>> readers;
  mutable std::mutex mutex;
  std::condition_variable changed;
  std::map<EntityName, InForce> entities;
  std::string problem;
  bool stopping = false;
  std::atomic<bool> ready{false};
  std::thread thread;
};

void EntityBook::Impl::Note(const v1::Fact& fact) {
  const auto name = EntityOf(fact);
  if (!name || fact.result() != v1::FACT_RESULT_ACCEPTED) {
    return;
  }
  const Digest digest = Sha256::Of(EntityBytes(fact));
  const std::lock_guard lock(mutex);
  InForce& entity = entities[*name];
  if (fact.version() >= entity.version) {
    entity = {.version = fact.version(), .digest = digest};
  }
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

std::optional<std::uint64_t> EntityBook::VersionOf(const EntityName& name,
                                                   std::string_view bytes) const {
  const Digest digest = Sha256::Of(bytes);
  const std::lock_guard lock(impl_->mutex);
  const auto found = impl_->entities.find(name);
  if (found == impl_->entities.end() || found->second.digest != digest) {
    return std::nullopt;
  }
  return found->second.version;
}

void EntityBook::Note(const v1::Fact& fact) { impl_->Note(fact); }

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
