// NoLog: stands for the log in a command that reaches a server over HTTP and nothing else. Every
// question to it fails with kUnavailable. Thread-safe.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "processor/log/event_log.h"

namespace alertstream::cli {

class NoLog final : public log::EventLog {
 public:
  std::string Describe() const override { return "none"; }
  bool ExclusiveWriter() const override { return false; }
  Result<std::vector<log::TopicInfo>> DescribeTopics(std::chrono::milliseconds) override {
    return Why();
  }
  Status ApplyTopics(const log::TopicPlan&, std::chrono::milliseconds) override { return Why(); }
  Result<std::int32_t> Partitions(std::chrono::milliseconds) override { return Why(); }
  Result<std::unique_ptr<log::Reader>> OpenReader(std::span<const log::ReadFrom>) override {
    return Why();
  }
  Result<std::vector<std::int64_t>> Ends(std::span<const log::TopicPartition>, log::EndKind,
                                         std::chrono::milliseconds) override {
    return Why();
  }
  Result<std::vector<log::Appended>> Append(std::span<const log::NewRecord>,
                                            std::chrono::milliseconds) override {
    return Why();
  }
  Result<std::unique_ptr<log::Transactor>> OpenTransactor(const std::string&) override {
    return Why();
  }

 private:
  static Error Why() {
    return {ErrorCode::kUnavailable,
            "this needs the log itself, and the log of the settings (--log, --data-dir) cannot be "
            "read here"};
  }
};

}  // namespace alertstream::cli
