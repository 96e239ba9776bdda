// Changes one stored record of a local log, as somebody with the disk in hand would: the bytes OLD
// of its value become NEW, and the block gets a checksum that fits. For tests of the audit; nobody
// may have the log open.
//
//   tamper_log DIRECTORY TOPIC OLD NEW     prints "partition offset" of the record
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "processor/log/local/store.h"
#include "schemas/topics.h"

namespace alertstream::log {
namespace {

struct Change {
  schemas::Topic topic;
  std::string old_bytes;
  std::string new_bytes;
};

// The block with the change, and the offset that changed; nothing: no record of it has the bytes.
std::optional<std::int64_t> ChangeBlock(const BlockKey& key, const std::string& stored,
                                        const Change& change, std::string* out) {
  const auto head = CheckBlock(key, stored);
  const auto plain = head.ok() ? UnpackBlock(key, stored) : Result<std::string>(head.error());
  if (!plain.ok()) {
    std::cerr << plain.error().message() << "\n";
    return std::nullopt;
  }
  BlockCursor cursor(key, head.value(), std::make_shared<const std::string>(plain.value()));
  BlockBuilder builder;
  std::optional<std::int64_t> changed;
  while (!cursor.Done() && cursor.PeekBytes().ok()) {
    const RecordView record = cursor.Take();
    std::string value(record.value);
    const std::size_t at = value.find(change.old_bytes);
    if (!changed && record.offset > 0 && at != std::string::npos) {
      value.replace(at, change.old_bytes.size(), change.new_bytes);
      changed = record.offset;
    }
    builder.Add({.topic = key.where.topic,
                 .partition = key.where.partition,
                 .key = record.key,
                 .value = value,
                 .headers = record.headers});
  }
  builder.Seal(key, head.value().append_time);
  *out = builder.Take();
  return changed;
}

int Run(const std::string& directory, const Change& change) {
  const auto store = LocalStore::OpenWriter(directory, 0);
  const auto partitions =
      store.ok() ? store.value()->LoadPartitions() : Result<std::int32_t>(store.error());
  if (!partitions.ok()) {
    std::cerr << partitions.error().message() << "\n";
    return 1;
  }
  for (std::int32_t partition = 0; partition < partitions.value(); ++partition) {
    const auto each = store.value()->Iterate({change.topic, partition});
    for (each->SeekTo(0); each->Valid(); each->Next()) {
      const auto key = each->Key();
      std::string block;
      const auto offset =
          key ? ChangeBlock(*key, std::string(each->Value()), change, &block) : std::nullopt;
      if (!offset) {
        continue;
      }
      StoreBatch batch(block.size());
      batch.PutBlock(*key, block);
      if (!store.value()->Write(&batch, true).ok()) {
        return 1;
      }
      std::cout << partition << " " << *offset << "\n";
      return 0;
    }
  }
  std::cerr << "no record has these bytes\n";
  return 1;
}

}  // namespace
}  // namespace alertstream::log

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const auto topic = words.size() == 4 ? alertstream::schemas::TopicByName(words[1]) : std::nullopt;
  if (!topic) {
    std::cerr << "tamper_log DIRECTORY TOPIC OLD NEW\n";
    return 2;
  }
  return alertstream::log::Run(words[0], {*topic, words[2], words[3]});
}
