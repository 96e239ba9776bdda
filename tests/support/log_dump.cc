#include "tests/support/log_dump.h"

#include <algorithm>
#include <optional>

#include "schemas/topics.h"

namespace alertstream::log {
namespace {

constexpr std::string_view kMagic = "ASLOGDMP";
constexpr std::uint64_t kVersion = 1;

void AppendNumber(std::uint64_t value, int bytes, std::string* out) {
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) {
    out->push_back(static_cast<char>(value >> shift));
  }
}

void AppendText(std::string_view text, std::string* out) {
  AppendNumber(text.size(), 4, out);
  out->append(text);
}

// Reads from the front; after the end everything is empty and `ok` false.
struct Cursor {
  std::string_view rest;
  bool ok = true;

  std::string_view Take(std::size_t size) {
    if (size > rest.size()) {
      ok = false;
      rest = {};
      return {};
    }
    const std::string_view taken = rest.substr(0, size);
    rest.remove_prefix(size);
    return taken;
  }
  std::uint64_t Number(std::size_t size) {
    std::uint64_t value = 0;
    for (const char c : Take(size)) {
      value = (value << 8) | static_cast<unsigned char>(c);
    }
    return value;
  }
  std::string Text() { return std::string(Take(static_cast<std::size_t>(Number(4)))); }
};

Status ReadPartition(EventLog& log, TopicPartition where, std::int64_t end,
                     std::chrono::milliseconds timeout, LogDump* dump) {
  const ReadFrom from{where, 0};
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto reader, log.OpenReader(std::span(&from, 1)));
  const auto deadline = SystemClock().SinceBoot() + timeout;
  while (reader->Position(0) < end) {
    Fetched fetched;
    ALERTSTREAM_RETURN_IF_ERROR(reader->Fetch(0, {1000, std::size_t{8} << 20}, &fetched));
    for (const auto& record : fetched.records) {
      DumpedRecord dumped{.where = where,
                          .offset = record.offset,
                          .append_time = record.append_time,
                          .key = std::string(record.key),
                          .value = std::string(record.value),
                          .headers = {}};
      for (const auto& header : record.headers) {
        dumped.headers.emplace_back(header.name, header.value);
      }
      dump->records.push_back(std::move(dumped));
    }
    if (fetched.records.empty()) {
      if (SystemClock().SinceBoot() >= deadline) {
        return Error(ErrorCode::kUnavailable, "the log cannot be read to its end");
      }
      reader->Wait(std::chrono::milliseconds(20));
    }
  }
  return Status::Ok();
}

}  // namespace

DumpedRecord* LogDump::Find(TopicPartition where, std::int64_t offset) {
  const auto found = std::find_if(records.begin(), records.end(), [&](const auto& record) {
    return record.where == where && record.offset == offset;
  });
  return found == records.end() ? nullptr : &*found;
}

void LogDump::Remove(TopicPartition where, std::int64_t offset) {
  std::erase_if(records, [&](const auto& record) {
    return record.where == where && record.offset == offset;
  });
}

Result<LogDump> ReadDump(EventLog& log, std::chrono::milliseconds timeout) {
  LogDump dump;
  ALERTSTREAM_ASSIGN_OR_RETURN(dump.partitions, log.Partitions(timeout));
  for (const auto& spec : schemas::kTopics) {
    if (spec.topic == Topic::kOwnership) {
      continue;
    }
    for (std::int32_t p = 0; p < dump.partitions; ++p) {
      const TopicPartition where{spec.topic, p};
      ALERTSTREAM_ASSIGN_OR_RETURN(const auto ends,
                                   log.Ends(std::span(&where, 1), EndKind::kStable, timeout));
      ALERTSTREAM_RETURN_IF_ERROR(ReadPartition(log, where, ends[0], timeout, &dump));
    }
  }
  return dump;
}

std::unique_ptr<MemoryEventLog> LoadDump(const LogDump& dump, Clock& clock) {
  auto log = std::make_unique<MemoryEventLog>(MemoryLogOptions{.clock = clock});
  const Status applied = log->ApplyTopics({.partitions = dump.partitions}, {});
  ALERTSTREAM_CHECK(applied.ok());
  for (const auto& record : dump.records) {
    std::vector<Header> headers;
    for (const auto& [name, value] : record.headers) {
      headers.push_back({name, value});
    }
    log->Place({.topic = record.where.topic,
                .partition = record.where.partition,
                .key = record.key,
                .value = record.value,
                .headers = headers},
               {.offset = record.offset, .append_time = record.append_time});
  }
  return log;
}

std::string EncodeDump(const LogDump& dump) {
  std::string bytes(kMagic);
  AppendNumber(kVersion, 4, &bytes);
  AppendNumber(static_cast<std::uint64_t>(dump.partitions), 4, &bytes);
  for (const auto& record : dump.records) {
    AppendNumber(static_cast<std::uint64_t>(record.where.topic), 1, &bytes);
    AppendNumber(static_cast<std::uint64_t>(record.where.partition), 4, &bytes);
    AppendNumber(static_cast<std::uint64_t>(record.offset), 8, &bytes);
    AppendNumber(static_cast<std::uint64_t>(ToMicros(record.append_time)), 8, &bytes);
    AppendText(record.key, &bytes);
    AppendNumber(record.headers.size(), 4, &bytes);
    for (const auto& [name, value] : record.headers) {
      AppendText(name, &bytes);
      AppendText(value, &bytes);
    }
    AppendText(record.value, &bytes);
  }
  return bytes;
}

Result<LogDump> DecodeDump(std::string_view bytes) {
  Cursor cursor{bytes};
  LogDump dump;
  if (cursor.Take(kMagic.size()) != kMagic || cursor.Number(4) != kVersion) {
    return Error(ErrorCode::kCorrupt, "not a dump of a log");
  }
  dump.partitions = static_cast<std::int32_t>(cursor.Number(4));
  while (cursor.ok && !cursor.rest.empty()) {
    DumpedRecord record;
    const std::uint64_t topic = cursor.Number(1);
    if (topic < 1 || topic > schemas::kTopicCount) {
      return Error(ErrorCode::kCorrupt, "the dump names an unknown topic");
    }
    record.where.topic = static_cast<Topic>(topic);
    record.where.partition = static_cast<std::int32_t>(cursor.Number(4));
    record.offset = static_cast<std::int64_t>(cursor.Number(8));
    record.append_time = FromMicros(static_cast<std::int64_t>(cursor.Number(8)));
    record.key = cursor.Text();
    const std::uint64_t headers = cursor.Number(4);
    for (std::uint64_t i = 0; i < headers && cursor.ok; ++i) {
      std::string name = cursor.Text();
      record.headers.emplace_back(std::move(name), cursor.Text());
    }
    record.value = cursor.Text();
    dump.records.push_back(std::move(record));
  }
  if (!cursor.ok || dump.partitions < 1) {
    return Error(ErrorCode::kCorrupt, "the dump is cut off");
  }
  return dump;
}

}  // namespace alertstream::log
