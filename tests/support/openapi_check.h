// OpenApiCheck: whether an answer is one that the description of the API allows: its status, its
// media type, its header fields and its body, by the JSON Schemas that the document uses. Pure.
// Used by the tests of routes, so that the document stays true.
//
// Of JSON Schema it knows $ref, type, enum, const, required, properties, additionalProperties,
// minProperties, maxProperties, items, minItems, maxItems, minLength, maxLength, pattern, minimum,
// maximum, format date-time, allOf, anyOf and oneOf. Other words assert nothing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/http/message.h"
#include "schemas/json.h"

namespace alertstream::api {

class OpenApiCheck {
 public:
  // REQUIRES: `document` is an OpenAPI document as JSON.
  explicit OpenApiCheck(std::string_view document);

  // What is wrong with the answer to a request; nothing if it is as described. Answers to a path or
  // a method that the document does not have (404, 405) are problem documents.
  std::vector<std::string> Faults(std::string_view method, std::string_view path,
                                  const http::Response& response) const;

  // What is wrong with `value` by a schema of the document; for its own tests.
  std::vector<std::string> SchemaFaults(std::string_view schema_name, std::string_view json) const;

 private:
  schemas::JsonDocument document_;
};

}  // namespace alertstream::api
