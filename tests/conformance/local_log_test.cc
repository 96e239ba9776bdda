#include <gtest/gtest.h>

#include "tests/conformance/log_conformance.h"
#include "tests/support/local_log_fixture.h"

namespace alertstream::log {

INSTANTIATE_TEST_SUITE_P(Local, LogConformance,
                         ::testing::Values(LogFixtureParam{.name = "local",
                                                           .make = MakeLocalLogFixture}));

}  // namespace alertstream::log
