// Messages of the log as JSON for people and scripts: enums as words, ids in their shown form,
// positions as topic@partition:offset, other bytes in hexadecimal. Personal data is left out unless
// it is asked for. Pure.
#pragma once

#include <google/protobuf/message.h>

#include <string>

#include "schemas/decision.pb.h"
#include "schemas/journal.pb.h"
#include "schemas/record.h"
#include "schemas/topics.h"

namespace alertstream::cli {

enum class PersonalData : std::uint8_t { kMasked, kShown };

// Members in the order of the fields' numbers; fields at their default are left out.
std::string MessageJson(const google::protobuf::Message& message,
                        PersonalData personal = PersonalData::kMasked);

// The stable form of a decision record, which scripts read: {"event","tenant","event_type",
// "verdict","candidates","partition","offset",...,"decisions":[...]}. `given_id`: the producer's
// own id of the event, if it is known.
std::string DecisionRecordJson(const v1::DecisionRecord& record, std::string_view given_id = {});

// The value of a record on an output topic, as tail prints it: DecisionRecordJson, else
// MessageJson; "null" if it is no such message.
std::string OutputJson(schemas::Topic topic, std::string_view value,
                       PersonalData personal = PersonalData::kMasked);

// {"topic","partition","offset","append_time","key","value":{...}}: any record of any topic,
// decoded by the catalogue's message. A value that is no such message has "raw_bytes" instead.
std::string RecordJson(schemas::Topic topic, std::int32_t partition,
                       const schemas::RecordView& record, PersonalData personal);

}  // namespace alertstream::cli
