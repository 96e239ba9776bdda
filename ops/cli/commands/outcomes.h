// What became of appended records: reads the outputs of all partitions through their journals, for
// everything there is or for the records of this command. Used by every command that reads outputs
// or waits for an answer. Belongs to one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "ops/cli/commands/session.h"
#include "processor/runtime/output_reader.h"
#include "schemas/decision.pb.h"
#include "schemas/envelope.pb.h"
#include "schemas/output.pb.h"

namespace alertstream::cli {

// Calls `visit` for every accepted batch that the log holds now, partition by partition, with the
// outputs on `topics`. The views end with the call.
using VisitBatch =
    std::function<Status(std::int32_t partition, const runtime::ReleasedBatch& batch)>;
Status ForEachBatch(const Session& session, const std::vector<schemas::Topic>& topics,
                    const VisitBatch& visit);
// The same for one partition.
Status ForEachBatchOf(const Session& session, std::int32_t partition,
                      const std::vector<schemas::Topic>& topics, const VisitBatch& visit);

// What the fold answered to one record.
struct RecordOutcome {
  bool done = false;
  std::string unsent;      // Not empty: why it got no answer, though others before it did.
  bool unchanged = false;  // By a server: in force already, or seen before.
  std::string id;          // By a server: of what was changed; else "".
  std::vector<v1::DecisionRecord> decisions;  // The parts of an event, in order.
  std::vector<v1::NotificationCommand> commands;
  std::vector<v1::Fact> facts;
  std::vector<v1::DeadLetter> dead_letters;  // At most one.
};

class OutcomeWatcher {
 public:
  // Sees what is decided from now on. `with_commands`: also the commands of an event.
  static Result<std::unique_ptr<OutcomeWatcher>> Open(const Session& session, bool with_commands);

  // Asks for the answer to a record, which is written to `*outcome`.
  void Expect(schemas::Topic topic, std::int32_t partition, std::int64_t offset,
              RecordOutcome* outcome);
  std::size_t pending() const { return expected_.size(); }

  // Takes in what is there now, without waiting; true if there was anything.
  Result<bool> Poll();
  // Polls until at most `left` answers are missing. kUnavailable: none came for `silence`;
  // kConflict: the processor cannot go on without a person; its message says why.
  Status WaitUntil(std::size_t left, std::chrono::milliseconds silence);

 private:
  using Key = std::tuple<std::uint32_t, std::uint32_t, std::int64_t>;

  explicit OutcomeWatcher(const Session& session) : session_(session) {}
  Status Take(const runtime::ReleasedBatch& batch);
  RecordOutcome* Find(const v1::Position& position);

  const Session& session_;
  std::vector<std::unique_ptr<runtime::OutputReader>> readers_;
  std::map<Key, RecordOutcome*> expected_;
  std::vector<Key> done_;  // Of the batch at hand; its other outputs still belong to them.
};

// A record that a command appends.
struct Change {
  schemas::Topic topic;
  std::int32_t partition;
  std::string key;
  v1::Envelope envelope;
};

// The head of an envelope made by this program: trust SYSTEM, the session's actor, ingested now.
v1::Envelope NewEnvelope(const Session& session, std::string_view tenant, std::string_view type);
// The change of a tenant, on its partition.
Change TenantChange(const Session& session, schemas::Topic topic, std::string_view tenant,
                    v1::Envelope envelope);

// What a server said, as the log would have said it: facts, a dead letter, or the verdict on an
// event; not done and `unsent` if it was not asked. kUnavailable: it is pending.
Result<RecordOutcome> OutcomeOf(const ControlResult& result, schemas::Topic topic);

// Appends the changes, or sends them to the server that owns the log, and waits for their answers,
// which come in the same order. kInvalid: a change is malformed; nothing was appended.
Result<std::vector<RecordOutcome>> Submit(const Session& session,
                                          const std::vector<Change>& changes);

}  // namespace alertstream::cli
