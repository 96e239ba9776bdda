// Who may ingest: API keys, signatures of secret keys, origins of publishable ones, and what a
// browser is told about it (CORS). Pure but for the Identity that is asked. Used by the ingest
// door.
#pragma once

#include <memory>
#include <string_view>
#include <variant>

#include "api/auth/identity.h"
#include "api/http/message.h"
#include "api/http/problem.h"
#include "processor/base/time.h"

namespace alertstream::api {

// The key of the request if it may ingest, or 400, 401, 403, or 503 while keys are not known.
// Origins count for publishable keys only, and bind browsers only: they keep a site from using
// another one's key, not a program.
std::variant<std::shared_ptr<const ApiKey>, http::ProblemDetails> Authorize(
    const http::Request& request, const Identity& identity, LogTime now);

// Lets the page that sent the request read its answer, if some publishable key allows its origin.
void AddCorsFields(const http::Request& request, const Identity& identity, http::Headers* headers);

// The answer to OPTIONS: a preflight (Fetch, section 3.2.2) or a question about methods.
http::Response Preflight(const http::Request& request, const Identity& identity);

}  // namespace alertstream::api
