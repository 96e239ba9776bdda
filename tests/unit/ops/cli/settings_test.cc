#include "ops/cli/settings.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/ops/cli/scratch_directory.h"

namespace alertstream::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kKey = "abababababababababababababababababababababababababababababababab";

class SettingsTest : public ::testing::Test {
 protected:
  SettingsTest() { input_.default_files = {scratch_ / "alertstream.toml", scratch_ / "etc.toml"}; }

  Settings Resolved() {
    auto settings = ResolveSettings(input_);
    EXPECT_TRUE(settings.ok()) << settings.error().message();
    return settings.ok() ? std::move(settings).value() : Settings();
  }

  std::string Problems() {
    const auto settings = ResolveSettings(input_);
    if (settings.ok()) {
      return "ok";
    }
    EXPECT_EQ(settings.error().code(), ErrorCode::kInvalid);
    return settings.error().message();
  }

  ScratchDirectory scratch_;
  SettingsInput input_;
};

TEST_F(SettingsTest, TheTableIsWellFormedAndItsDefaultsAreValid) {
  std::set<std::string> names;
  for (const SettingSpec& spec : SettingTable()) {
    EXPECT_TRUE(names.insert(EnvironmentName(spec.key)).second) << spec.key;
    EXPECT_FALSE(spec.help.empty()) << spec.key;
    EXPECT_EQ(spec.type == SettingType::kChoice, !spec.choices.empty()) << spec.key;
  }
  const Settings settings = Resolved();
  EXPECT_EQ(settings.Text(Setting::kLog), "local");
  EXPECT_EQ(settings.Integer(Setting::kPartitions), 4);
  EXPECT_EQ(settings.Integer(Setting::kRuntimeCacheBytes), 128 << 20);
  EXPECT_EQ(settings.Duration(Setting::kRuntimeDrainTimeout), std::chrono::seconds(10));
  EXPECT_TRUE(settings.Bool(Setting::kLocalSync));
  EXPECT_FALSE(settings.Secret(Setting::kTokenKey).has_value());
  EXPECT_EQ(settings.origin(Setting::kLog), "default");
  EXPECT_EQ(settings.file(), "");
}

TEST_F(SettingsTest, FlagsBeatEnvironmentBeatsFileBeatsDefaults) {
  const std::string path = scratch_.Write("alertstream.toml",
                                          "data_dir = \"file\"\n"
                                          "tenant = \"file\"\n"
                                          "partitions = 8\n"
                                          "[metrics]\n"
                                          "port = 1\n");
  scratch_.Write("etc.toml", "instance = \"not read: the first file wins\"");
  input_.environment = {{"ALERTSTREAM_TENANT", "env"}, {"ALERTSTREAM_METRICS_PORT", "2"}};
  input_.flags = {{"metrics.port", "3"}};
  const Settings settings = Resolved();
  EXPECT_EQ(settings.Integer(Setting::kMetricsPort), 3);
  EXPECT_EQ(settings.source(Setting::kMetricsPort), SettingSource::kFlag);
  EXPECT_EQ(settings.origin(Setting::kMetricsPort), "flag");
  EXPECT_EQ(settings.Text(Setting::kTenant), "env");
  EXPECT_EQ(settings.origin(Setting::kTenant), "ALERTSTREAM_TENANT");
  EXPECT_EQ(settings.Integer(Setting::kPartitions), 8);
  EXPECT_EQ(settings.origin(Setting::kPartitions), path + ":3");
  EXPECT_EQ(settings.Text(Setting::kInstance), "main");
  EXPECT_EQ(settings.source(Setting::kInstance), SettingSource::kDefault);
  EXPECT_EQ(settings.file(), path);
}

