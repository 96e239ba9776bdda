// All projections, in the order in which their rows are written. Used by the partition projector.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "projections/projection.h"

namespace alertstream::projections {

std::vector<std::unique_ptr<Projection>> AllProjections();

// The tables that they fill, each with the columns of its primary key; what `verify` compares.
struct KeyColumn {
  std::string_view name;
  std::string_view type;
};
struct TableKey {
  std::string_view table;
  std::vector<KeyColumn> key;
};
std::span<const TableKey> AllTables();

}  // namespace alertstream::projections
