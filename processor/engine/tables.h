// One hash over every table that is compiled into the engine and decides something: it stands in
// each journal record, so that a replay by a program with other tables is noticed. Pure.
#pragma once

#include <string>

#include "processor/base/crypto.h"

namespace alertstream::engine {

// SHA-256 of DumpTables(), computed once a process.
const Digest& TablesHash();

// Telephone codes, reply keywords and their folding, and the GSM-7 alphabet, as text: one entry a
// line, each table under a line with its name and version.
std::string DumpTables();

}  // namespace alertstream::engine
