#include "api/docs/docs_routes.h"

#include <array>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "schemas/json.h"

namespace alertstream::api {
namespace {

using schemas::JsonType;
using schemas::JsonValue;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class Sink final : public http::AnswerSink {
 public:
  void Answer(std::uint64_t, http::Response answer) override { response = std::move(answer); }
  http::Response response;
};

class DocsRoutesTest : public ::testing::Test {
 protected:
  static http::Response Get(const DocsDeps& deps, const std::string& path) {
    http::Routes routes;
    EXPECT_TRUE(AddDocsRoutes(&routes, deps).ok());
    const auto sink = std::make_shared<Sink>();
    routes.Handle({.method = "GET", .path = path}, http::Responder(sink, 1));
    return sink->response;
  }

  static constexpr std::array<DocsFile, 2> kFiles = {
      {{"swagger-ui.css", "body{}"}, {"swagger-ui-bundle.js", "run()"}}};
};

TEST_F(DocsRoutesTest, ServesTheDocumentItself) {
  const auto response = Get({}, "/openapi.json");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.headers.Find("Content-Type"), "application/json");
  EXPECT_EQ(response.body, OpenApiJson());
}

TEST_F(DocsRoutesTest, ThePageAsksNobodyElse) {
  const auto page = Get({.swagger_ui = kFiles}, "/api-docs");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.headers.Find("Content-Security-Policy"), kDocsContentPolicy);
  EXPECT_THAT(page.body, HasSubstr("src=\"/api-docs/swagger-ui-bundle.js\""));
  EXPECT_THAT(page.body, Not(HasSubstr("://")));
  EXPECT_THAT(page.body, Not(HasSubstr("<script>")));
  const auto start = Get({.swagger_ui = kFiles}, "/api-docs/start.js");
  EXPECT_EQ(start.status, 200);
  EXPECT_THAT(start.body, Not(HasSubstr("://")));
  EXPECT_THAT(start.body, HasSubstr("validatorUrl: null"));
}

TEST_F(DocsRoutesTest, ServesTheFilesByTheirKind) {
  const auto css = Get({.swagger_ui = kFiles}, "/api-docs/swagger-ui.css");
  EXPECT_EQ(css.headers.Find("Content-Type"), "text/css; charset=utf-8");
  EXPECT_EQ(css.body, "body{}");
  const auto script = Get({.swagger_ui = kFiles}, "/api-docs/swagger-ui-bundle.js");
  EXPECT_EQ(script.headers.Find("Content-Type"), "text/javascript; charset=utf-8");
  EXPECT_EQ(Get({.swagger_ui = kFiles}, "/api-docs/other.js").status, 404);
}

TEST_F(DocsRoutesTest, WithoutSwaggerUiThePageSaysHowToGetIt) {
  const auto page = Get({.swagger_ui = {}}, "/api-docs");
  EXPECT_EQ(page.status, 200);
  EXPECT_THAT(page.body, HasSubstr("fetch_swagger_ui.sh"));
  EXPECT_EQ(Get({.swagger_ui = {}}, "/api-docs/swagger-ui.css").status, 404);
}

TEST_F(DocsRoutesTest, RoutesAndTheDocumentAreCompared) {
  const std::string document = R"({"paths":{"/a":{"get":{},"post":{}},"/b/{id}":{"delete":{}}}})";
  http::Routes routes;
  const auto handler = [](const http::Request&, const http::RouteParams&) {
    return http::Response();
  };
  ASSERT_TRUE(routes.Add("GET", "/a", handler).ok());
  ASSERT_TRUE(routes.Add("DELETE", "/b/{id}", handler).ok());
  ASSERT_TRUE(routes.Add("PUT", "/b/{id}", handler).ok());
  EXPECT_THAT(DescriptionFaults(routes.names(), document),
              ElementsAre("PUT /b/{id} is not described", "POST /a has no route"));
}

