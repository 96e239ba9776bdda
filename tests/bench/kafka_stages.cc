#include "tests/bench/kafka_stages.h"

#include <filesystem>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "processor/base/clock.h"
#include "processor/engine/state_keys.h"
#include "tests/bench/deciders.h"
#include "tests/support/kafka_admin.h"

namespace alertstream::bench {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

KafkaScratch::KafkaScratch(const std::string& broker, std::int32_t partitions) {
  options_.bootstrap = broker;
  options_.topic_prefix = fmt::format("bench-{}-", ToMicros(SystemClock().Now()));
  directory_ = (fs::temp_directory_path() / "alertstream-bench-XXXXXX").string();
  if (mkdtemp(directory_.data()) == nullptr) {
    Die("no temporary directory can be made");
  }
  log_ = Must(log::OpenKafkaLog(options_));
  MakeTopics(*log_, partitions);
}

KafkaScratch::~KafkaScratch() {
  log_.reset();
  Must(log::DeleteKafkaTopics(options_));
  fs::remove_all(directory_);
}

LiveProcessor::LiveProcessor(KafkaScratch& scratch, std::int32_t partitions,
                             const WorkloadSize& size, OnBatch on_batch)
    : on_batch_(std::move(on_batch)), memory_(state::StoreMemory::Create(kStoreBytes)) {
  static_cast<void>(Deciders(scratch.log(), scratch.directory()).ApplyRules(size));
  runtime::ProcessorOptions options;
  options.partitions.resize(static_cast<std::size_t>(partitions));
  std::iota(options.partitions.begin(), options.partitions.end(), 0);
  options.token_key = TokenKey();
  options.task.instance = "bench";
  options.cache_bytes = kMapBytes;
  options.open_store = [this, directory = scratch.directory()](std::int32_t partition) {
    return state::OpenRocksDbStore(directory + "/state-" + std::to_string(partition),
                                   engine::IsHistoryKey, memory_);
  };
  options.on_batch = [this](std::int32_t, const runtime::BatchReport& report) {
    decided_ += report.inputs;
    sends_ += report.effects->commands.count();
    ++batches_;
    if (on_batch_ != nullptr) {
      on_batch_(report);
    }
  };
  processor_ = std::make_unique<runtime::Processor>(scratch.log(), SystemClock(), options);
  processor_->Start();
  const auto deadline = SystemClock().SinceBoot() + kTimeout;
  while (!processor_->Ready()) {
    if (SystemClock().SinceBoot() > deadline) {
      Die("the processor does not get ready: " + processor_->Status()[0].error);
    }
    SystemClock().SleepFor(10ms);
  }
}

void LiveProcessor::Check() const {
  for (const auto& partition : processor_->Status()) {
    if (!partition.error.empty()) {
      Die(fmt::format("partition {}: {}", partition.partition, partition.error));
    }
  }
}

}  // namespace alertstream::bench
