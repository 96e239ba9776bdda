#include "ops/identity/keys_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>

#include "processor/base/clock.h"
#include "tests/unit/ops/cli/scratch_directory.h"

namespace alertstream::identity {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kGood = R"([[key]]
id = "shop"
kind = "publishable"
key = "as_pk_0123456789abcdef"
tenant = "acme"
site = "shop"
origins = ["https://shop.example"]

[[key]]
id = "server"
kind = "secret"
key = "as_sk_0123456789abcdef"
tenant = "acme"
signing_secrets = ["0123456789abcdef0123", "abcdef0123456789abcd"]
allow_body_only = true
events_per_second = 50
burst = 7

[[key]]
id = "ops"
kind = "operator"
key = "as_op_0123456789abcdef"

[[account]]
provider = "twilio"
name = "main"
account_sid = "AC00000000000000000000000000000001"
auth_token_files = ["token"]
base_url = "http://127.0.0.1:9000"
public_url = "https://alerts.example"
sends_per_second = 2.5

[[number]]
provider = "twilio"
account = "main"
number = "+15550006789"
tenant = "acme"

[[tenant]]
id = "acme"
events_per_second = 200.5
)";

class KeysFileTest : public ::testing::Test {
 protected:
  void Write(const std::string& name, const std::string& content, ::mode_t mode = 0600) {
    ASSERT_EQ(::chmod(scratch_.Write(name, content).c_str(), mode), 0);
  }
  Result<std::unique_ptr<KeysFile>> Open(std::chrono::milliseconds every = {}) {
    return KeysFile::Open(
        {.path = scratch_ / "keys.toml",
         .look_every = every,
         .on_reload = [this](const Status& status) { (status.ok() ? good_ : bad_).fetch_add(1); }});
  }

  cli::ScratchDirectory scratch_;
  std::atomic<int> good_{0};
  std::atomic<int> bad_{0};
};

TEST_F(KeysFileTest, AnswersBothPorts) {
  Write("keys.toml", kGood);
  Write("token", "fedcba98765432100123\n");
  const auto opened = Open();
  ASSERT_TRUE(opened.ok()) << opened.error().message();
  const KeysFile& keys = *opened.value();

  const auto secret = keys.FindKey("as_sk_0123456789abcdef");
  ASSERT_NE(secret, nullptr);
  EXPECT_EQ(secret->id, "server");
  EXPECT_EQ(secret->kind, api::KeyKind::kSecret);
  EXPECT_EQ(secret->tenant, "acme");
  EXPECT_TRUE(secret->allow_body_only);
  EXPECT_EQ(secret->own_rate, (api::EventRate{.per_second = 50, .burst = 7}));
  ASSERT_EQ(secret->signing_secrets.size(), 2U);
  EXPECT_EQ(secret->signing_secrets[1].Sign("x"), HmacKey("abcdef0123456789abcd").Sign("x"));
  ASSERT_NE(keys.FindKey("as_pk_0123456789abcdef"), nullptr);
  EXPECT_EQ(keys.FindKey("as_pk_0123456789abcdef")->site, "shop");
  EXPECT_EQ(keys.FindKey("as_pk_0123456789abcdef")->own_rate, std::nullopt);
  ASSERT_NE(keys.FindKey("as_op_0123456789abcdef"), nullptr);
  EXPECT_EQ(keys.FindKey("as_sk_0123456789abcdeF"), nullptr);
  EXPECT_EQ(keys.FindKey(""), nullptr);

  EXPECT_EQ(keys.RateOf("acme"), (api::EventRate{.per_second = 200.5, .burst = 401}));
  EXPECT_EQ(keys.RateOf("beta"), api::EventRate());

  EXPECT_TRUE(keys.OriginAllowed("https://shop.example"));
  EXPECT_FALSE(keys.OriginAllowed("https://shop.example.evil"));

  EXPECT_EQ(keys.TenantOfNumber("twilio", "main", "+15550006789"), "acme");
  EXPECT_EQ(keys.TenantOfNumber("twilio", "other", "+15550006789"), std::nullopt);
  EXPECT_TRUE(keys.HasNumber("twilio", "+15550006789"));
  EXPECT_FALSE(keys.HasNumber("twilio", "+15550006780"));

  const auto account = keys.Find("twilio", "main");
  ASSERT_NE(account, nullptr);
  EXPECT_EQ(account->base_url, "http://127.0.0.1:9000");
  EXPECT_EQ(account->sends_per_second, 2.5);
  ASSERT_EQ(account->auth_tokens.size(), 1U);
  EXPECT_EQ(account->auth_tokens[0].Reveal(), "fedcba98765432100123");
  EXPECT_EQ(keys.Find("twilio", "other"), nullptr);
  EXPECT_EQ(keys.All().size(), 1U);
  const auto webhook = keys.FindWebhookAccount("twilio", "main");
  ASSERT_NE(webhook, nullptr);
  EXPECT_EQ(webhook->public_url, "https://alerts.example");
  EXPECT_EQ(webhook->auth_tokens.size(), 1U);
}

