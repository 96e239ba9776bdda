// One valid record of every payload and account change, with every field set: what the tests of the
// codec start from. Test code only.
#pragma once

#include <string>
#include <vector>

#include "schemas/envelope.pb.h"
#include "schemas/topics.h"

namespace alertstream::schemas {

struct SampleInput {
  std::string name;
  Topic topic;
  std::string key;
  v1::Envelope envelope;
};

// A site event of about 400 bytes.
SampleInput SampleEvent();
std::vector<SampleInput> SampleInputs();

}  // namespace alertstream::schemas
