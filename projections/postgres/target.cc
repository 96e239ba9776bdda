#include "projections/postgres/target.h"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <memory>

namespace alertstream::postgres {
namespace {

struct OptionsFree {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};

std::string Of(const Target& target, const std::string& keyword, const char* otherwise) {
  const auto found = target.find(keyword);
  return found == target.end() || found->second.empty() ? otherwise : found->second;
}

}  // namespace

Result<Target> ParseTarget(const std::string& url) {
  const Error no_url(ErrorCode::kInvalid,
                     "postgres.url is no URL of a PostgreSQL: expected "
                     "postgres://USER@HOST:PORT/DATABASE or postgres:///DATABASE?host=/DIRECTORY");
  if (url.find('\0') != std::string::npos) {
    return no_url;
  }
  char* message = nullptr;  // Not shown: it may quote a password.
  const std::unique_ptr<PQconninfoOption, OptionsFree> options(
      PQconninfoParse(url.c_str(), &message));
  PQfreemem(message);
  if (options == nullptr) {
    return no_url;
  }
  Target target;
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val != nullptr) {
      target[option->keyword] = option->val;
    }
  }
  if (target.contains("password")) {
    return Error(ErrorCode::kInvalid,
                 "postgres.url holds a password: take it out and name a file with "
                 "ALERTSTREAM_POSTGRES_PASSWORD_FILE or postgres.password_file");
  }
  return target;
}

std::string DescribeTarget(const Target& target) {
  const std::string host = Of(target, "host", "");
  const std::string name = Of(target, "dbname", "");
  if (host.starts_with('/') || host.starts_with('@')) {
    return name.empty() ? "unix:" + host : fmt::format("unix:{}/{}", host, name);
  }
  return fmt::format("postgres://{}:{}/{}", host.empty() ? "localhost" : host,
                     Of(target, "port", "5432"), name);
}

std::string ConnectionText(const Target& target) {
  std::string text;
  for (const auto& [keyword, value] : target) {
    text += keyword + "='";
    for (const char c : value) {
      if (c == '\'' || c == '\\') {
        text.push_back('\\');
      }
      text.push_back(c);
    }
    text += "' ";
  }
  return text;
}

}  // namespace alertstream::postgres
