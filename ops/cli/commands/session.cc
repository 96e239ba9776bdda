#include "ops/cli/commands/session.h"

#include <ostream>

namespace alertstream::cli {

Status Print(const Streams& io, const Table& table) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const std::string text, table.Render(io.render));
  io.out << text;
  return Status::Ok();
}

}  // namespace alertstream::cli
