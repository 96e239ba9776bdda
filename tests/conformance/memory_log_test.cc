#include <gtest/gtest.h>

#include "tests/conformance/log_conformance.h"
#include "tests/support/memory_log_fixture.h"

namespace alertstream::log {

INSTANTIATE_TEST_SUITE_P(Memory, LogConformance,
                         ::testing::Values(LogFixtureParam{.name = "memory",
                                                           .make = MakeMemoryLogFixture}));

}  // namespace alertstream::log
