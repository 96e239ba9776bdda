#include "ops/cli/message_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "schemas/output.pb.h"

namespace alertstream::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

v1::NotificationCommand SampleCommand() {
  v1::NotificationCommand command;
  command.set_notification_id(std::string(16, '\0'));
  command.set_kind(v1::COMMAND_KIND_SEND);
  command.set_tenant("acme");
  command.mutable_to()->set_plain("+254700000001");
  command.mutable_body()->set_plain("your code is 1234");
  return command;
}

TEST(MessageJsonTest, PersonalDataIsMaskedUnlessAskedFor) {
  EXPECT_EQ(MessageJson(SampleCommand()),
            "{\"notification_id\":\"ntf_00000000000000000000000000\",\"kind\":\"send\","
            "\"tenant\":\"acme\",\"to\":\"+254 700 *** 001\",\"body\":\"(17 bytes)\"}");
  const std::string shown = MessageJson(SampleCommand(), PersonalData::kShown);
  EXPECT_THAT(shown, HasSubstr("\"to\":\"+254700000001\""));
  EXPECT_THAT(shown, HasSubstr("your code is 1234"));
}

TEST(MessageJsonTest, PositionsTopicsAndBytesAreReadable) {
  v1::JournalRecord record;
  record.set_log_id("\x01\xAB");
  record.set_kind(v1::JOURNAL_KIND_BATCH);
  auto* input = record.add_inputs();
  input->set_topic(1);
  input->set_next(5);
  record.mutable_skip()->mutable_record()->set_topic(1);
  record.mutable_skip()->mutable_record()->set_offset(9);
  EXPECT_EQ(MessageJson(record),
            "{\"log_id\":\"01ab\",\"kind\":\"batch\",\"inputs\":[{\"topic\":\"site-events\","
            "\"next\":5}],\"skip\":{\"record\":\"site-events@0:9\"}}");
}

TEST(MessageJsonTest, ADecisionRecordHasItsStableForm) {
  v1::DecisionRecord record;
  record.set_event_id(std::string(16, '\0'));
  record.set_tenant("acme");
  record.set_event_type("payment.failed");
  record.set_verdict(v1::EVENT_VERDICT_ACCEPTED);
  record.set_candidates(2);
  record.mutable_event()->set_topic(1);
  record.mutable_event()->set_partition(3);
  record.mutable_event()->set_offset(7);
  auto* decision = record.add_decisions();
  decision->set_id(std::string(16, '\0'));
  decision->set_trigger_id("t");
  decision->set_trigger_version(4);
  decision->set_outcome(v1::OUTCOME_SUPPRESS);
  decision->set_reason(v1::REASON_COOLDOWN);
  auto* gate = decision->add_gates();
  gate->set_gate(v1::GATE_COOLDOWN);
  gate->set_verdict(v1::GATE_VERDICT_STOPPED);
  gate->set_observed(5);
  gate->set_limit(6);
  gate->mutable_source()->set_topic(1);
  const std::string json = DecisionRecordJson(record, "mine");
  EXPECT_THAT(json, HasSubstr("{\"event\":\"evt_00000000000000000000000000\",\"event_id_given\":"
                              "\"mine\",\"tenant\":\"acme\",\"event_type\":\"payment.failed\","
                              "\"verdict\":\"accepted\",\"candidates\":2,\"partition\":3,"
                              "\"offset\":7"));
  EXPECT_THAT(json, HasSubstr("\"trigger\":\"t\",\"version\":4,\"recipient\":null"));
  EXPECT_THAT(json, HasSubstr("\"outcome\":\"suppress\",\"reason\":\"cooldown\","
                              "\"notification\":null"));
  EXPECT_THAT(json, HasSubstr("{\"gate\":\"cooldown\",\"verdict\":\"stopped\",\"observed\":5,"
                              "\"limit\":6,\"source\":\"site-events@0:0\"}"));
  EXPECT_THAT(DecisionRecordJson(record), Not(HasSubstr("event_id_given")));
}

TEST(MessageJsonTest, BytesThatAreNoMessageAreCounted) {
  const schemas::RecordView record{
      .offset = 3, .append_time = {}, .key = "k", .value = "\xFF\xFF", .headers = {}};
  EXPECT_THAT(RecordJson(schemas::Topic::kFacts, 0, record, PersonalData::kMasked),
              HasSubstr("\"key\":\"k\",\"raw_bytes\":2}"));
  EXPECT_EQ(OutputJson(schemas::Topic::kFacts, "\xFF\xFF"), "null");
}

}  // namespace
}  // namespace alertstream::cli
