#include "api/resources/permission_routes.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "api/resources/resource_answer.h"
#include "api/resources/resource_operation.h"
#include "processor/base/id.h"
#include "projections/read_model/recipients.h"
#include "schemas/json_object.h"

namespace alertstream::api {
namespace {

using Parse = ResourceParse (*)(std::string_view, const ResourceContext&);
using Show = std::string (*)(const v1::Fact&);

// A change of what a person allows: parsed, made once for its key, shown as the fold put it.
struct PermissionRoute {
  std::string path;
  Parse parse;
  Show show;
};

void ChangePermission(const OperationPtr& operation, const PermissionRoute& route) {
  if (operation->Take(route.parse(operation->request().body, operation->context())) == nullptr) {
    return;
  }
  operation->WithKey("POST " + route.path, [operation, show = route.show] {
    operation->Change([operation, show](const v1::Fact& fact, bool projected) {
      if (!projected) {
        return operation->AnswerPending(true);
      }
      operation->Answer(JsonAnswer(201, show(fact)));
    });
  });
}

void LookUp(const OperationPtr& operation) {
  auto parsed = ParseLookup(operation->request().body);
  if (const auto* problem = std::get_if<http::ProblemDetails>(&parsed)) {
    return operation->Refuse(*problem);
  }
  const auto token = MakeRecipientToken(operation->deps().token_key, operation->caller().tenant,
                                        static_cast<std::uint8_t>(v1::ADDRESS_KIND_PHONE),
                                        std::get<Redacted<std::string>>(parsed).Reveal());
  const std::string id = FormatId(IdKind::kRecipient, AsView(token));
  operation->Read([operation, id](sql::Session& session) {
    const auto found = read_model::FindRecipient(session, operation->caller().tenant, id);
    if (!found.ok()) {
      return operation->Unavailable(found.error());
    }
    if (!found.value()) {
      return operation->Answer(NotFoundProblem());
    }
    operation->Answer(JsonAnswer(
        200, schemas::JsonObject().Text("object", "recipient_reference").Text("id", id).Take()));
  });
}

Status Add(http::Routes* routes, const std::shared_ptr<const ResourceDeps>& deps,
           const std::string& path, Permission permission, Repeats repeats,
           std::function<void(const OperationPtr&)> handler) {
  return routes->AddParking(
      "POST", path,
      [deps, permission, repeats, handler = std::move(handler)](
          http::Request request, const http::RouteParams&, http::Responder responder) {
        const auto operation =
            std::make_shared<ResourceOperation>(deps, std::move(request), std::move(responder));
        if (operation->Admit(permission, repeats) && operation->TakesJson()) {
          handler(operation);
        }
      });
}

}  // namespace

Status AddPermissionRoutes(http::Routes* routes, const std::shared_ptr<const ResourceDeps>& deps) {
  for (const PermissionRoute& route :
       {PermissionRoute{"/api/v1/consents", ParseConsent, ConsentJson},
        PermissionRoute{"/api/v1/opt-outs", ParseOptOut, OptOutJson}}) {
    ALERTSTREAM_RETURN_IF_ERROR(
        Add(routes, deps, route.path, Permission::kWriteConsents, Repeats::kAnswered,
            [route](const OperationPtr& operation) { ChangePermission(operation, route); }));
  }
  return Add(routes, deps, "/api/v1/recipients/lookup", Permission::kLookUpRecipients,
             Repeats::kRefused, [](const OperationPtr& operation) {
               operation->AfterMinPosition([operation] { LookUp(operation); });
             });
}

}  // namespace alertstream::api
