// The simulator in this process: what the dispatcher's own client and door see of it.
#include "ops/simulator/provider_simulator.h"

#include <chrono>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/http/server.h"
#include "processor/dispatch/http_client.h"
#include "processor/dispatch/providers/twilio_sms.h"
#include "processor/dispatch/providers/twilio_webhook.h"
#include "schemas/json.h"

namespace alertstream::simulator {
namespace {

using namespace std::chrono_literals;
using dispatch::HttpAnswer;
using dispatch::HttpOutcome;
using dispatch::TransportFailure;
using ::testing::ElementsAre;

constexpr std::string_view kSid = "AC00000000000000000000000000000001";
constexpr std::string_view kKey = "ntf_01JD3JAAAAAAAAAAAAAAAAAAAA";

// Takes the callbacks, and answers the first `refuse` of them with 503.
class Receiver {
 public:
  Receiver()
      : server_(
            {},
            [this](http::Request request, http::Responder responder) {
              Take(std::move(request), std::move(responder));
            },
            SystemClock()) {
    EXPECT_TRUE(server_.Start().ok());
  }
  ~Receiver() { server_.Stop(); }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(server_.port()); }
  void Refuse(int callbacks) {
    const std::lock_guard lock(mutex_);
    refuse_ = callbacks;
  }
  // The words of the callbacks so far; waits until there are `count`.
  std::vector<std::string> Statuses(std::size_t count) {
    for (int i = 0; i < 2000; ++i) {
      {
        const std::lock_guard lock(mutex_);
        if (statuses_.size() >= count) {
          return statuses_;
        }
      }
      SystemClock().SleepFor(5ms);
    }
    ADD_FAILURE() << "not " << count << " callbacks within 10 s";
    return {};
  }

 private:
  void Take(http::Request request, http::Responder responder) {
    const std::vector<Redacted<std::string>> tokens = {Redacted<std::string>("token")};
    const auto fields = dispatch::VerifyTwilioRequest(
        {.url = url() + request.path + "?" + request.query,
         .body = request.body,
         .signature = request.headers.Find("X-Twilio-Signature").value_or("")},
        tokens);
    const auto status = fields.ok() ? dispatch::ParseTwilioStatus(fields.value())
                                    : Result<dispatch::TwilioStatusCallback>(fields.error());
    const std::lock_guard lock(mutex_);
    statuses_.push_back(status.ok() ? status.value().provider_status : status.error().message());
    responder.Send({.status = refuse_ > 0 ? 503 : 204});
    --refuse_;
  }

  std::mutex mutex_;
  int refuse_ = 0;
  std::vector<std::string> statuses_;
  http::Server server_;  // Last: its threads use the rest.
};

class ProviderSimulatorTest : public ::testing::Test {
 protected:
  ProviderSimulatorTest() {
    SimulatorOptions options;
    options.callbacks.delay = 1ms;
    options.callbacks.retry_pause = 1ms;
    options.hang_for = 200ms;
    auto simulator = ProviderSimulator::Start(options, SystemClock());
    EXPECT_TRUE(simulator.ok());
    simulator_ = std::move(simulator).value();
    auto client = dispatch::HttpClient::Create({});
    EXPECT_TRUE(client.ok());
    client_ = std::move(client).value();
  }

  HttpOutcome Call(dispatch::HttpRequest request) {
    std::promise<HttpOutcome> outcome;
    client_->Submit({.base_url = simulator_->url(), .request = std::move(request)},
                    [&](HttpOutcome got) { outcome.set_value(std::move(got)); });
    return outcome.get_future().get();
  }
  // Body and status of a control request.
  std::pair<int, std::string> Control(std::string method, std::string path, std::string body = "") {
    const auto outcome = Call({.method = std::move(method),
                               .path = std::move(path),
                               .body = Redacted<std::string>(std::move(body))});
    const auto* answer = std::get_if<HttpAnswer>(&outcome);
    return answer == nullptr ? std::pair(0, std::string())
                             : std::pair(answer->status, answer->body.Reveal());
  }
  // Sends as the dispatcher does.
  HttpOutcome Send() {
    const auto requests =
        dispatch::TwilioSmsRequests::Create({.name = "main",
                                             .account_sid = std::string(kSid),
                                             .secret = Redacted<std::string>("token"),
                                             .public_url = receiver_.url()});
    const auto request = requests.value().Build({.notification_id = kKey,
                                                 .to = Redacted<std::string_view>("+15558675310"),
                                                 .from = "+15005550006",
                                                 .body = Redacted<std::string_view>("hello")});
    return Call(request.value());
  }
  dispatch::Outcome SendAndJudge() {
    const auto outcome = Send();
    if (const auto* answer = std::get_if<HttpAnswer>(&outcome)) {
      return dispatch::OutcomeOfTwilioAnswer(*answer, LogTime{});
    }
    return dispatch::OutcomeOfTwilioFailure(*std::get_if<TransportFailure>(&outcome));
  }
  std::int64_t Messages(std::string_view member) {
    schemas::JsonDocument document;
    EXPECT_TRUE(document.Parse(Control("GET", "/messages").second).ok());
    return document.root().Find(member)->AsInt();
  }
  void Fault(const std::string& name) {
    EXPECT_EQ(Control("POST", "/faults", R"({"fault":")" + name + R"(","count":1})").first, 200);
  }