TEST_F(SettingsTest, ANamedFileReplacesTheDefaultOnes) {
  scratch_.Write("alertstream.toml", "tenant = \"default\"");
  input_.environment = {{"ALERTSTREAM_CONFIG", scratch_.Write("e.toml", "tenant = \"env\"")}};
  EXPECT_EQ(Resolved().Text(Setting::kTenant), "env");
  input_.config_file = scratch_.Write("f.toml", "tenant = \"flag\"");
  EXPECT_EQ(Resolved().Text(Setting::kTenant), "flag");
  input_.config_file = scratch_ / "none.toml";
  EXPECT_THAT(Problems(), EndsWith("none.toml does not exist"));
}

TEST_F(SettingsTest, AProfileGoesBeforeTheRestOfTheFile) {
  const std::string path = scratch_.Write("alertstream.toml",
                                          "[profile.staging]\n"
                                          "tenant = \"staging\"\n"
                                          "kafka.topic_prefix = \"s-\"\n"
                                          "[profile.live]\n"
                                          "tenant = \"live\"\n"
                                          "[kafka]\n"
                                          "topic_prefix = \"all-\"\n"
                                          "replication = 3\n");
  EXPECT_EQ(Resolved().Text(Setting::kTenant), "");
  EXPECT_EQ(Resolved().Text(Setting::kKafkaTopicPrefix), "all-");
  input_.environment = {{"ALERTSTREAM_PROFILE", "live"}};
  EXPECT_EQ(Resolved().Text(Setting::kTenant), "live");
  input_.profile = "staging";
  const Settings settings = Resolved();
  EXPECT_EQ(settings.Text(Setting::kTenant), "staging");
  EXPECT_EQ(settings.origin(Setting::kTenant), path + ":2");
  EXPECT_EQ(settings.Text(Setting::kKafkaTopicPrefix), "s-");
  EXPECT_EQ(settings.Integer(Setting::kKafkaReplication), 3);
  input_.environment = {{"ALERTSTREAM_TENANT", "env"}};
  EXPECT_EQ(Resolved().Text(Setting::kTenant), "env");

  input_.profile = "stagin";
  EXPECT_THAT(Problems(), HasSubstr("there is no [profile.stagin]; it has live, staging"));
  input_.default_files = {};
  EXPECT_EQ(Problems(), "profile: stagin needs a configuration file");
}

TEST_F(SettingsTest, EveryProfileIsLookedAt) {
  scratch_.Write("alertstream.toml", "[profile.a]\ntennant = \"x\"\n[profile.b]\npartitions = 2\n");
  input_.profile = "b";
  EXPECT_THAT(Problems(), HasSubstr("alertstream.toml:2: there is no setting 'tennant'"));
}

TEST_F(SettingsTest, SecretsComeFromTheEnvironmentOrAFile) {
  input_.environment = {{"ALERTSTREAM_TOKEN_KEY", kKey}};
  const Settings direct = Resolved();
  ASSERT_TRUE(direct.Secret(Setting::kTokenKey).has_value());
  EXPECT_EQ(direct.Secret(Setting::kTokenKey)->Reveal(), std::string(32, '\xab'));
  EXPECT_EQ(direct.Shown(Setting::kTokenKey), "(set)");
  EXPECT_EQ(direct.Shown(Setting::kKafkaSaslPassword), "");

  input_.environment = {
      {"ALERTSTREAM_TOKEN_KEY_FILE", scratch_.Write("key", std::string(kKey) + "\n")}};
  EXPECT_EQ(Resolved().Secret(Setting::kTokenKey)->Reveal(), std::string(32, '\xab'));
  EXPECT_EQ(Resolved().origin(Setting::kTokenKey), "ALERTSTREAM_TOKEN_KEY_FILE");

  input_.environment = {};
  const std::string password = scratch_.Write("password", "pass word\r\n");
  scratch_.Write("alertstream.toml",
                 "[kafka]\nsecurity_protocol = \"sasl_ssl\"\nsasl_username = \"u\"\n"
                 "sasl_password_file = \"" +
                     password + "\"\n");
  EXPECT_EQ(Resolved().Secret(Setting::kKafkaSaslPassword)->Reveal(), "pass word");
}

