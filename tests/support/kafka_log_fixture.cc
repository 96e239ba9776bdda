#include "tests/support/kafka_log_fixture.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "processor/base/clock.h"
#include "processor/log/kafka/client.h"
#include "processor/log/kafka/topics.h"
#include "processor/log/kafka/transactor.h"
#include "tests/support/kafka_admin.h"

namespace alertstream::log {
namespace {

constexpr const char* kPrefix = "alertstream-test-";

class KafkaOpenTransaction final : public OpenTransaction {
 public:
  explicit KafkaOpenTransaction(std::unique_ptr<KafkaTransactor> transactor)
      : transactor_(std::move(transactor)) {}
  Status Commit() override { return transactor_->Finish(Deadline(kLogTimeout)); }
  Status Abort() override { return transactor_->Abort(Deadline(kLogTimeout)); }

 private:
  std::unique_ptr<KafkaTransactor> transactor_;
};

class KafkaLogFixture final : public LogFixture {
 public:
  explicit KafkaLogFixture(KafkaLogOptions options) : options_(std::move(options)) {}
  ~KafkaLogFixture() override {
    const auto deleted = DeleteKafkaTopics(options_);
    EXPECT_TRUE(deleted.ok()) << deleted.error().message();
  }

  Result<std::unique_ptr<EventLog>> Open() override { return OpenKafkaLog(options_); }

  std::unique_ptr<OpenTransaction> Begin(EventLog& /*log*/, const std::string& id,
                                         std::span<const NewRecord> records) override {
    auto transactor = MakeKafkaTransactor(options_, id);
    if (!transactor.ok()) {
      ADD_FAILURE() << transactor.error().message();
      return nullptr;
    }
    auto status = transactor.value()->Init(kLogTimeout);
    if (status.ok()) {
      status = transactor.value()->Write(records, Deadline(kLogTimeout));
    }
    if (!status.ok()) {
      ADD_FAILURE() << status.error().message();
      return nullptr;
    }
    return std::make_unique<KafkaOpenTransaction>(std::move(transactor).value());
  }

 private:
  const KafkaLogOptions options_;
};

std::string FreshPrefix() {
  static std::atomic<int> number = 0;
  return kPrefix + std::to_string(getpid()) + "-" +
         std::to_string(ToMicros(SystemClock().Now()) % 1'000'000'000) + "-" +
         std::to_string(++number) + "-";
}

// The directory of jars that hold the command; the broker's script keeps one a version.
std::string FindJars() {
  auto root = KafkaOfEnvironment("ALERTSTREAM_KAFKA_LIBS");
  if (root.empty()) {
    root = ALERTSTREAM_SOURCE_DIR "/build/kafka-libs";
  }
  std::error_code ignored;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root, ignored)) {
    if (entry.path().filename().string().starts_with("kafka_2.13-3.")) {
      return entry.path().parent_path().string();
    }
  }
  return root;
}

}  // namespace

std::string KafkaOfEnvironment(const char* variable) {
  const char* value = std::getenv(variable);  // NOLINT(concurrency-mt-unsafe): nobody sets any.
  return value == nullptr ? "" : value;
}

KafkaLogOptions FreshKafkaOptions(const std::string& bootstrap) {
  KafkaLogOptions options;
  options.bootstrap = bootstrap;
  options.instance = "conformance";
  options.topic_prefix = FreshPrefix();
  return options;
}

Result<SecureKafka> FreshSecureKafkaOptions(const std::string& client_env) {
  ALERTSTREAM_ASSIGN_OR_RETURN(auto env, ReadEnvFile(client_env));
  SecureKafka kafka{.processor = FreshKafkaOptions(env["KAFKA_BOOTSTRAP"]), .admin = {}};
  auto& settings = kafka.processor.settings;
  settings["security.protocol"] = env["KAFKA_SECURITY_PROTOCOL"];
  settings["ssl.ca.location"] = env["KAFKA_CA"];
  settings["sasl.mechanisms"] = env["KAFKA_SASL_MECHANISM"];
  kafka.admin = kafka.processor;
  settings["sasl.username"] = env["KAFKA_USER"];
  ALERTSTREAM_ASSIGN_OR_RETURN(settings["sasl.password"],
                               ReadSecretFile(env["KAFKA_PASSWORD_FILE"]));
  kafka.admin.settings["sasl.username"] = env["KAFKA_ADMIN_USER"];
  ALERTSTREAM_ASSIGN_OR_RETURN(kafka.admin.settings["sasl.password"],
                               ReadSecretFile(env["KAFKA_ADMIN_PASSWORD_FILE"]));
  static const Status granted = [&] {
    auto admin = kafka.admin;
    admin.topic_prefix = kPrefix;
    return GrantKafkaRights(admin, env["KAFKA_USER"], FindJars());
  }();
  ALERTSTREAM_RETURN_IF_ERROR(granted);
  return kafka;
}

std::unique_ptr<LogFixture> MakeKafkaLogFixture(const KafkaLogOptions& options) {
  return std::make_unique<KafkaLogFixture>(options);
}

}  // namespace alertstream::log
