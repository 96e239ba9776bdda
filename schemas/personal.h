// Reading of Personal, the one message that holds addresses, names, texts and event data. All code
// reads it through Unseal, so that sealing needs no change elsewhere. Pure; used wherever a
// person's data is needed.
#pragma once

#include <string_view>

#include "processor/base/result.h"
#include "schemas/common.pb.h"

namespace alertstream::schemas {

// The plain bytes, valid as long as `personal` is unchanged; "" if nothing was stored. kInvalid for
// sealed data: this version holds no keys.
inline Result<std::string_view> Unseal(const v1::Personal& personal) {
  if (personal.form_case() == v1::Personal::kSealed) [[unlikely]] {
    return Error(ErrorCode::kInvalid, "sealed personal data needs a key that this version has not");
  }
  return std::string_view(personal.plain());
}

}  // namespace alertstream::schemas