TEST_F(KeysFileTest, AFileThatOthersMayReadIsRefusedWithTheCommandThatMendsIt) {
  Write("keys.toml", kGood, 0640);
  Write("token", "fedcba98765432100123");
  auto opened = Open();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code(), ErrorCode::kDenied);
  EXPECT_THAT(opened.error().message(), HasSubstr("chmod 600 " + (scratch_ / "keys.toml")));

  Write("keys.toml", kGood);
  Write("token", "fedcba98765432100123", 0604);
  opened = Open();
  ASSERT_FALSE(opened.ok());
  EXPECT_THAT(opened.error().message(), HasSubstr("chmod 600 " + (scratch_ / "token")));
}

TEST_F(KeysFileTest, AMissingFileIsNotFound) {
  const auto opened = Open();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code(), ErrorCode::kNotFound);
}

TEST_F(KeysFileTest, EveryProblemIsListedWithItsLineAndWithoutAnySecret) {
  struct Case {
    const char* from;
    const char* to;
    const char* expected;
  };
  const Case cases[] = {
      {"origins = [", "origin = [", ":7: key: a name that is not known"},
      {"https://shop.example", "https://Shop.example/x", ":7: key.origins: expected"},
      {"kind = \"publishable\"", "kind = \"public\"", ":3: key.kind: expected publishable"},
      {"as_pk_0123456789abcdef", "as_sk_9123456789abcdef", ":4: key.key: expected as_pk_"},
      {"as_pk_0123456789abcdef", "as_pk_1", ":4: key.key: expected as_pk_"},
      {"id = \"server\"", "id = \"shop\"", ":10: key.id: another key has this id"},
      {"tenant = \"acme\"", "tenant = \"A c\"", ":5: key.tenant: expected a tenant id"},
      {"\"0123456789abcdef0123\"", "\"tooshort\"", ":14: key.signing_secrets: expected secrets"},
      {"allow_body_only = true", "allow_body_only = 1", ":15: key.allow_body_only: expected true"},
      {"events_per_second = 50", "events_per_second = 0", ":16: key.events_per_second"},
      {"burst = 7", "burst = 0", ":17: key.burst: expected a whole number"},
      {"key = \"as_op_0123456789abcdef\"", "key = \"as_op_0123456789abcdef\"\ntenant = \"acme\"",
       ":23: key.tenant: an operator key is for all tenants"},
      {"provider = \"twilio\"", "provider = \"pigeon\"", ":25: account.provider: expected twilio"},
      {"base_url = \"http://", "base_url = \"ftp://", ":29: account.base_url: expected"},
      {"public_url = \"https://alerts.example\"", "", "account.public_url: expected"},
      {"[\"token\"]", "[\"none\"]", ":28: account.auth_token_files: "},
      {"account = \"main\"", "account = \"mine\"", ":35: number.account: there is no [[account]]"},
      {"[[tenant]]\nid = \"acme\"", "[[tenant]]\nid = \"A c\"",
       ":40: tenant.id: expected a tenant"},
      {"200.5", "-1", ":41: tenant.events_per_second: expected a number"},
      {"200.5", "200.5\n[[tenant]]\nid = \"acme\"", ":43: tenant.id: the tenant stands here twice"},
      {"[[number]]", "[[phone]]", ":33: a name that is not known"},
      {"[[number]]", "[[number]", "not valid TOML here"},
  };
  Write("token", "fedcba98765432100123");
  for (const Case& test : cases) {
    std::string text = kGood;
    const std::size_t at = text.find(test.from);
    ASSERT_NE(at, std::string::npos) << test.from;
    text.replace(at, std::string(test.from).size(), test.to);
    Write("keys.toml", text);
    const auto opened = Open();
    ASSERT_FALSE(opened.ok()) << test.to;
    EXPECT_EQ(opened.error().code(), ErrorCode::kInvalid);
    EXPECT_THAT(opened.error().message(), HasSubstr(test.expected)) << test.to;
    EXPECT_THAT(opened.error().message(), Not(HasSubstr("123456789"))) << test.to;
  }
}

