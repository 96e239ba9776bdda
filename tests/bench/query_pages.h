// The stage `pages` of the query benchmark: lists of tables with millions of rows, through the API.
#pragma once

#include <cstddef>
#include <string>

#include "ops/postgres/cluster.h"

namespace alertstream::bench {

struct PagesOptions {
  std::size_t rows = 0;      // Of each table, one table at a time.
  std::size_t requests = 0;  // Of each kind of page.
  std::size_t connections = 0;
  std::string list;  // One list only; "" for all.
};

// Fills one table after the other of an empty cluster and prints what its pages took; a table is
// emptied before the next one is filled. True if the goal is met. REQUIRES: this process has one
// thread.
bool RunPages(const postgres::Cluster& cluster, const PagesOptions& options);

}  // namespace alertstream::bench
