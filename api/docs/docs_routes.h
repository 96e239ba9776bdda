// The routes that tell people about the API: GET /openapi.json, and Swagger UI at /api-docs with
// all that it needs. Pure; used by the program's wiring.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/docs/embedded.h"
#include "api/http/routes.h"
#include "processor/base/result.h"

namespace alertstream::api {

// Nothing but this server's own, no inline script, nobody's frame.
inline constexpr std::string_view kDocsContentPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

struct DocsDeps {
  std::string_view openapi_json = OpenApiJson();
  // Empty: the page says how to get them.
  std::span<const DocsFile> swagger_ui = SwaggerUiFiles();
};

// What routes and the document do not agree on: "GET /a is not described", "POST /b has no route".
std::vector<std::string> DescriptionFaults(const std::vector<std::string>& routes,
                                           std::string_view openapi_json);

// Errors as Routes::Add.
Status AddDocsRoutes(http::Routes* routes, const DocsDeps& deps);

}  // namespace alertstream::api
