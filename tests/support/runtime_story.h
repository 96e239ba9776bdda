// Story: what tests of the runtime are told with. A StoryWriter appends tenants, rules, events and
// permissions to any log; an Instance is a started owner of one partition; ReadOutputs and Audit
// look at what became of it. Belongs to one thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "processor/base/clock.h"
#include "processor/base/crypto.h"
#include "processor/log/event_log.h"
#include "processor/log/memory/memory_log.h"
#include "processor/runtime/horizon.h"
#include "processor/runtime/identity.h"
#include "processor/runtime/output_reader.h"
#include "processor/runtime/partition_state.h"
#include "processor/runtime/replayer.h"
#include "processor/runtime/task.h"
#include "processor/state/memory/memory_store.h"
#include "schemas/decision.pb.h"
#include "schemas/envelope.pb.h"
#include "schemas/output.pb.h"
#include "tests/support/manual_clock.h"

namespace alertstream::runtime {

inline constexpr std::chrono::milliseconds kStoryTimeout{20'000};
HmacKey StoryKey();

class StoryWriter {
 public:
  // Creates topics and markers if there are none.
  StoryWriter(log::EventLog& log, std::int32_t partitions);

  const LogIdentity& identity() const { return identity_; }

  // Where a record goes unless said otherwise: the partition of its key.
  std::int32_t HomeOf(std::string_view tenant) const;

  log::Appended Raw(schemas::Topic topic, std::string_view key, std::string_view value,
                    std::int32_t partition, std::span<const log::Header> headers = {});
  log::Appended Put(schemas::Topic topic, v1::Envelope envelope, std::string_view tenant,
                    std::optional<std::int32_t> partition = std::nullopt);

  // An active tenant with the plan `basic` of a million sends and a default sender.
  void Tenant(std::string_view tenant);
  // An enabled SMS trigger on events of type `order`: one transactional message to data.phone.
  // `change` alters it before it is appended.
  void Trigger(std::string_view tenant, std::string_view id,
               const std::function<void(v1::Trigger*)>& change = nullptr);
  // Tenant and the trigger `paid`.
  void Shop(std::string_view tenant);

  // An event of type `order`. `id` may be empty.
  log::Appended Event(std::string_view tenant, std::string_view id, std::string_view data,
                      std::optional<std::int32_t> partition = std::nullopt);
  // {"phone": phone, "amount": 12}
  log::Appended Order(std::string_view tenant, std::string_view id,
                      std::string_view phone = "+254712345678",
                      std::optional<std::int32_t> partition = std::nullopt);
  log::Appended OptOut(std::string_view tenant, std::string_view phone = "+254712345678");
  log::Appended Consent(std::string_view tenant, v1::ConsentStatus status,
                        std::string_view phone = "+254712345678");
  log::Appended Inbound(std::string_view tenant, std::string_view text,
                        std::string_view phone = "+254712345678");
  log::Appended EngineActivate(std::uint32_t version, std::int32_t partition = 0);
  log::Appended SkipRequested(schemas::Topic topic, std::int64_t offset,
                              std::string_view reason = "known bad", std::int32_t partition = 0);

 private:
  log::EventLog& log_;
  LogIdentity identity_;
};

struct InstanceOptions {
  std::int32_t partition = 0;
  std::int32_t partitions = 1;
  std::size_t cache_bytes = 48 << 20;
  TaskOptions task = {.instance = "one"};
};

class Instance {
 public:
  static Result<std::unique_ptr<Instance>> Start(log::EventLog& log, Clock& clock,
                                                 std::string_view log_id, state::StateStore& store,
                                                 const InstanceOptions& options = {});

  // Asks the horizon and runs one batch.
  Result<std::optional<BatchReport>> RunOnce();
  // Batches until there is nothing to do now; errors end it.
  Status RunUntilQuiet();

  PartitionTask& task() { return *task_; }
  PartitionState& state() { return *state_; }
  PermissionHorizon& horizon() { return *horizon_; }
  std::string RootHex() { return ToHex(state_->map().root().ToBytes()); }
  bool ask_horizon = true;

 private:
  std::unique_ptr<PartitionState> state_;
  std::unique_ptr<PermissionHorizon> horizon_;
  std::unique_ptr<PartitionTask> task_;
};

// Everything that the journal of a partition releases.
struct Outputs {
  std::vector<v1::JournalRecord> journal;
  std::vector<v1::NotificationCommand> commands;
  std::vector<v1::DecisionRecord> decisions;
  std::vector<v1::Fact> facts;
  std::vector<v1::DeadLetter> dead_letters;
  std::uint64_t dropped = 0;

  // How many first parts of decision records each event's offset has.
  std::map<std::int64_t, int> DecisionsByEvent() const;
  // "CLAIM 1", "BATCH 2", ...: kind and seq.
  std::vector<std::string> Kinds() const;
};
Result<Outputs> ReadOutputs(log::EventLog& log, std::string_view log_id,
                            std::int32_t partition = 0);

// The partition's whole history decided again in a fresh store, outputs compared.
struct AuditReport {
  Status status;
  std::optional<Mismatch> mismatch;
  ReplayProgress progress;
  std::string root_hex;
  journal::Tail tail;
};
struct AuditOptions {
  std::int32_t partition = 0;
  std::int32_t partitions = 1;
  std::uint32_t engine_version_max = engine::kEngineVersion;
  std::size_t cache_bytes = 48 << 20;
  bool check_outputs = true;
  engine::Fold::Probe probe = nullptr;
};
AuditReport Audit(log::EventLog& log, std::string_view log_id, const AuditOptions& options = {});

// A memory log with markers, a clock that a test moves, and a writer.
struct Story {
  explicit Story(std::int32_t partitions_in = 1);

  // Starts an instance on `store`; the test fails if it does not start.
  std::unique_ptr<Instance> Start(state::StateStore& on, InstanceOptions options = {});
  std::unique_ptr<Instance> Start() { return Start(store); }
  Outputs Read(std::int32_t partition = 0);
  // The audit agrees, and ends with this instance's root.
  void ExpectAuditAgrees(Instance& instance, AuditOptions options = {});
  const std::string& log_id() const { return writer.identity().log_id; }

  const std::int32_t partitions;
  ManualClock clock;
  log::MemoryEventLog log{log::MemoryLogOptions{.clock = clock}};
  StoryWriter writer{log, partitions};
  state::MemoryStore store;
};

}  // namespace alertstream::runtime
