#include "ops/cli/read_side.h"

#include <utility>

#include <fmt/format.h>

#include "ops/cli/dev_file.h"
#include "projections/postgres/database.h"

namespace alertstream::cli {
namespace {

Result<std::unique_ptr<sql::Database>> Open(const Settings& settings, std::string url,
                                            Clock& clock) {
  return postgres::MakeDatabase(
      {.url = std::move(url), .password = settings.Secret(Setting::kPostgresPassword)}, clock);
}

}  // namespace

Result<std::unique_ptr<sql::Database>> OpenReadSide(const Settings& settings, Clock& clock) {
  const std::string& url = settings.Text(Setting::kPostgresUrl);
  if (url.empty()) {
    return std::unique_ptr<sql::Database>();
  }
  return Open(settings, url, clock);
}

Result<std::unique_ptr<sql::Database>> RequireReadSide(const Settings& settings, Clock& clock) {
  std::string url = settings.Text(Setting::kPostgresUrl);
  if (url.empty()) {
    const std::string& data_dir = settings.Text(Setting::kDataDir);
    const auto dev = ReadDevFile(data_dir);
    if (dev.ok()) {
      url = dev.value().postgres_url;
    }
    if (url.empty()) {
      return Error(ErrorCode::kInvalid,
                   fmt::format("postgres.url is not set and no `alertstream dev` with a database "
                               "runs on {}: name a database with --postgres or "
                               "ALERTSTREAM_POSTGRES_URL",
                               data_dir));
    }
  }
  return Open(settings, std::move(url), clock);
}

}  // namespace alertstream::cli
