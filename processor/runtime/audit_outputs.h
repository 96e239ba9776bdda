// AuditOutputs: what the output topics of one partition hold, taken batch by batch and compared
// with what was decided again. A difference is found with the record on both sides, and the reader
// goes on behind the batch: the stamps say which batch a record belongs to. Used by audits; belongs
// to one thread.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "processor/engine/effects.h"
#include "processor/log/event_log.h"
#include "processor/runtime/sources.h"
#include "schemas/journal.pb.h"

namespace alertstream::runtime {

// One record of a batch that is not the same on both sides.
struct OutputDifference {
  schemas::Topic topic{};
  std::size_t index = 0;               // Among the batch's records of the topic.
  std::int64_t offset = -1;            // Of what is stored; -1: nothing is.
  std::optional<std::string> stored;   // Values.
  std::optional<std::string> decided;  // Again.
};

// More of one batch are not kept: the first is shown, and of the rest only the tenants matter.
inline constexpr std::size_t kOutputDifferencesMax = 10'000;

struct TakenOutputs {
  std::vector<OutputDifference> differences;  // By topic, then index.
  // What is stored has the counts and roots that the journal names. Only told if there are
  // differences or the caller asked for it.
  bool as_recorded = true;
};

class AuditOutputs {
 public:
  // The next offset to take of each topic, index as in engine::kOutputTopics.
  using Positions = std::array<std::int64_t, engine::kOutputTopics.size()>;

  struct Options {
    std::int32_t partition = 0;
    // The first batch that will be taken; what is stored of earlier ones is passed over, once.
    std::uint64_t seq = 1;
    std::optional<Positions> from = {};  // Nothing: they are looked for.
    std::chrono::milliseconds read_timeout{10'000};
    std::function<bool()> cancelled = {};  // Ends what waits with kUnavailable. May be empty.
  };
  static Result<std::unique_ptr<AuditOutputs>> Open(log::EventLog& log, const Options& options);

  // The batch of `recorded`, which was decided again as `effects`. kUnavailable: the log cannot be
  // read now. `with_roots`: also tell as_recorded if nothing differs.
  Result<TakenOutputs> Take(const v1::JournalRecord& recorded, const engine::Effects& effects,
                            bool with_roots);

  // Behind what was taken.
  Positions positions() const;

 private:
  struct Batch;
  AuditOutputs(log::EventLog& log, Options options) : log_(log), options_(std::move(options)) {}
  Status Gather(std::size_t source, Batch* batch);
  Status TakeTopic(std::size_t source, const v1::JournalRecord& recorded,
                   const engine::OutputBuffer& decided, bool with_roots, TakenOutputs* taken);
  Result<bool> FetchMore(std::size_t source);

  log::EventLog& log_;
  const Options options_;
  std::optional<Sources> sources_;  // As engine::kOutputTopics.
  // False: what is left of earlier batches is passed over.
  std::array<bool, engine::kOutputTopics.size()> begun_{};
};

}  // namespace alertstream::runtime