TEST_F(SettingsTest, MistakesInTheFileAreNamedWithTheirLine) {
  struct Case {
    std::string_view toml;
    std::string_view problem;
  };
  for (const Case& c : {
           Case{"\ntenat = \"x\"", ":2: there is no setting 'tenat'; did you mean 'tenant'?"},
           Case{"[kafka]\ntopic_prefx = \"x\"", "did you mean 'kafka.topic_prefix'?"},
           Case{"topic_prefix = \"x\"", "there is no setting 'topic_prefix'"},
           Case{"partitions = \"8\"", ":1: partitions: expected a whole number, 1 to 10000"},
           Case{"partitions = 0", "expected a whole number, 1 to 10000"},
           Case{"partitions = 10001", "expected a whole number, 1 to 10000"},
           Case{"partitions = 8.5", "expected a whole number"},
           Case{"take_over = \"true\"", "take_over: expected true or false"},
           Case{"take_over = 1", "take_over: expected true or false"},
           Case{"data_dir = 5", "data_dir: expected a text"},
           Case{"data_dir = [\"a\"]", "data_dir: expected a text"},
           Case{"data_dir = \"\"", "data_dir: expected a directory"},
           Case{"tenant = \"A b\"", "tenant: expected a tenant id"},
           Case{"log = \"kafka\"", "log: expected local or kafka://HOST:PORT"},
           Case{"[log_output]\nformat = \"xml\"", "expected one of text, json"},
           Case{"[runtime]\ncache_bytes = \"1MB\"", "expected bytes, such as 64MiB"},
           Case{"[runtime]\ncache_bytes = 100", "expected bytes, such as 64MiB, 1048576 to"},
           Case{"[runtime]\ndrain_timeout = 10", "expected a duration, 1s to 10m"},
           Case{"[runtime]\ndrain_timeout = \"10ms\"", "expected a duration, 1s to 10m"},
           Case{"[runtime]\nassigned = \"0-4\"", "numbers and ranges from 0 to 3"},
           Case{"[kafka]\nsasl_password = \"p4ss\"", "name that one as kafka.sasl_password_file"},
           Case{"token_key_file = \"/nowhere/key\"", "token_key: /nowhere/key does not exist"},
           Case{"token_key_file = \"/\"", "token_key: / is a directory"},
           Case{"[kafka]\ntopic_prefix_file = \"x\"", "there is no setting"},
           Case{"[kafka]\nsecurity_protocol = \"sasl_ssl\"", "needs sasl_username and sasl_pass"},
           Case{"[kafka]\nsasl_username = \"u\"", "need security_protocol sasl_ssl"},
           Case{"[kafka]\nssl_key_location = \"k\"", "need each other"},
           Case{"tenant = ", ":1:"},
           Case{"a = 1\na = 2", ":2:"},
       }) {
    scratch_.Write("alertstream.toml", c.toml);
    const std::string problems = Problems();
    EXPECT_THAT(problems, HasSubstr(std::string(c.problem))) << c.toml;
    EXPECT_THAT(problems, Not(HasSubstr("p4ss")));
  }
}

