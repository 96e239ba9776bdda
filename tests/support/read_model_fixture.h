// What a read model is tested with: its tables in a schema, comparisons of two, and a day in the
// life of a shop to fill the log with. Tests only; belongs to one thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "processor/base/result.h"
#include "projections/compare.h"
#include "projections/sql/database.h"
#include "tests/support/runtime_story.h"

namespace alertstream::projections {

// The tables of the read model in a schema that is there and empty.
Status MakeReadModelTables(sql::Session& session, const std::string& schema);

// One number, as whoever owns the tables.
std::int64_t CountOf(sql::Database& database, const char* query);

// What differs between the schema read_model of two databases, one line a table; "" for nothing.
std::string DifferencesOf(sql::Database& found, sql::Database& expected);

// Tenants, triggers and their versions, consents, opt-outs, events that send and that do not,
// attempts, receipts, dead letters and refused changes; decided by `instance` in many batches.
void TellShopDay(runtime::StoryWriter& writer, log::EventLog& log, runtime::Instance& instance,
                 std::string_view tenant);

}  // namespace alertstream::projections
