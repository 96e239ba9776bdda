#include "processor/log/kafka/group_offsets.h"

#include <utility>

#include "processor/base/clock.h"
#include "processor/log/kafka/client.h"

namespace alertstream::log {

struct KafkaGroupOffsets::Impl {
  std::shared_ptr<KafkaHandle> client;
  KafkaQueue queue;
  std::size_t outstanding = 0;
  Status last = Status::Ok();

  // Takes in answers for at most `timeout_ms`, until none is missing.
  void Take(int timeout_ms) {
    const Deadline deadline{std::chrono::milliseconds(timeout_ms)};
    while (outstanding > 0) {
      const KafkaEvent event(rd_kafka_queue_poll(queue.get(), deadline.RemainingMs()));
      if (event == nullptr) {
        return;
      }
      if (rd_kafka_event_type(event.get()) != RD_KAFKA_EVENT_OFFSET_COMMIT) {
        continue;
      }
      --outstanding;
      const auto code = rd_kafka_event_error(event.get());
      last = code == RD_KAFKA_RESP_ERR_NO_ERROR
                 ? Status::Ok()
                 : Status(client->Fail("noting the offsets of group " + GroupOf(client->context()),
                                       code));
    }
  }
};

KafkaGroupOffsets::KafkaGroupOffsets(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

KafkaGroupOffsets::~KafkaGroupOffsets() = default;

Result<std::unique_ptr<KafkaGroupOffsets>> KafkaGroupOffsets::Open(const KafkaLogOptions& options) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto context, MakeKafkaContext(options));
  auto impl = std::make_unique<Impl>();
  // Never a member: it assigns and subscribes nothing, so no rebalance concerns it.
  ALERTSTREAM_ASSIGN_OR_RETURN(
      impl->client, KafkaHandle::Create(context, {.type = RD_KAFKA_CONSUMER,
                                                  .settings = {{"group.id", GroupOf(*context)},
                                                               {"enable.auto.commit", "false"}}}));
  impl->queue.reset(rd_kafka_queue_new(impl->client->get()));
  return std::unique_ptr<KafkaGroupOffsets>(new KafkaGroupOffsets(std::move(impl)));
}

Status KafkaGroupOffsets::Note(std::span<const ReadFrom> positions) {
  impl_->client->Poll();
  impl_->Take(0);
  // A coordinator that does not answer gets no second request.
  if (positions.empty() || impl_->outstanding > 0) {
    return impl_->last;
  }
  const auto& context = impl_->client->context();
  const KafkaPartitionList list(
      rd_kafka_topic_partition_list_new(static_cast<int>(positions.size())));
  for (const auto& [source, offset] : positions) {
    rd_kafka_topic_partition_list_add(list.get(), context.NameOf(source.topic).c_str(),
                                      source.partition)
        ->offset = offset;
  }
  const auto code =
      rd_kafka_commit_queue(impl_->client->get(), list.get(), impl_->queue.get(), nullptr, nullptr);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return impl_->client->Fail("noting the offsets of group " + GroupOf(context), code);
  }
  ++impl_->outstanding;
  return impl_->last;
}

Status KafkaGroupOffsets::Finish(std::chrono::milliseconds timeout) {
  impl_->Take(static_cast<int>(timeout.count()));
  if (impl_->outstanding > 0) {
    return Error(
        ErrorCode::kUnavailable,
        "noting the offsets of group " + GroupOf(impl_->client->context()) + ": no answer in time");
  }
  return impl_->last;
}

}  // namespace alertstream::log