// The value that a pointer of the document names.
std::optional<JsonValue> Resolve(JsonValue root, std::string_view reference) {
  if (!reference.starts_with("#/")) {
    return std::nullopt;
  }
  std::optional<JsonValue> at = root;
  reference.remove_prefix(2);
  while (at && !reference.empty()) {
    const std::size_t end = std::min(reference.find('/'), reference.size());
    at = at->Find(reference.substr(0, end));
    reference.remove_prefix(std::min(end + 1, reference.size()));
  }
  return at;
}

void CollectReferences(JsonValue value, std::set<std::string>* references) {
  for (auto child = value.first_child(); child; child = child->next_sibling()) {
    if (value.type() == JsonType::kObject && child->name() == "$ref" &&
        child->type() == JsonType::kString) {
      references->insert(std::string(child->AsString()));
    } else {
      CollectReferences(*child, references);
    }
  }
}

class OpenApiTest : public ::testing::Test {
 protected:
  OpenApiTest() {
    const Status parsed = document_.Parse(OpenApiJson());
    EXPECT_TRUE(parsed.ok()) << parsed.error().message();
  }
  schemas::JsonDocument document_;
};

TEST_F(OpenApiTest, EveryReferenceLeadsSomewhere) {
  std::set<std::string> references;
  CollectReferences(document_.root(), &references);
  EXPECT_THAT(references, Not(IsEmpty()));
  for (const std::string& reference : references) {
    EXPECT_TRUE(Resolve(document_.root(), reference).has_value()) << reference;
  }
}

TEST_F(OpenApiTest, EveryComponentIsUsed) {
  std::set<std::string> references;
  CollectReferences(document_.root(), &references);
  for (const std::string kind : {"parameters", "headers", "responses", "schemas"}) {
    const auto components = document_.root().Find("components")->Find(kind);
    ASSERT_TRUE(components.has_value()) << kind;
    for (auto each = components->first_child(); each; each = each->next_sibling()) {
      const std::string name = "#/components/" + kind + "/" + std::string(each->name());
      EXPECT_TRUE(references.contains(name)) << name;
    }
  }
}

TEST_F(OpenApiTest, EveryOperationIsNamedGroupedAndSecured) {
  std::set<std::string> tags;
  const auto declared = document_.root().Find("tags");
  for (auto tag = declared->first_child(); tag; tag = tag->next_sibling()) {
    tags.insert(std::string(tag->Find("name")->AsString()));
  }
  std::set<std::string> names;
  const auto paths = document_.root().Find("paths");
  for (auto path = paths->first_child(); path; path = path->next_sibling()) {
    for (auto operation = path->first_child(); operation; operation = operation->next_sibling()) {
      const std::string at = std::string(operation->name()) + " " + std::string(path->name());
      const auto name = operation->Find("operationId");
      ASSERT_TRUE(name.has_value()) << at;
      EXPECT_TRUE(names.insert(std::string(name->AsString())).second) << at;
      ASSERT_TRUE(operation->Find("tags").has_value()) << at;
      EXPECT_TRUE(tags.contains(std::string(operation->Find("tags")->first_child()->AsString())))
          << at;
      EXPECT_TRUE(operation->Find("security").has_value()) << at;
      EXPECT_TRUE(operation->Find("summary").has_value()) << at;
      EXPECT_TRUE(operation->Find("responses").has_value()) << at;
    }
  }
}

TEST_F(OpenApiTest, EveryErrorIsAProblemDocument) {
  const auto paths = document_.root().Find("paths");
  for (auto path = paths->first_child(); path; path = path->next_sibling()) {
    for (auto operation = path->first_child(); operation; operation = operation->next_sibling()) {
      const auto responses = operation->Find("responses");
      for (auto each = responses->first_child(); each; each = each->next_sibling()) {
        const bool health = path->name().starts_with("/health");
        if (each->name() < "400" || health) {
          continue;
        }
        const auto reference = each->Find("$ref");
        const auto shown = reference ? Resolve(document_.root(), reference->AsString()) : each;
        ASSERT_TRUE(shown.has_value() && shown->Find("content").has_value()) << path->name();
        EXPECT_TRUE(shown->Find("content")->Find("application/problem+json").has_value())
            << path->name() << " " << each->name();
      }
    }
  }
}

}  // namespace
}  // namespace alertstream::api
