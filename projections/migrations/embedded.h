// The files of migrations/ as they were when the program was built; made by CMake.
#pragma once

#include <span>

#include "projections/migrations/migrations.h"

namespace alertstream::migrations {

std::span<const MigrationFile> EmbeddedFiles();

}  // namespace alertstream::migrations
