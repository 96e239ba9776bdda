// JSON text that commands print (schemas/json_object.h).
#pragma once

#include "schemas/json_object.h"

namespace alertstream::cli {

using schemas::JsonList;
using schemas::JsonObject;
using schemas::JsonText;

}  // namespace alertstream::cli
