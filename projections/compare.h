// CompareTables: whether two schemas hold the same rows in every table of the projections. Reads
// page by page, so it needs no memory of the tables' size. Used by `verify` and by tests.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "processor/base/result.h"
#include "projections/sql/database.h"

namespace alertstream::projections {

// The first row of a table that differs. No values but the key's: ids, times and numbers.
struct TableDifference {
  std::string table;
  std::string key;   // "tenant_id=acme id=ntf_..."
  std::string what;  // "differs in status, timeline", "is missing", "should not be there"
};

struct TableComparison {
  std::uint64_t rows = 0;                    // That were compared.
  std::vector<TableDifference> differences;  // At most one a table, in their order.
};

// `found` is what the tables hold, `expected` what they should; each session has a transaction open
// and finds its tables by its search_path. `progress` is called now and then; may be empty.
using CompareProgress = std::function<void(std::string_view table, std::uint64_t rows)>;
Result<TableComparison> CompareTables(sql::Session& found, sql::Session& expected,
                                      const CompareProgress& progress = nullptr);

}  // namespace alertstream::projections
