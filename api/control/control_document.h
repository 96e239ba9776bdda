// ControlDocument: a change as the control endpoint takes it; the reverse of ParseControl. Pure.
// Used by whoever has an Envelope and a server: the command line.
#pragma once

#include <string>

#include "processor/base/result.h"
#include "schemas/envelope.pb.h"

namespace alertstream::api {

// One element of `events`. kInvalid: the control endpoint has no form for this payload.
Result<std::string> ControlDocument(const v1::Envelope& envelope);

}  // namespace alertstream::api
