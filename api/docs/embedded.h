// What the build put into the program for people who read about the API: the description of it, and
// Swagger UI if it had been fetched. Values that live for ever; used by the routes of the
// documentation and by `alertstream openapi`.
#pragma once

#include <span>
#include <string_view>

namespace alertstream::api {

// api/openapi.yaml as JSON.
std::string_view OpenApiJson();

struct DocsFile {
  std::string_view name;  // "swagger-ui.css"
  std::string_view content;
};

// Empty: Swagger UI was not there when the program was built.
std::span<const DocsFile> SwaggerUiFiles();

}  // namespace alertstream::api