TEST_F(SettingsTest, MistakesInEnvironmentAndFlagsAreNamed) {
  input_.environment = {{"ALERTSTREAM_TENNANT", "x"}};
  EXPECT_EQ(Problems(),
            "ALERTSTREAM_TENNANT: there is no such setting; did you mean 'ALERTSTREAM_TENANT'?");
  input_.environment = {{"ALERTSTREAM_PARTITIONS", "many"}};
  EXPECT_EQ(Problems(), "ALERTSTREAM_PARTITIONS: partitions: expected a whole number, 1 to 10000");
  input_.environment = {{"ALERTSTREAM_TOKEN_KEY", "not-a-key"}};
  EXPECT_THAT(Problems(), HasSubstr("expected 32 bytes"));
  EXPECT_THAT(Problems(), Not(HasSubstr("not-a-key")));
  input_.environment = {{"ALERTSTREAM_TOKEN_KEY", kKey}, {"ALERTSTREAM_TOKEN_KEY_FILE", "/x"}};
  EXPECT_THAT(Problems(), HasSubstr("are both set"));
  input_.environment = {{"ALERTSTREAM_TOKEN_KEY_FILE", scratch_.Write("empty", "\n")}};
  EXPECT_THAT(Problems(), HasSubstr("is empty"));
  input_.environment = {{"ALERTSTREAM_TEST_KAFKA", "127.0.0.1:1"}};
  EXPECT_EQ(Problems(), "ok");
  input_.environment = {};
  input_.flags = {{"kafka.replicaton", "3"}};
  EXPECT_EQ(Problems(),
            "flag: there is no setting 'kafka.replicaton'; did you mean 'kafka.replication'?");
  input_.flags = {{"token_key", kKey}};
  EXPECT_THAT(Problems(), HasSubstr("set ALERTSTREAM_TOKEN_KEY or ALERTSTREAM_TOKEN_KEY_FILE"));
}

TEST_F(SettingsTest, EveryProblemIsListedAtOnce) {
  scratch_.Write("alertstream.toml", "partitions = 0\nx = 1\n");
  input_.flags = {{"log", "nowhere"}};
  const std::string problems = Problems();
  EXPECT_EQ(std::count(problems.begin(), problems.end(), '\n'), 2) << problems;
}

TEST_F(SettingsTest, AFileThatIsTooLargeIsRefused) {
  scratch_.Write("alertstream.toml", std::string(kSettingsFileBytesMax + 1, '#'));
  EXPECT_THAT(Problems(), HasSubstr("is larger than 1048576 bytes"));
}

TEST(LogTargetTest, IsLocalOrAListOfBrokers) {
  ASSERT_TRUE(ParseLogTarget("local").ok());
  EXPECT_FALSE(ParseLogTarget("local").value().kafka);
  const auto kafka = ParseLogTarget("kafka://a:9092,[::1]:9093");
  ASSERT_TRUE(kafka.ok());
  EXPECT_TRUE(kafka.value().kafka);
  EXPECT_EQ(kafka.value().bootstrap, "a:9092,[::1]:9093");
  for (const char* text : {"", "Local", "kafka://", "kafka://a", "kafka://a:", "kafka://a:0",
                           "kafka://a:65536", "kafka://:9092", "kafka://a:1,", "kafka://a:1,b",
                           "kafka://u@a:1", "http://a:1", "kafka://a:1/x"}) {
    const auto target = ParseLogTarget(text);
    ASSERT_FALSE(target.ok()) << text;
    EXPECT_EQ(target.error().code(), ErrorCode::kInvalid);
  }
}

TEST(AssignedTest, NumbersAndRangesNameEachPartitionOnce) {
  EXPECT_THAT(ParseAssigned("all", 3).value(), ElementsAre(0, 1, 2));
  EXPECT_THAT(ParseAssigned("none", 3).value(), ElementsAre());
  EXPECT_THAT(ParseAssigned("8,0-2", 9).value(), ElementsAre(0, 1, 2, 8));
  for (const char* text : {"", ",", "0,", "3", "-1", "2-1", "0-3", "0,0", "0-1,1", "a", "0 ,1",
                           "0--1", "99999999999999999999"}) {
    const auto assigned = ParseAssigned(text, 3);
    ASSERT_FALSE(assigned.ok()) << text;
    EXPECT_EQ(assigned.error().code(), ErrorCode::kInvalid);
    EXPECT_THAT(assigned.error().message(), HasSubstr("from 0 to 2"));
  }
}

}  // namespace
}  // namespace alertstream::cli
