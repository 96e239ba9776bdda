#include "tests/support/memory_log_fixture.h"

#include <utility>

#include "processor/base/clock.h"
#include "processor/log/memory/memory_log.h"

namespace alertstream::log {
namespace {

class MemoryOpenTransaction final : public OpenTransaction {
 public:
  explicit MemoryOpenTransaction(MemoryEventLog::Open open) : open_(std::move(open)) {}
  Status Commit() override { return open_.Commit(); }
  Status Abort() override { return open_.Abort(); }

 private:
  MemoryEventLog::Open open_;
};

class MemoryLogFixture final : public LogFixture {
 public:
  Result<std::unique_ptr<EventLog>> Open() override {
    return std::unique_ptr<EventLog>(log_.Share());
  }

  std::unique_ptr<OpenTransaction> Begin(EventLog& /*log*/, const std::string& id,
                                         std::span<const NewRecord> records) override {
    auto open = log_.Begin(id, records);
    if (!open.ok()) {
      ADD_FAILURE() << open.error().message();
      return nullptr;
    }
    return std::make_unique<MemoryOpenTransaction>(std::move(open).value());
  }

  bool InjectUnknownCommit(EventLog& /*log*/, const std::string& id, UnknownCommit what) override {
    log_.InjectCommitFault(id, what == UnknownCommit::kApplied ? CommitFault::kUnknownAppliedLater
                                                               : CommitFault::kUnknownAbortedLater);
    return true;
  }

 private:
  MemoryEventLog log_{MemoryLogOptions{.clock = SystemClock()}};
};

}  // namespace

std::unique_ptr<LogFixture> MakeMemoryLogFixture() { return std::make_unique<MemoryLogFixture>(); }

}  // namespace alertstream::log
