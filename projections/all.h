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
struct TableKey {
  std::string_view table;
  std::string_view key;  // "tenant_id, id"
};
std::span<const TableKey> AllTables();

}  // namespace alertstream::projections
