// What must hold for every Envelope that a decoder accepted. Used by the fuzzers of the codec.
#pragma once

#include <cstddef>
#include <string_view>

#include "processor/base/check.h"
#include "schemas/input_codec.h"

namespace alertstream::schemas {

// It is written, read back from a record without headers, and written the same.
inline void CheckRoundTrip(Topic topic, std::string_view key, const v1::Envelope& envelope) {
  const auto bytes = EncodeEnvelope(envelope);
  ALERTSTREAM_CHECK(bytes.ok());
  v1::Envelope again;
  const auto fault = DecodeInput(topic, RecordView{0, LogTime{}, key, bytes.value(), {}}, &again);
  ALERTSTREAM_CHECK(!fault);
  const auto same = EncodeEnvelope(again);
  ALERTSTREAM_CHECK(same.ok() && same.value() == bytes.value());
}

// A fault says where and why, and fits into a dead letter.
inline void CheckFault(const DecodeFault& fault) {
  constexpr std::size_t kDetailBytesMax = 1024;
  ALERTSTREAM_CHECK(fault.stage != v1::DEAD_LETTER_STAGE_UNSPECIFIED);
  ALERTSTREAM_CHECK(fault.reason != v1::DEAD_LETTER_REASON_UNSPECIFIED);
  ALERTSTREAM_CHECK(!fault.detail.empty() && fault.detail.size() <= kDetailBytesMax);
}

}  // namespace alertstream::schemas
