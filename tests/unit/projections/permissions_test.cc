#include <gtest/gtest.h>

#include "projections/consents.h"
#include "projections/opt_outs.h"
#include "projections/recipients.h"
#include "tests/unit/projections/batch_builder.h"

namespace alertstream::projections {
namespace {

// A consent of person r and the record with its evidence.
v1::Envelope& AddConsent(BatchBuilder* builder, std::int64_t offset) {
  v1::Fact& fact = builder->Fact();
  fact.set_actor("usr_ann");
  fact.set_version(5);
  auto* consent = fact.mutable_consent();
  consent->set_recipient_token(IdBytesOf('r'));
  consent->set_channel(v1::CHANNEL_SMS);
  consent->set_message_class(v1::MESSAGE_CLASS_MARKETING);
  consent->set_status(v1::CONSENT_STATUS_GRANTED);
  consent->set_written(true);
  consent->set_source("web_form");
  consent->set_at_us(ToMicros(kNoon) - 10);
  v1::Envelope& envelope = builder->Cause(schemas::Topic::kConsentChanges, offset, &fact);
  auto* change = envelope.mutable_consent_change();
  change->mutable_address()->set_plain("+254 700 000 001");
  change->set_address_kind(v1::ADDRESS_KIND_PHONE);
  change->mutable_evidence()->set_kind("web_form");
  change->mutable_evidence()->set_disclosure_sha256("\x01\x02");
  change->mutable_evidence()->mutable_detail()->set_plain("https://shop.example");
  return envelope;
}

TEST(ConsentsProjectionTest, EvidenceIsKeptWithoutPersonalData) {
  BatchBuilder builder;
  AddConsent(&builder, 12);
  ConsentsProjection consents;
  consents.Fold(builder.batch());
  ASSERT_EQ(consents.made().size(), 1U);
  const ConsentRow& row = consents.made()[0];
  EXPECT_EQ(row.id,
            FormatId(IdKind::kConsent, ConsentId("acme", 3, 12, kNoon - std::chrono::seconds(1))));
  EXPECT_EQ(row.evidence, R"({"kind":"web_form","disclosure_sha256":"0102"})");
  v1::Personal detail;
  ASSERT_TRUE(detail.ParseFromString(*row.detail_sealed));
  EXPECT_EQ(detail.plain(), "https://shop.example");
  EXPECT_EQ(row.message_class, "marketing");
  EXPECT_EQ(row.actor, "usr_ann");
  EXPECT_EQ(row.result, "accepted");
  EXPECT_EQ(row.reject_reason, std::nullopt);
  EXPECT_EQ(row.topic, "consent-changes");
  EXPECT_EQ(row.offset, 12);
  EXPECT_EQ(row.version, 5);
}

TEST(ConsentsProjectionTest, ARejectedConsentIsHistoryToo) {
  BatchBuilder builder;
  AddConsent(&builder, 12);
  auto* fact = const_cast<v1::Fact*>(builder.batch().facts[0]);
  fact->set_result(v1::FACT_RESULT_REJECTED);
  fact->set_reject_reason(v1::REJECT_REASON_OLDER_THAN_PRESENT);
  ConsentsProjection consents;
  consents.Fold(builder.batch());
  EXPECT_EQ(consents.made()[0].result, "rejected");
  EXPECT_EQ(consents.made()[0].reject_reason, "older_than_present");
  RecipientsProjection recipients;
  recipients.Fold(builder.batch());
  EXPECT_EQ(recipients.rows(), 0U);
}

TEST(OptOutsProjectionTest, OneMessageMayOptOutOfSeveralChannels) {
  BatchBuilder builder;
  for (const auto channel : {v1::CHANNEL_SMS, v1::CHANNEL_VOICE}) {
    v1::Fact& fact = builder.Fact();
    fact.mutable_cause()->set_topic(4);
    fact.mutable_cause()->set_offset(8);
    auto* opt_out = fact.mutable_opt_out();
    opt_out->set_recipient_token(IdBytesOf('r'));
    opt_out->set_channel(channel);
    opt_out->set_status(v1::OPT_OUT_STATUS_ACTIVE);
    opt_out->set_by(v1::OPT_OUT_BY_RECIPIENT);
    opt_out->set_reason("keyword");
  }
  OptOutsProjection opt_outs;
  opt_outs.Fold(builder.batch());
  ASSERT_EQ(opt_outs.made().size(), 2U);
  EXPECT_EQ(opt_outs.made()[0].id, 7 << 14);
  EXPECT_EQ(opt_outs.made()[1].id, (7 << 14) + 1);
  EXPECT_EQ(opt_outs.made()[1].channel, "voice");
  EXPECT_EQ(opt_outs.made()[1].topic, "inbound-messages");
  EXPECT_EQ(opt_outs.made()[1].by, "recipient");
}

TEST(RecipientsProjectionTest, AnAddressIsStoredInItsNormalFormAndMasked) {
  BatchBuilder builder;
  AddConsent(&builder, 12);
  RecipientsProjection recipients;
  recipients.Fold(builder.batch());
  ASSERT_EQ(recipients.made().size(), 1U);
  const RecipientRow& row = recipients.made()[0];
  EXPECT_EQ(row.id, FormatId(IdKind::kRecipient, IdBytesOf('r')));
  EXPECT_EQ(row.token, IdBytesOf('r'));
  EXPECT_EQ(row.kind, "phone");
  EXPECT_EQ(row.address_masked, "+254700***001");
  v1::Personal address;
  ASSERT_TRUE(address.ParseFromString(*row.address_sealed));
  EXPECT_EQ(address.plain(), "+254700000001");
  EXPECT_EQ(row.first_seen_at, kNoon);
  EXPECT_EQ(row.last_seen_at, kNoon - std::chrono::hours(12));
}

TEST(RecipientsProjectionTest, OnADayThatIsKnownNothingMovesAndTheNextDayMovesTheRow) {
  RecipientsProjection recipients;
  for (const auto& [seq, hours] : {std::pair(7, 0), {8, 11}, {9, 12}, {10, 13}}) {
    BatchBuilder builder(seq, kNoon + std::chrono::hours(hours));
    AddConsent(&builder, seq);
    recipients.Fold(builder.batch());
  }
  ASSERT_EQ(recipients.made().size(), 1U);
  EXPECT_EQ(recipients.made()[0].first_seen_at, kNoon);
  EXPECT_EQ(recipients.made()[0].last_seen_at, kNoon + std::chrono::hours(12));
  EXPECT_EQ(recipients.made()[0].seq, 9);
}

TEST(RecipientsProjectionTest, ATokenAloneHasNoAddressUntilOneIsSeen) {
  BatchBuilder builder;
  AddConsent(&builder, 12).mutable_consent_change()->clear_address();
  RecipientsProjection recipients;
  recipients.Fold(builder.batch());
  EXPECT_EQ(recipients.made()[0].address_masked, std::nullopt);
  BatchBuilder later(8);
  AddConsent(&later, 13);
  recipients.Fold(later.batch());
  EXPECT_EQ(recipients.made()[0].address_masked, "+254700***001");
  EXPECT_EQ(recipients.made()[0].seq, 7);
}

}  // namespace
}  // namespace alertstream::projections
