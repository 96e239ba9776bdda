// Where a PostgreSQL is: a connection URL taken apart, checked, and put together for libpq. Pure.
#pragma once

#include <map>
#include <string>

#include "processor/base/result.h"

namespace alertstream::postgres {

// libpq's settings by their keyword ("host", "dbname", ...); those that are not named are absent.
using Target = std::map<std::string, std::string>;

// kInvalid: not a URL of libpq's, or it holds a password. The message never repeats the text.
Result<Target> ParseTarget(const std::string& url);

// "unix:/path/name" or "postgres://host:port/name".
std::string DescribeTarget(const Target& target);

// "host='...' dbname='...'"
std::string ConnectionText(const Target& target);

}  // namespace alertstream::postgres
