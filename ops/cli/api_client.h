// ApiClient: calls of the client commands to a server's API, one at a time: signed, JSON in and
// out, problems turned into errors. Used by fire, inbound, providers and by writing commands when a
// server owns the log; belongs to one thread.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "ops/cli/dev_file.h"
#include "ops/cli/settings.h"
#include "processor/base/clock.h"
#include "processor/base/redacted.h"
#include "processor/base/result.h"
#include "processor/dispatch/http_client.h"

namespace alertstream::cli {

struct ApiTarget {
  std::string api_url;
  std::string provider_url;  // Of a dev: its provider simulator; else empty.
  std::string tenant;        // Of a dev: its demo tenant; else empty.
  Redacted<std::string> secret_key;
  Redacted<std::string> signing_secret;
  Redacted<std::string> operator_key;
};

// --api-url with the keys of the environment; else the dev that runs on the data directory, whose
// keys the environment's replace. kNotFound: there is none.
Result<ApiTarget> FindApi(const Settings& settings);

// Who a call comes from.
enum class ApiAuth : std::uint8_t {
  kNone,
  kSigned,    // The secret key, and X-Signature over method, path and body.
  kOperator,  // The operator key.
};

struct ApiCall {
  std::string method = "GET";
  std::string path;  // With its query.
  std::string body = {};
  std::string content_type = "application/json";
  std::vector<dispatch::HttpHeader> headers = {};
  ApiAuth auth = ApiAuth::kNone;
  std::chrono::milliseconds timeout{15'000};
};

struct ApiAnswer {
  int status = 0;
  std::string body;
};

class ApiClient {
 public:
  // `clock` outlives the client.
  static Result<std::unique_ptr<ApiClient>> Create(ApiTarget target, Clock& clock);

  const ApiTarget& target() const { return target_; }

  // An answer of 2xx. A problem is an error by its status, with its code, detail and request id in
  // the message: 401, 403 kDenied; 404 kNotFound; 409, 412 kConflict; 429 kExhausted; other 4xx
  // kInvalid; the rest, and no answer, kUnavailable.
  Result<ApiAnswer> Send(const ApiCall& call);
  // As Send, to another server than the API: the simulator.
  Result<ApiAnswer> SendTo(const std::string& base_url, const ApiCall& call);

 private:
  ApiClient(ApiTarget target, Clock& clock, std::unique_ptr<dispatch::HttpClient> http)
      : target_(std::move(target)), clock_(clock), http_(std::move(http)) {}

  Result<ApiAnswer> SendSigned(const ApiCall& call);

  ApiTarget target_;
  Clock& clock_;
  std::unique_ptr<dispatch::HttpClient> http_;
};

// The error that an answer of another status than 2xx means. Pure.
Error ErrorOfAnswer(int status, const std::string& body);

}  // namespace alertstream::cli
