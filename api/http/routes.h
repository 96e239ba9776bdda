// Routes: handlers by method and path, and the answers where there is none. Filled once, before
// the server starts; afterwards any thread may call Handle. Used by whoever wires an API.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "api/http/message.h"
#include "api/http/responder.h"
#include "api/http/router.h"
#include "processor/base/result.h"

namespace alertstream::http {

// A pure function of the request. Neither kind of handler blocks: it runs on a thread that serves
// many connections.
using PureHandler = std::function<Response(const Request&, const RouteParams&)>;
// Keeps the responder for as long as the answer takes.
using ParkingHandler = std::function<void(Request, const RouteParams&, Responder)>;

class Routes {
 public:
  // Errors as Router::Add.
  Status Add(std::string_view method, std::string_view pattern, PureHandler handler);
  Status AddParking(std::string_view method, std::string_view pattern, ParkingHandler handler);

  // "GET /health", ...: method and pattern, in the order of the calls.
  const std::vector<std::string>& names() const { return names_; }

  // Calls the handler; a path without one answers 404, a method without one 405 with Allow.
  void Handle(Request request, Responder responder) const;

 private:
  using Handler = std::variant<PureHandler, ParkingHandler>;
  Status AddHandler(std::string_view method, std::string_view pattern, Handler handler);

  Router router_;
  std::vector<Handler> handlers_;  // By the route's number.
  std::vector<std::string> names_;
};

}  // namespace alertstream::http
