#include "ops/cli/commands/session.h"

#include <ostream>

namespace alertstream::cli {

Status Print(const Streams& io, const Table& table) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const std::string text, table.Render(io.render));
  io.out << text;
  return Status::Ok();
}

Status PrintList(const Streams& io, Table table, std::size_t rows_max) {
  const std::size_t cut = table.Truncate(rows_max);
  ALERTSTREAM_RETURN_IF_ERROR(Print(io, table));
  if (cut > 0) {
    io.err << table.size() << " shown, " << cut << " more left out (--limit)\n";
  }
  return Status::Ok();
}

}  // namespace alertstream::cli
