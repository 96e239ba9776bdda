// Position: how far a partition is projected, as the row of projection_positions that is written in
// the transaction of the rows. Its statements find the table by the session's search_path.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "processor/base/result.h"
#include "processor/base/time.h"
#include "projections/sql/database.h"
#include "schemas/topics.h"

namespace alertstream::projections {

using Offsets = std::map<schemas::Topic, std::int64_t>;

struct Position {
  std::int64_t partition = 0;
  std::string log_id;
  std::int64_t seq = 0;      // 0: nothing is projected yet.
  std::string journal_hash;  // Of the record with that seq.
  std::int64_t journal_offset = -1;
  Offsets inputs;   // Next offsets, of every input topic.
  Offsets outputs;  // Next offsets, of kOutputsRead.
  LogTime log_time{};
};

// {"site-events": 12, ...}, in the order of topics.
std::string OffsetsJson(const Offsets& offsets);
// Topics that there are not, and what is no number, are left out.
Offsets ParseOffsets(std::string_view json);

// Ordered by partition.
Result<std::vector<Position>> ReadPositions(sql::Session& session);
Result<std::optional<Position>> ReadPosition(sql::Session& session, std::int64_t partition);

// Makes the row of a partition of which nothing is projected, unless there is one.
Status AddPosition(sql::Session& session, const Position& position);

// Moves the row from seq `from` of the same log to `to`, and tells whoever listens on
// alertstream_projected once the transaction is committed. Run it first in a transaction: it keeps
// another projector of the partition out. kConflict: the row is not at `from` (any more).
Status MovePosition(sql::Session& session, std::int64_t from, const Position& to);

}  // namespace alertstream::projections