TEST_F(KeysFileTest, TheSameKeyOrNumberTwiceIsAProblemEach) {
  std::string text = kGood;
  text += "[[key]]\nid = \"again\"\nkind = \"operator\"\nkey = \"as_op_0123456789abcdef\"\n";
  text += "[[number]]\nprovider = \"twilio\"\naccount = \"main\"\nnumber = \"+15550006789\"\n";
  text += "tenant = \"beta\"\n";
  Write("keys.toml", text);
  Write("token", "fedcba98765432100123");
  const auto opened = Open();
  ASSERT_FALSE(opened.ok());
  EXPECT_THAT(opened.error().message(), HasSubstr("key.key: another entry has this key"));
  EXPECT_THAT(opened.error().message(), HasSubstr("stands here twice"));
}

TEST_F(KeysFileTest, AChangeIsTakenAsAWholeAndABrokenOneKeepsWhatWasInForce) {
  Write("keys.toml", kGood);
  Write("token", "fedcba98765432100123");
  const auto opened = Open(std::chrono::milliseconds(5));
  ASSERT_TRUE(opened.ok());
  const KeysFile& keys = *opened.value();
  const auto wait = [](const auto& condition) {
    Clock& clock = SystemClock();
    const auto end = clock.SinceBoot() + std::chrono::seconds(10);
    while (!condition() && clock.SinceBoot() < end) {
      clock.SleepFor(std::chrono::milliseconds(2));
    }
    return condition();
  };

  Write("keys.toml", "[[key]]\n");
  ASSERT_TRUE(wait([this] { return bad_ > 0; }));
  EXPECT_NE(keys.FindKey("as_sk_0123456789abcdef"), nullptr);

  std::string text = kGood;
  text.replace(text.find("as_sk_0123456789abcdef"), 22, "as_sk_fedcba9876543210");
  Write("keys.toml", text);
  ASSERT_TRUE(wait([&] { return keys.FindKey("as_sk_fedcba9876543210") != nullptr; }));
  EXPECT_EQ(keys.FindKey("as_sk_0123456789abcdef"), nullptr);

  Write("token", "00001111222233334444");
  EXPECT_TRUE(wait([&] {
    return keys.Find("twilio", "main")->auth_tokens[0].Reveal() == "00001111222233334444";
  }));
}

// No more files can be opened while it lives.
class NoMoreFiles {
 public:
  NoMoreFiles() {
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
    ::rlimit none = before_;
    none.rlim_cur = 0;
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  }
  ~NoMoreFiles() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  NoMoreFiles(const NoMoreFiles&) = delete;
  NoMoreFiles& operator=(const NoMoreFiles&) = delete;

 private:
  ::rlimit before_{};
};

TEST_F(KeysFileTest, AFileThatCannotBeReadForAWhileIsTriedAgain) {
  Write("keys.toml", kGood);
  Write("token", "fedcba98765432100123");
  const auto opened = Open(std::chrono::milliseconds(5));
  ASSERT_TRUE(opened.ok());
  const KeysFile& keys = *opened.value();
  const auto wait = [](const auto& condition) {
    Clock& clock = SystemClock();
    const auto end = clock.SinceBoot() + std::chrono::seconds(10);
    while (!condition() && clock.SinceBoot() < end) {
      clock.SleepFor(std::chrono::milliseconds(2));
    }
    return condition();
  };
  std::string text = kGood;
  text.replace(text.find("as_sk_0123456789abcdef"), 22, "as_sk_fedcba9876543210");
  Write("keys.new", text);
  {
    const NoMoreFiles none;
    ASSERT_EQ(std::rename((scratch_ / "keys.new").c_str(), (scratch_ / "keys.toml").c_str()), 0);
    ASSERT_TRUE(wait([this] { return bad_ > 0; }));
  }
  EXPECT_TRUE(wait([&] { return keys.FindKey("as_sk_fedcba9876543210") != nullptr; }));
  EXPECT_EQ(keys.FindKey("as_sk_0123456789abcdef"), nullptr) << "it is no longer in the file";
  EXPECT_EQ(bad_, 1) << "told once";
}

// Writes in place, as a shell's > does: the file is the same one, of another length.
void WriteInPlace(const std::string& path, const std::string& content) {
  std::ofstream file(path, std::ios::trunc | std::ios::binary);
  file << content;
  ASSERT_TRUE(file.flush().good());
}

