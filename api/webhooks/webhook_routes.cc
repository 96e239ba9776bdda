#include "api/webhooks/webhook_routes.h"

#include <memory>
#include <utility>

#include "api/webhooks/twilio_door.h"
#include "processor/dispatch/providers/twilio_urls.h"

namespace alertstream::api {

Status AddWebhookRoutes(http::Routes* routes, const WebhookDeps& deps) {
  // Shared by the two handlers and by appends under way.
  const auto door = std::make_shared<TwilioDoor>(deps);
  const auto add = [&](const std::string& pattern, TwilioDoor::Kind kind) {
    return routes->AddParking(
        "POST", pattern,
        [door, kind](const http::Request& request, const http::RouteParams& params,
                     http::Responder responder) {
          door->Handle(kind, params.Get("account"), request, std::move(responder));
        });
  };
  ALERTSTREAM_RETURN_IF_ERROR(
      add(dispatch::TwilioStatusPath("{account}"), TwilioDoor::Kind::kStatus));
  return add(dispatch::TwilioInboundPath("{account}"), TwilioDoor::Kind::kInbound);
}

}  // namespace alertstream::api
