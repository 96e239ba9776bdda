#include "projections/position.h"

#include <fmt/format.h>

#include "processor/base/safeguards.h"
#include "schemas/json.h"
#include "schemas/json_object.h"

namespace alertstream::projections {
namespace {

#define ALERTSTREAM_POSITION_COLUMNS \
  "partition, log_id, seq, journal_hash, journal_offset, inputs::text, outputs::text, log_time"

constexpr sql::Statement kReadAll = {"projections.positions",
                                     "SELECT " ALERTSTREAM_POSITION_COLUMNS
                                     " FROM projection_positions ORDER BY partition"};

constexpr sql::Statement kReadOne = {"projections.position",
                                     "SELECT " ALERTSTREAM_POSITION_COLUMNS
                                     " FROM projection_positions WHERE partition = $1::int"};

constexpr sql::Statement kAdd = {
    "projections.position.add",
    "INSERT INTO projection_positions (partition, log_id, seq, journal_hash, journal_offset, "
    "inputs,"
    " outputs, log_time, updated_at)"
    " VALUES ($1::int, $2::bytea, $3::bigint, $4::bytea, $5::bigint, $6::jsonb, $7::jsonb,"
    " $8::timestamptz, now()) ON CONFLICT (partition) DO NOTHING"};

constexpr sql::Statement kMove = {
    "projections.position.move",
    "UPDATE projection_positions SET seq = $3::bigint, journal_hash = $4::bytea,"
    " journal_offset = $5::bigint, inputs = $6::jsonb, outputs = $7::jsonb,"
    " log_time = $8::timestamptz, updated_at = now()"
    " WHERE partition = $1::int AND log_id = $2::bytea AND seq = $9::bigint"};

constexpr sql::Statement kNotify = {"projections.position.notify",
                                    "SELECT pg_notify('alertstream_projected', $1)"};

sql::Params ParamsOf(const Position& position) {
  sql::Params params;
  params.Integer(position.partition)
      .Bytes(position.log_id)
      .Integer(position.seq)
      .Bytes(position.journal_hash)
      .Integer(position.journal_offset)
      .Text(OffsetsJson(position.inputs))
      .Text(OffsetsJson(position.outputs))
      .Time(position.log_time);
  return params;
}

Position PositionOf(const sql::Rows& rows, std::size_t row) {
  return {.partition = rows.Integer(row, 0),
          .log_id = rows.Bytes(row, 1),
          .seq = rows.Integer(row, 2),
          .journal_hash = rows.Bytes(row, 3),
          .journal_offset = rows.Integer(row, 4),
          .inputs = ParseOffsets(rows.Text(row, 5)),
          .outputs = ParseOffsets(rows.Text(row, 6)),
          .log_time = rows.Time(row, 7)};
}

}  // namespace

std::string OffsetsJson(const Offsets& offsets) {
  schemas::JsonObject object;
  for (const auto& [topic, offset] : offsets) {
    object.Integer(schemas::NameOf(topic), offset);
  }
  return object.Take();
}

Offsets ParseOffsets(std::string_view json) {
  Offsets offsets;
  schemas::JsonDocument document;
  if (!document.Parse(json).ok()) {
    return offsets;
  }
  for (auto member = document.root().first_child(); member; member = member->next_sibling()) {
    const auto topic = schemas::TopicByName(member->name());
    if (topic && member->type() == schemas::JsonType::kInt) {
      offsets[*topic] = member->AsInt();
    }
  }
  return offsets;
}

Result<std::vector<Position>> ReadPositions(sql::Session& session) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows rows, session.Run(kReadAll));
  std::vector<Position> positions;
  positions.reserve(rows.size());
  for (std::size_t row = 0; row < rows.size(); ++row) {
    positions.push_back(PositionOf(rows, row));
  }
  return positions;
}

Result<std::optional<Position>> ReadPosition(sql::Session& session, std::int64_t partition) {
  sql::Params params;
  params.Integer(partition);
  ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows rows, session.Run(kReadOne, params));
  return rows.size() == 0 ? std::optional<Position>() : std::optional(PositionOf(rows, 0));
}

Status AddPosition(sql::Session& session, const Position& position) {
  ALERTSTREAM_RETURN_IF_ERROR(session.Run(kAdd, ParamsOf(position)));
  return Status::Ok();
}

Status MovePosition(sql::Session& session, std::int64_t from, const Position& to) {
  sql::Params params = ParamsOf(to);
  params.Integer(from);
  ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows moved, session.Run(kMove, params));
  if (Holds(Safeguard::kPositionRow) && moved.affected() != 1) {
    return Error(ErrorCode::kConflict,
                 fmt::format("partition {}: the tables are not at journal seq {} any more",
                             to.partition, from));
  }
  sql::Params payload;
  payload.Text(fmt::format("{}:{}", to.partition, to.seq));
  ALERTSTREAM_RETURN_IF_ERROR(session.Run(kNotify, payload));
  return Status::Ok();
}

}  // namespace alertstream::projections
