// Gate recipient: whom to tell. The address is normalised here, from the fold's own pinned tables,
// and from then on the person is a token. Pure.
#pragma once

#include <string>
#include <string_view>

#include "processor/base/result.h"
#include "schemas/common.pb.h"

namespace alertstream::engine {

// The kind of address a channel sends to.
v1::AddressKind AddressKindOf(v1::Channel channel);

// `raw` in the one form that tokens are made from: E.164 for telephones; for e-mail the text with
// the domain in lower case; push tokens as they are. kInvalid says what is wrong without the
// address.
Result<std::string> NormalizeAddress(v1::AddressKind kind, std::string_view raw);

}  // namespace alertstream::engine
