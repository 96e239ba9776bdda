// What an error of the server's means to us: the one table from SQLSTATE to ErrorCode. Pure. The
// text of the server, which quotes values, goes no further; names of constraints, tables and
// columns do.
#pragma once

#include <string>
#include <string_view>

#include "processor/base/result.h"

namespace alertstream::postgres {

struct Refusal {
  Error error;
  // The session cannot be used any more: the server has ended it, or its prepared statements mean
  // what they meant before a migration.
  bool session_lost = false;
};

// `what`: the statement's name. `text`: the server's message in libpq's verbose form.
Refusal RefusalOf(std::string_view what, std::string_view sqlstate, std::string_view text);

// The first line of such a message, for errors in a script of ours; "" where the class of the
// SQLSTATE says that it may quote values.
std::string PrimaryMessage(std::string_view sqlstate, std::string_view text);

}  // namespace alertstream::postgres
