// What routes over the tables of identity answer with. Pure. Used by the routes of websites,
// provider accounts and numbers.
#pragma once

#include <string>
#include <string_view>

#include "api/http/problem.h"
#include "processor/base/result.h"

namespace alertstream::api {

// The switch from what a table's store says to the problem.
http::ProblemDetails TableProblem(const Error& error);

// {"object":"list",...}: all on one page. `data` is a JSON list.
std::string ListJson(std::string_view url, std::string data);

}  // namespace alertstream::api
