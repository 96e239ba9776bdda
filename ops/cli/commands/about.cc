#include "ops/cli/commands/about.h"

#include <ostream>
#include <string>

#include "ops/cli/library_versions.h"
#include "ops/cli/version.h"
#include "processor/engine/limits.h"
#include "processor/engine/tables.h"

namespace alertstream::cli {

Result<ExitCode> ShowVersion(const Streams& io) {
  Table table({{.key = "part"}, {.key = "version"}});
  const auto add = [&](const char* part, std::string version) {
    table.Add({{std::string(part)}, {std::move(version)}});
  };
  add("alertstream", kVersion);
  add("revision", kGitHash);
  add("engine", std::to_string(engine::kEngineVersion));
  add("tables", ToHex(AsView(engine::TablesHash())));
  add("librdkafka", kLibrdkafkaVersion);
  add("rocksdb", kRocksDbVersion);
  add("protobuf", kProtobufVersion);
  add("openssl", kOpenSslVersion);
  Streams wide = io;
  if (wide.render.format == OutputFormat::kText) {
    wide.render.format = OutputFormat::kWide;
  }
  ALERTSTREAM_RETURN_IF_ERROR(Print(wide, table));
  return ExitCode::kOk;
}

Result<ExitCode> ShowConfig(const Settings& settings, bool origin, const Streams& io) {
  std::vector<Column> columns = {{.key = "setting"}, {.key = "value"}};
  if (origin) {
    columns.push_back({.key = "origin"});
  }
  columns.push_back({.key = "help", .wide = true});
  Table table(columns);
  for (const SettingSpec& spec : SettingTable()) {
    std::vector<Cell> row = {{std::string(spec.key)}, {settings.Shown(spec.setting)}};
    if (origin) {
      row.push_back({settings.origin(spec.setting)});
    }
    row.push_back({std::string(spec.help)});
    table.Add(std::move(row));
  }
  ALERTSTREAM_RETURN_IF_ERROR(Print(io, table));
  return ExitCode::kOk;
}

}  // namespace alertstream::cli
