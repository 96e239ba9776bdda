#include "tests/support/forged_batch.h"

#include <gtest/gtest.h>

#include "processor/journal/chain.h"
#include "processor/runtime/batch_record.h"

namespace alertstream::runtime {

void ForgeBatch(Story& story, Instance& owner, const engine::Effects& effects,
                std::uint32_t engine_version) {
  PartitionState& state = owner.state();
  const InputSpans nothing;
  v1::JournalRecord record;
  StampRecord(state, {.epoch = state.tail().owner_epoch, .nonce = state.tail().owner_nonce},
              state.tail().now, engine_version, &record);
  record.set_kind(v1::JOURNAL_KIND_BATCH);
  DescribeBatch(state.positions(), nothing, effects, state.map().SealBatch(), &record);
  Transaction transaction;
  transaction.Build(state, nothing, effects, record);
  const auto appended = story.log.Append(transaction.records(), kStoryTimeout);
  ASSERT_TRUE(appended.ok()) << appended.error().message();
  auto tail = journal::Continue(state.tail(), record, transaction.journal_bytes(),
                                appended.value().back().offset, story.log_id(), state.partition());
  ASSERT_TRUE(tail.ok()) << tail.error().message();
  state.Accept(record, std::move(tail).value());
}

}  // namespace alertstream::runtime
