#include "tests/support/openapi_check.h"

#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace alertstream::api {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const OpenApiCheck& Check() {
  static const OpenApiCheck check(R"({
    "paths": {
      "/things/{id}": {"get": {"responses": {
        "200": {"headers": {"ETag": {"$ref": "#/components/headers/ETag"}},
                "content": {"application/json": {
                  "schema": {"$ref": "#/components/schemas/Thing"}}}},
        "204": {}}}},
      "/things/new": {"get": {"responses": {"204": {}}}}},
    "components": {
      "headers": {"ETag": {"required": true}},
      "schemas": {
        "Thing": {"type": "object", "required": ["id"], "additionalProperties": false,
          "properties": {
            "id": {"type": "string", "pattern": "^t_[0-9]+$", "maxLength": 5},
            "size": {"type": ["integer", "null"], "minimum": 1, "maximum": 3},
            "kind": {"enum": ["a", "b", null]},
            "at": {"type": "string", "format": "date-time"},
            "list": {"type": "array", "items": {"type": "number"}, "maxItems": 2},
            "one": {"oneOf": [{"type": "string"}, {"const": "x"}]},
            "all": {"allOf": [{"type": "object"}, {"required": ["a"]}]}}}}}})");
  return check;
}

http::Response Answer(int status, std::string type, std::string body, bool tagged = true) {
  http::Response response{.status = status, .body = std::move(body)};
  if (!type.empty()) {
    response.headers.Add("Content-Type", type);
  }
  if (tagged) {
    response.headers.Add("etag", "\"1\"");
  }
  return response;
}

TEST(OpenApiCheckTest, WhatIsDescribedPasses) {
  EXPECT_THAT(Check().Faults("GET", "/things/7",
                             Answer(200, "application/json; charset=utf-8", R"({"id":"t_1"})")),
              IsEmpty());
  EXPECT_THAT(Check().Faults("GET", "/things/new", Answer(204, "", "")), IsEmpty());
  EXPECT_THAT(Check().Faults("GET", "/others", Answer(404, "", "")), IsEmpty());
}

TEST(OpenApiCheckTest, WhatIsNotDescribedIsAFault) {
  const std::string json = "application/json";
  const std::vector<std::pair<http::Response, std::string>> cases = {
      {Answer(201, json, "{}"), "status 201"},
      {Answer(200, "text/plain", "x"), "media type 'text/plain'"},
      {Answer(200, json, R"({"id":"t_1"})", false), "no field ETag"},
      {Answer(200, json, "{"), "no JSON"},
      {Answer(204, json, "{}"), "has a body"},
      {Answer(200, json, R"({})"), "#: has no member 'id'"}};
  for (const auto& [response, fault] : cases) {
    EXPECT_THAT(Check().Faults("GET", "/things/7", response), ElementsAre(HasSubstr(fault)));
  }
  EXPECT_THAT(Check().Faults("POST", "/things/7", Answer(200, "", "")),
              ElementsAre(HasSubstr("POST /things/7 is not described")));
}

TEST(OpenApiCheckTest, SchemasAreKept) {
  struct Case {
    std::string member;
    std::string fault;  // "" for none.
  };
  const std::vector<Case> cases = {{R"("size":null)", ""},
                                   {R"("size":3)", ""},
                                   {R"("size":0)", "/size: less than 1"},
                                   {R"("size":4)", "/size: more than 3"},
                                   {R"("size":"1")", "/size: expected the type"},
                                   {R"("size":1.5)", "/size: expected the type"},
                                   {R"("kind":null)", ""},
                                   {R"("kind":"c")", "/kind: expected one of"},
                                   {R"("at":"2026-01-31T08:00:00Z")", ""},
                                   {R"("at":"today")", "/at: no time"},
                                   {R"("list":[1,2.5])", ""},
                                   {R"("list":[1,"2"])", "/list/1: expected the type"},
                                   {R"("list":[1,2,3])", "/list: more elements"},
                                   {R"("one":"y")", ""},
                                   {R"("one":"x")", "/one: fits 2 of oneOf"},
                                   {R"("one":1)", "/one: fits 0 of oneOf"},
                                   {R"("all":{"a":1})", ""},
                                   {R"("all":{})", "/all: has no member 'a'"},
                                   {R"("more":1)", "/more: is not described"}};
  for (const Case& each : cases) {
    const auto faults = Check().SchemaFaults("Thing", R"({"id":"t_1",)" + each.member + "}");
    if (each.fault.empty()) {
      EXPECT_THAT(faults, IsEmpty()) << each.member;
    } else {
      EXPECT_THAT(faults, ElementsAre(HasSubstr(each.fault))) << each.member;
    }
  }
  EXPECT_THAT(Check().SchemaFaults("Thing", R"({"id":"x_1"})"), ElementsAre(HasSubstr("match")));
  EXPECT_THAT(Check().SchemaFaults("Thing", R"({"id":"t_1111"})"),
              ElementsAre(HasSubstr("longer than 5")));
}

}  // namespace
}  // namespace alertstream::api
