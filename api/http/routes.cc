#include "api/http/routes.h"

#include <utility>

namespace alertstream::http {

Status Routes::Add(std::string_view method, std::string_view pattern, PureHandler handler) {
  return AddHandler(method, pattern, std::move(handler));
}

Status Routes::AddParking(std::string_view method, std::string_view pattern,
                          ParkingHandler handler) {
  return AddHandler(method, pattern, std::move(handler));
}

Status Routes::AddHandler(std::string_view method, std::string_view pattern, Handler handler) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto route, router_.Add(method, pattern));
  ALERTSTREAM_CHECK(route == handlers_.size());
  handlers_.push_back(std::move(handler));
  names_.push_back(std::string(method) + " " + std::string(pattern));
  return Status::Ok();
}

void Routes::Handle(Request request, Responder responder) const {
  const RouteMatch match = router_.Match(request.method, request.path);
  switch (match.outcome) {
    case RouteOutcome::kNotFound:
      responder.Send(Problem(404, "There is nothing at this path."));
      return;
    case RouteOutcome::kMethodNotAllowed: {
      Response response = Problem(405, "The path does not take this method.");
      response.headers.Add("Allow", match.allow);
      responder.Send(std::move(response));
      return;
    }
    case RouteOutcome::kFound:
      break;
  }
  const Handler& handler = handlers_[match.route];
  if (const auto* pure = std::get_if<PureHandler>(&handler)) {
    responder.Send((*pure)(request, match.params));
    return;
  }
  std::get<ParkingHandler>(handler)(std::move(request), match.params, std::move(responder));
}

}  // namespace alertstream::http