  Receiver receiver_;
  std::unique_ptr<ProviderSimulator> simulator_;
  std::unique_ptr<dispatch::HttpClient> client_;
};

TEST_F(ProviderSimulatorTest, AnAcceptedMessageIsSentAndDelivered) {
  EXPECT_EQ(SendAndJudge().result, v1::ATTEMPT_CLASS_ACCEPTED);
  EXPECT_THAT(receiver_.Statuses(2), ElementsAre("sent", "delivered"));
  EXPECT_EQ(Messages("distinct_keys"), 1);
  EXPECT_EQ(SendAndJudge().result, v1::ATTEMPT_CLASS_ACCEPTED);
  EXPECT_EQ(Messages("distinct_keys"), 1);
  EXPECT_EQ(Messages("total"), 2);
}

TEST_F(ProviderSimulatorTest, ACallbackThatIsRefusedIsRepeated) {
  receiver_.Refuse(2);
  EXPECT_EQ(SendAndJudge().result, v1::ATTEMPT_CLASS_ACCEPTED);
  EXPECT_THAT(receiver_.Statuses(4), ElementsAre("sent", "sent", "sent", "delivered"));
}

TEST_F(ProviderSimulatorTest, CallbacksThatFindNoRoomAreDropped) {
  SimulatorOptions options;
  options.callbacks.delay = 1ms;
  options.callbacks.pending_max = 0;
  auto simulator = ProviderSimulator::Start(options, SystemClock());
  ASSERT_TRUE(simulator.ok());
  simulator_ = std::move(simulator).value();
  EXPECT_EQ(SendAndJudge().result, v1::ATTEMPT_CLASS_ACCEPTED);
  const auto dropped = [this] {
    return Control("GET", "/health").second.find(R"("dropped":1)") != std::string::npos;
  };
  for (int i = 0; i < 2000 && !dropped(); ++i) {
    SystemClock().SleepFor(5ms);
  }
  EXPECT_TRUE(dropped());
}

TEST_F(ProviderSimulatorTest, EveryFaultShowsAsItIsMeant) {
  struct Case {
    std::string_view fault;
    v1::AttemptClass outcome;
    std::string_view code;
    std::int64_t accepted;
  };
  constexpr Case kCases[] = {
      {"http_429", v1::ATTEMPT_CLASS_THROTTLE, "20429", 0},
      {"http_500", v1::ATTEMPT_CLASS_RETRY, "20500", 0},
      {"opt_out_21610", v1::ATTEMPT_CLASS_OPT_OUT, "21610", 0},
      {"hang", v1::ATTEMPT_CLASS_AMBIGUOUS, "closed_after_sent", 0},
      {"reset", v1::ATTEMPT_CLASS_AMBIGUOUS, "closed_after_sent", 0},
      {"accept_then_hang", v1::ATTEMPT_CLASS_AMBIGUOUS, "closed_after_sent", 1},
  };
  for (const Case& c : kCases) {
    EXPECT_EQ(Control("DELETE", "/messages").first, 204);
    Fault(std::string(c.fault));
    const auto outcome = SendAndJudge();
    EXPECT_EQ(outcome.result, c.outcome) << c.fault;
    EXPECT_EQ(outcome.code, c.code) << c.fault;
    EXPECT_EQ(Messages("total"), c.accepted) << c.fault;
    EXPECT_EQ(SendAndJudge().result, v1::ATTEMPT_CLASS_ACCEPTED) << c.fault;  // Used up.
  }
}

TEST_F(ProviderSimulatorTest, CallbacksAreDoubledAndSwapped) {
  Fault("duplicate_callbacks");
  EXPECT_EQ(SendAndJudge().result, v1::ATTEMPT_CLASS_ACCEPTED);
  EXPECT_THAT(receiver_.Statuses(4), ElementsAre("sent", "sent", "delivered", "delivered"));
  Fault("reorder_callbacks");
  EXPECT_EQ(SendAndJudge().result, v1::ATTEMPT_CLASS_ACCEPTED);
  EXPECT_THAT(receiver_.Statuses(6),
              ElementsAre("sent", "sent", "delivered", "delivered", "delivered", "sent"));
}

TEST_F(ProviderSimulatorTest, ControlRequestsThatMakeNoSenseAreRefused) {
  EXPECT_EQ(Control("POST", "/faults", R"({"fault":"http_418"})").first, 400);
  EXPECT_EQ(Control("POST", "/faults", R"({"fault":"hang","count":-1})").first, 400);
  EXPECT_EQ(Control("POST", "/faults", "fault").first, 400);
  EXPECT_EQ(Control("POST", "/inbound", R"({"from":"+1"})").first, 400);
  EXPECT_EQ(Control("POST", "/inbound", R"({"from":"+1","to":"+2","body":"x"})").first, 404);
  EXPECT_EQ(Control("GET", "/messages?limit=x").first, 400);
  EXPECT_EQ(Control("GET", "/2010-04-01/Accounts").first, 404);
}

}  // namespace
}  // namespace alertstream::simulator
