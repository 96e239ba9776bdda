#include "api/docs/docs_routes.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>

#include "schemas/json.h"

namespace alertstream::api {
namespace {

constexpr std::string_view kPage = R"(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>AlertStream API</title>
<link rel="icon" type="image/png" href="/api-docs/favicon-32x32.png">
<link rel="stylesheet" href="/api-docs/swagger-ui.css">
<script src="/api-docs/swagger-ui-bundle.js" defer></script>
<script src="/api-docs/start.js" defer></script>
</head>
<body>
<div id="docs"></div>
<noscript>This page needs JavaScript; <a href="/openapi.json">the document</a> does not.</noscript>
</body>
</html>
)";

constexpr std::string_view kStartScript = "start.js";
// Without validatorUrl the page would ask a foreign host.
constexpr std::string_view kStart = R"(SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#docs',
  deepLinking: true,
  validatorUrl: null,
  persistAuthorization: false,
});
)";

constexpr std::string_view kMissingPage = R"(<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>AlertStream API</title></head>
<body>
<h1>AlertStream API</h1>
<p>Swagger UI was not there when this program was built. To have it: install npm, run
<code>api/docs/fetch_swagger_ui.sh build/swagger-ui</code> in the source tree, and build again
(<code>ops/run</code> does both).</p>
<p>The document itself is <a href="/openapi.json">/openapi.json</a>.</p>
</body>
</html>
)";

std::string_view TypeOf(std::string_view name) {
  if (name.ends_with(".css")) {
    return "text/css; charset=utf-8";
  }
  if (name.ends_with(".js")) {
    return "text/javascript; charset=utf-8";
  }
  return name.ends_with(".png") ? "image/png" : "text/plain; charset=utf-8";
}

http::Response Content(std::string_view type, std::string_view content) {
  http::Response response{.status = 200, .body = std::string(content)};
  response.headers.Add("Content-Type", type);
  response.headers.Add("Content-Security-Policy", kDocsContentPolicy);
  response.headers.Add("Referrer-Policy", "no-referrer");
  response.headers.Add("Cache-Control", "no-cache");
  return response;
}

http::Response FileOf(std::span<const DocsFile> files, std::string_view name) {
  if (name == kStartScript) {
    return Content(TypeOf(name), kStart);
  }
  const auto found = std::find_if(files.begin(), files.end(),
                                  [&](const DocsFile& file) { return file.name == name; });
  if (found == files.end()) {
    return http::Problem(404, "There is no such file.");
  }
  return Content(TypeOf(name), found->content);
}

}  // namespace

std::vector<std::string> DescriptionFaults(const std::vector<std::string>& routes,
                                           std::string_view openapi_json) {
  std::set<std::string> described;
  schemas::JsonDocument document;
  const Status parsed = document.Parse(openapi_json);
  const auto paths = parsed.ok() ? document.root().Find("paths") : std::nullopt;
  for (auto path = paths ? paths->first_child() : std::nullopt; path; path = path->next_sibling()) {
    for (auto operation = path->first_child(); operation; operation = operation->next_sibling()) {
      std::string method(operation->name());
      std::transform(method.begin(), method.end(), method.begin(),
                     [](char c) { return static_cast<char>(c - 'a' + 'A'); });
      described.insert(method + " " + std::string(path->name()));
    }
  }
  std::vector<std::string> faults;
  for (const std::string& route : routes) {
    if (described.erase(route) == 0) {
      faults.push_back(route + " is not described");
    }
  }
  for (const std::string& name : described) {
    faults.push_back(name + " has no route");
  }
  return faults;
}

Status AddDocsRoutes(http::Routes* routes, const DocsDeps& deps) {
  ALERTSTREAM_RETURN_IF_ERROR(
      routes->Add("GET", "/openapi.json",
                  [json = deps.openapi_json](const http::Request&, const http::RouteParams&) {
                    return Content("application/json", json);
                  }));
  ALERTSTREAM_RETURN_IF_ERROR(routes->Add(
      "GET", "/api-docs",
      [has_ui = !deps.swagger_ui.empty()](const http::Request&, const http::RouteParams&) {
        return Content("text/html; charset=utf-8", has_ui ? kPage : kMissingPage);
      }));
  return routes->Add(
      "GET", "/api-docs/{file}",
      [files = deps.swagger_ui](const http::Request&, const http::RouteParams& params) {
        return FileOf(files, params.Get("file"));
      });
}

}  // namespace alertstream::api
