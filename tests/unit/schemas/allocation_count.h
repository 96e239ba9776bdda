// How often this program has asked for memory with new. A test that links allocation_count.cc gets
// a counting operator new; for tests of code that must not allocate once it is warm.
#pragma once

#include <cstddef>

namespace alertstream::schemas {

std::size_t AllocationCount();

}  // namespace alertstream::schemas
