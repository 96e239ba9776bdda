#include "projections/batch.h"

#include <fmt/format.h>

#include <string>

#include "schemas/input_codec.h"

namespace alertstream::projections {
namespace {

constexpr std::size_t kArenaBlockBytes = 1 << 20;

google::protobuf::ArenaOptions ArenaShape() {
  google::protobuf::ArenaOptions options;
  options.start_block_size = 64 << 10;
  options.max_block_size = kArenaBlockBytes;
  return options;
}

}  // namespace

const ConsumedInput* Batch::CauseOf(const v1::Fact& fact) const {
  if (!fact.has_cause()) {
    return nullptr;
  }
  const auto found =
      inputs.find({static_cast<schemas::Topic>(fact.cause().topic()), fact.cause().offset()});
  return found == inputs.end() ? nullptr : &found->second;
}

BatchDecoder::BatchDecoder() : arena_(ArenaShape()) {}

template <typename Message>
Status BatchDecoder::Add(const runtime::ReleasedRecord& record, std::vector<const Message*>* out) {
  auto* message = google::protobuf::Arena::CreateMessage<Message>(&arena_);
  if (!message->ParseFromArray(record.record.value.data(),
                               static_cast<int>(record.record.value.size()))) {
    return Error(ErrorCode::kCorrupt,
                 fmt::format("{} partition {} offset {}: no {}", schemas::NameOf(record.topic),
                             batch_.partition, record.record.offset, message->GetTypeName()));
  }
  out->push_back(message);
  return Status::Ok();
}

Result<const Batch*> BatchDecoder::Decode(const runtime::ReleasedBatch& released,
                                          std::span<const InputRecords> inputs) {
  batch_ = Batch();
  arena_.Reset();
  batch_.partition = released.journal.partition();
  batch_.seq = static_cast<std::int64_t>(released.journal.seq());
  batch_.now = FromMicros(released.journal.now_us());
  for (const runtime::ReleasedRecord& record : released.outputs) {
    switch (record.topic) {
      case schemas::Topic::kDecisions:
        ALERTSTREAM_RETURN_IF_ERROR(Add(record, &batch_.decisions));
        break;
      case schemas::Topic::kNotificationCommands:
        ALERTSTREAM_RETURN_IF_ERROR(Add(record, &batch_.commands));
        break;
      case schemas::Topic::kFacts:
        ALERTSTREAM_RETURN_IF_ERROR(Add(record, &batch_.facts));
        break;
      case schemas::Topic::kDeadLetters:
        ALERTSTREAM_RETURN_IF_ERROR(Add(record, &batch_.dead_letters));
        break;
      case schemas::Topic::kSiteEvents:
      case schemas::Topic::kConsentChanges:
      case schemas::Topic::kOptOuts:
      case schemas::Topic::kInboundMessages:
      case schemas::Topic::kDeliveryReceipts:
      case schemas::Topic::kDeliveryAttempts:
      case schemas::Topic::kAccountChanges:
      case schemas::Topic::kJournal:
      case schemas::Topic::kOwnership:
        break;
    }
  }
  if (batch_.facts.size() >= (std::size_t{1} << kFactIndexBits)) {
    return Error(ErrorCode::kCorrupt, fmt::format("journal of partition {} seq {}: more facts than "
                                                  "a batch can have",
                                                  batch_.partition, batch_.seq));
  }
  for (const InputRecords& input : inputs) {
    for (const log::RecordView& record : input.records) {
      auto* envelope = google::protobuf::Arena::CreateMessage<v1::Envelope>(&arena_);
      if (!schemas::DecodeInput(input.topic, record, envelope, released.journal.engine_version())) {
        batch_.inputs[{input.topic, record.offset}] = {envelope, record.append_time};
      }
    }
  }
  return &batch_;
}

}  // namespace alertstream::projections
