#include "ops/cli/commands/progress_file.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <system_error>

#include <fmt/format.h>

#include "ops/cli/words.h"

namespace alertstream::cli {

void WriteProgress(const std::string& path, const PartitionProgress& progress) {
  const std::string draft = path + ".new";
  {
    std::ofstream file(draft, std::ios::trunc);
    file << fmt::format("{} {} {} {} {} {}\n", progress.phase, progress.progress.done,
                        progress.progress.total, progress.progress.per_second,
                        progress.progress.eta_seconds, ToMicros(progress.at));
  }
  std::error_code code;
  std::filesystem::rename(draft, path, code);
}

void RemoveProgress(const std::string& path) {
  std::error_code code;
  std::filesystem::remove(path, code);
}

std::optional<PartitionProgress> ReadProgress(const std::string& path, LogTime now) {
  std::ifstream file(path);
  PartitionProgress read;
  std::int64_t at = 0;
  if (!(file >> read.phase >> read.progress.done >> read.progress.total >>
        read.progress.per_second >> read.progress.eta_seconds >> at)) {
    return std::nullopt;
  }
  read.at = FromMicros(at);
  if (now - read.at > kProgressFresh) {
    return std::nullopt;
  }
  return read;
}

std::string ProgressText(const std::string& phase, const runtime::Progress& progress) {
  const auto total = std::max<std::uint64_t>(1, progress.total);
  const std::string rate =
      progress.per_second > 0
          ? fmt::format(", {} a second, done in {:.0f} s",
                        Grouped(static_cast<std::uint64_t>(progress.per_second)),
                        progress.eta_seconds)
          : std::string();
  return fmt::format("{}, {} %: {} of {}{}", phase,
                     std::min<std::uint64_t>(100, progress.done * 100 / total),
                     Grouped(progress.done), Grouped(progress.total), rate);
}

}  // namespace alertstream::cli
