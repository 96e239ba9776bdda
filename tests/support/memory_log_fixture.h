// The memory log under the conformance suite.
#pragma once

#include <memory>

#include "tests/conformance/log_conformance.h"

namespace alertstream::log {

std::unique_ptr<LogFixture> MakeMemoryLogFixture();

}  // namespace alertstream::log
