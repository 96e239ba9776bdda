// DispatchStory: a dispatcher over the memory log, with commands that a test writes and a provider
// on a socket that answers as the test says. Used by the tests of the dispatcher.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "processor/dispatch/accounts.h"
#include "processor/dispatch/dispatcher.h"
#include "schemas/envelope.pb.h"
#include "tests/support/command_journal.h"
#include "tests/support/raw_http_server.h"
#include "tests/support/runtime_story.h"

namespace alertstream::dispatch {

// What tests wait for at most: far above what a loaded machine takes.
inline constexpr std::chrono::milliseconds kPatience{10'000};

// One account of twilio's, "main" unless a test changes it, and "other", which has no pace.
// Thread-safe.
class OneAccount final : public ProviderAccounts {
 public:
  explicit OneAccount(std::string url);
  void Change(const std::function<void(ProviderAccount*)>& change);
  // While they are not known nothing is found.
  void SetKnown(bool known);

  std::shared_ptr<const ProviderAccount> Find(std::string_view provider,
                                              std::string_view name) const override;
  std::vector<std::shared_ptr<const ProviderAccount>> All() const override;
  bool Known() const override;

 private:
  void Publish() { current_ = std::make_shared<const ProviderAccount>(account_); }

  mutable std::mutex mutex_;
  bool known_ = true;
  ProviderAccount account_;
  std::shared_ptr<const ProviderAccount> current_;  // Shared with whoever found it.
};

// The provider: counts messages by text, and answers as the test says. Thread-safe.
class Provider {
 public:
  Provider() : server_([this](RawConnection& connection) { Serve(connection); }) {}
  ~Provider() { LetGo(); }

  std::string Url() const { return server_.Url(); }
  // From now on: status and body.
  void AnswerWith(int status, std::string body, std::string headers = "");
  // Requests are read, and answered only after LetGo.
  void Hold();
  void LetGo();
  // "Order 7" -> how often it came.
  std::map<std::string, int> messages() const;
  int count() const;
  std::vector<std::string> order() const;
  // False: fewer than `n` came in time.
  bool AwaitCount(int n);

 private:
  void Serve(RawConnection& connection);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool holding_ = false;
  int status_ = 201;
  std::string body_;
  std::string headers_;
  std::map<std::string, int> messages_;
  std::vector<std::string> order_;
  RawHttpServer server_;
};

struct DispatchStory {
  DispatchStory() : accounts(provider.Url()) {}

  DispatcherOptions Options();
  std::unique_ptr<Dispatcher> Start(DispatcherOptions options);
  std::unique_ptr<Dispatcher> Start() { return Start(Options()); }

  // One of the two under which the partition's attempts are written: "a", "b".
  std::string TransactionalId(std::string_view which) const;
  // "1 started", "1 result accepted", ...: the committed attempts in order. A result that may be
  // followed by another attempt is expected to bring along what the fold needs for it.
  std::vector<std::string> Attempts();
  // As above, as records, which the fold is expected to take.
  std::vector<v1::Envelope> Envelopes();
  // Waits until so many attempts are committed.
  bool AwaitAttempts(std::size_t count) {
    return Await([&] { return Attempts().size() >= count; });
  }
  static bool Await(const std::function<bool()>& condition);
  static std::string Token(std::string_view phone = "+254712345678");
  static v1::NotificationCommand Sms(std::uint32_t n, std::string_view phone = "+254712345678") {
    return SmsCommand(n, Token(phone));
  }

  runtime::Story story;
  CommandJournal journal{story.log, story.log_id()};
  Provider provider;
  OneAccount accounts;
  std::mutex errors_mutex;
  std::vector<std::string> errors;
};

}  // namespace alertstream::dispatch