TEST_F(KeysFileTest, AFileThatIsBeingWrittenIsNotTaken) {
  Write("keys.toml", kGood);
  Write("token", "fedcba98765432100123");
  const auto opened = Open(std::chrono::milliseconds(500));
  ASSERT_TRUE(opened.ok());
  const KeysFile& keys = *opened.value();
  Clock& clock = SystemClock();
  const std::string path = scratch_ / "keys.toml";
  const std::string first = "[[key]]\nid = \"ops\"\nkind = \"operator\"\n";
  const std::string second = "key = \"as_op_fedcba9876543210\"\n";
  // Grows at every look: half of it is sound TOML with other keys, or none.
  const auto end = clock.SinceBoot() + std::chrono::milliseconds(1600);
  for (std::string grown; clock.SinceBoot() < end; grown += "# more\n") {
    WriteInPlace(path, grown);
    clock.SleepFor(std::chrono::milliseconds(10));
    ASSERT_NE(keys.FindKey("as_sk_0123456789abcdef"), nullptr) << grown.size();
  }
  EXPECT_EQ(good_ + bad_, 0) << "nothing was taken, and nothing was wrong";
  WriteInPlace(path, first + second);
  const auto until = clock.SinceBoot() + std::chrono::seconds(10);
  while (keys.FindKey("as_op_fedcba9876543210") == nullptr && clock.SinceBoot() < until) {
    clock.SleepFor(std::chrono::milliseconds(5));
  }
  EXPECT_NE(keys.FindKey("as_op_fedcba9876543210"), nullptr);
  EXPECT_EQ(keys.FindKey("as_sk_0123456789abcdef"), nullptr);
}

TEST_F(KeysFileTest, AnEmptyFileKeepsWhatWasInForceAndIsToldOnce) {
  Write("keys.toml", kGood);
  Write("token", "fedcba98765432100123");
  const auto opened = Open(std::chrono::milliseconds(5));
  ASSERT_TRUE(opened.ok());
  Clock& clock = SystemClock();
  const auto wait = [&](const auto& condition) {
    const auto end = clock.SinceBoot() + std::chrono::seconds(10);
    while (!condition() && clock.SinceBoot() < end) {
      clock.SleepFor(std::chrono::milliseconds(2));
    }
    return condition();
  };
  WriteInPlace(scratch_ / "keys.toml", "");
  ASSERT_TRUE(wait([this] { return bad_ > 0; }));
  EXPECT_NE(opened.value()->FindKey("as_sk_0123456789abcdef"), nullptr);
  // Touched, and empty still: the same fault is no news.
  WriteInPlace(scratch_ / "keys.toml", "");
  clock.SleepFor(std::chrono::milliseconds(100));
  EXPECT_EQ(bad_, 1);
  EXPECT_EQ(opened.value()->Reload().error().code(), ErrorCode::kInvalid);
  WriteInPlace(scratch_ / "keys.toml", "# no keys\n");
  EXPECT_TRUE(wait([&] { return opened.value()->FindKey("as_sk_0123456789abcdef") == nullptr; }));
}

TEST_F(KeysFileTest, ScopesNarrowASecretKey) {
  std::string text = kGood;
  const std::string key = "key = \"as_sk_0123456789abcdef\"\n";
  text.insert(text.find(key), "scopes = [\"ingest\", \"read\"]\n");
  Write("keys.toml", text);
  Write("token", "fedcba98765432100123");
  auto opened = Open();
  ASSERT_TRUE(opened.ok()) << opened.error().message();
  EXPECT_EQ(opened.value()->FindKey("as_sk_0123456789abcdef")->scopes,
            (api::KeyScopes{.manage = false}));
  for (const char* wrong : {"scopes = []\n", "scopes = [\"all\"]\n", "scopes = \"read\"\n"}) {
    text = kGood;
    text.insert(text.find(key), wrong);
    Write("keys.toml", text);
    opened = Open();
    ASSERT_FALSE(opened.ok()) << wrong;
    EXPECT_THAT(opened.error().message(), HasSubstr("key.scopes: "));
  }
  text = kGood;
  text.insert(text.find("key = \"as_pk_"), "scopes = [\"read\"]\n");
  Write("keys.toml", text);
  EXPECT_THAT(Open().error().message(), HasSubstr("only for secret keys"));
}

}  // namespace
}  // namespace alertstream::identity
