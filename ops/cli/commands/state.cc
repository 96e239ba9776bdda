#include "ops/cli/commands/state.h"

#include <charconv>
#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <ostream>
#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include "ops/cli/words.h"
#include "processor/base/crypto.h"
#include "processor/base/rfc3339.h"
#include "processor/engine/state_keys.h"
#include "processor/state/state_root.h"
#include "schemas/state.pb.h"

namespace alertstream::cli {
namespace {

using StateTable = engine::Table;

// Keys that are fetched at a time from each side.
constexpr std::size_t kChunkKeys = 4096;
// Above every key: they begin with a tenant's name, which is ASCII.
constexpr std::string_view kEnd = "\xff";

std::uint64_t BigEndian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (const char c : bytes) {
    value = (value << 8U) | static_cast<unsigned char>(c);
  }
  return value;
}

template <typename Value>
std::unique_ptr<google::protobuf::Message> MakeValue() {
  return std::make_unique<Value>();
}

// The numbers of engine::Table; by number, so that a table that is new to the engine is shown by it
// until it gets a name here.
struct TableInfo {
  std::uint8_t number;
  std::string_view name;
  std::unique_ptr<google::protobuf::Message> (*make_value)();
};
constexpr TableInfo kTables[] = {{1, "tenant", MakeValue<v1::TenantState>},
                                 {2, "site", MakeValue<v1::SiteState>},
                                 {3, "plan", MakeValue<v1::PlanState>},
                                 {4, "sender", MakeValue<v1::SenderState>},
                                 {5, "trigger", MakeValue<v1::TriggerState>},
                                 {6, "trigger version", MakeValue<v1::TriggerState>},
                                 {7, "recipient", MakeValue<v1::RecipientState>},
                                 {8, "sends", MakeValue<v1::SendState>},
                                 {9, "quota", MakeValue<v1::QuotaState>},
                                 {10, "dedupe", MakeValue<v1::DedupeState>},
                                 {11, "notification", MakeValue<v1::NotificationState>},
                                 {12, "timer", MakeValue<v1::TimerState>},
                                 {13, "engine", MakeValue<v1::EngineState>},
                                 {14, "dead letter", MakeValue<v1::DeadLetterState>}};

const TableInfo* InfoOf(StateTable table) {
  for (const TableInfo& info : kTables) {
    if (info.number == static_cast<std::uint8_t>(table)) {
      return &info;
    }
  }
  return nullptr;
}

std::optional<StateTable> TableOf(std::string_view key) {
  const std::size_t end = key.find('\0');
  return end == std::string_view::npos || end + 1 >= key.size()
             ? std::nullopt
             : std::optional(static_cast<StateTable>(key[end + 1]));
}

// "status, version": the fields in which two values of `key` differ; never what they hold.
std::string FieldsThatDiffer(std::string_view key, const std::string& left,
                             const std::string& right) {
  const auto table = TableOf(key);
  const TableInfo* info = table ? InfoOf(*table) : nullptr;
  const auto a = info == nullptr ? nullptr : info->make_value();
  const auto b = info == nullptr ? nullptr : info->make_value();
  if (a == nullptr || !a->ParseFromString(left) || !b->ParseFromString(right)) {
    return "cannot be decoded";
  }
  std::string names;
  const auto* descriptor = a->GetDescriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const auto* field = descriptor->field(i);
    const auto only = [&](google::protobuf::Message& message) {
      const std::unique_ptr<google::protobuf::Message> part(message.New());
      message.GetReflection()->SwapFields(&message, part.get(), {field});
      return part->SerializeAsString();
    };
    if (only(*a) != only(*b)) {
      names += fmt::format("{}{}", names.empty() ? "" : ", ", field->name());
    }
  }
  return names.empty() ? "encoded otherwise" : names;
}

// The entries of one store, in order, some at a time.
class Entries {
 public:
  explicit Entries(state::StateStore& store) : store_(store) {}

  struct Entry {
    std::string key;
    std::string value;
  };
  // Null at the end.
  Result<const Entry*> Head() {
    if (chunk_.empty() && !ended_) {
      ALERTSTREAM_RETURN_IF_ERROR(
          store_.Scan(from_, kEnd, [this](std::string_view key, std::string_view value) {
            chunk_.push_back({std::string(key), std::string(value)});
            return chunk_.size() < kChunkKeys;
          }));
      ended_ = chunk_.size() < kChunkKeys;
      if (!chunk_.empty()) {
        from_ = chunk_.back().key + '\0';
      }
    }
    return chunk_.empty() ? nullptr : &chunk_.front();
  }
  void Next() {
    root_.Add(state::StateRoot::OfEntry(chunk_.front().key, chunk_.front().value));
    ++count_;
    chunk_.pop_front();
  }

  const state::StateRoot& root() const { return root_; }
  std::uint64_t count() const { return count_; }

 private:
  state::StateStore& store_;
  std::deque<Entry> chunk_;
  std::string from_{"\x01"};
  bool ended_ = false;
  state::StateRoot root_;
  std::uint64_t count_ = 0;
};

struct Side {
  std::unique_ptr<state::StateStore> store;
  v1::StoreMeta meta;
};

Result<Side> OpenSide(const std::string& directory, const OpenStateIn& open) {
  Side side;
  ALERTSTREAM_ASSIGN_OR_RETURN(side.store, open(directory));
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto meta, side.store->Meta());
  if (meta && !side.meta.ParseFromString(*meta)) {
    return Error(ErrorCode::kCorrupt, directory + ": the state's meta cannot be read");
  }
  return side;
}

class Differ {
 public:
  Differ(const Streams& io, std::size_t rows_max) : io_(io), rows_max_(rows_max) {}

  Status Compare(const std::string& name, Side left, Side right);
  Result<ExitCode> Report();

 private:
  void Add(const std::string& name, std::string_view key, std::string_view how,
           const std::string& fields);
  void CheckRoot(const std::string& name, std::string_view side, const v1::StoreMeta& meta,
                 const Entries& entries);

  const Streams& io_;
  const std::size_t rows_max_;
  cli::Table table_{{{.key = "partition"}, {.key = "key"}, {.key = "differs"}, {.key = "fields"}}};
  std::size_t rows_ = 0;
  std::uint64_t differing_ = 0;
  bool damaged_ = false;
};

void Differ::Add(const std::string& name, std::string_view key, std::string_view how,
                 const std::string& fields) {
  ++differing_;
  if (rows_ < rows_max_) {
    ++rows_;
    table_.Add({{name},
                {StateKeyText(key)},
                {std::string(how), CellStyle::kBad},
                {fields.empty() ? Cell::Value(Absent{}) : Cell::Value(fields)}});
  }
}

void Differ::CheckRoot(const std::string& name, std::string_view side, const v1::StoreMeta& meta,
                       const Entries& entries) {
  const std::string sum = entries.root().ToBytes();
  const bool whole = meta.state_root().empty() ? entries.count() == 0 : sum == meta.state_root();
  if (!whole) {
    damaged_ = true;
    io_.err << fmt::format(
        "partition {}, {}: its keys add up to {}, its own root is {}: it is damaged\n", name, side,
        ToHex(sum), ToHex(meta.state_root()));
  }
}

Status Differ::Compare(const std::string& name, Side left, Side right) {
  const auto stands = [](const v1::StoreMeta& meta) {
    return meta.seq() == 0
               ? std::string("empty")
               : fmt::format("seq {} of {}", meta.seq(), FormatRfc3339(FromMicros(meta.now_us())));
  };
  io_.err << fmt::format(
      "partition {}: left at {}, right at {}{}\n", name, stands(left.meta), stands(right.meta),
      left.meta.journal_hash() == right.meta.journal_hash() ? ", the same point of history" : "");
  if (left.meta.log_id() != right.meta.log_id() && left.meta.seq() > 0 && right.meta.seq() > 0) {
    io_.err << fmt::format("partition {}: they are of different logs\n", name);
  }
  Entries a(*left.store);
  Entries b(*right.store);
  for (;;) {
    ALERTSTREAM_ASSIGN_OR_RETURN(const auto* x, a.Head());
    ALERTSTREAM_ASSIGN_OR_RETURN(const auto* y, b.Head());
    if (x == nullptr && y == nullptr) {
      break;
    }
    if (y == nullptr || (x != nullptr && x->key < y->key)) {
      Add(name, x->key, "only left", "");
      a.Next();
    } else if (x == nullptr || y->key < x->key) {
      Add(name, y->key, "only right", "");
      b.Next();
    } else {
      if (x->value != y->value) {
        Add(name, x->key, "value", FieldsThatDiffer(x->key, x->value, y->value));
      }
      a.Next();
      b.Next();
    }
  }
  CheckRoot(name, "left", left.meta, a);
  CheckRoot(name, "right", right.meta, b);
  io_.err << fmt::format("partition {}: {} keys left, {} right\n", name, Grouped(a.count()),
                         Grouped(b.count()));
  return Status::Ok();
}

Result<ExitCode> Differ::Report() {
  ALERTSTREAM_RETURN_IF_ERROR(Print(io_, table_));
  if (differing_ > rows_) {
    io_.err << fmt::format("{} more keys differ; more of them: --limit N\n",
                           Grouped(differing_ - rows_));
  }
  io_.err << (differing_ == 0 ? std::string("no key differs\n")
                              : fmt::format("{} keys differ\n", Grouped(differing_)));
  return differing_ == 0 && !damaged_ ? ExitCode::kOk : ExitCode::kMismatch;
}

// The partitions below `directory`; empty if it is itself one's state.
Result<std::set<std::string>> PartitionsIn(const std::string& directory) {
  namespace fs = std::filesystem;
  std::set<std::string> names;
  std::error_code code;
  if (fs::exists(fs::path(directory) / "CURRENT", code)) {
    return names;
  }
  fs::directory_iterator entries(directory, code);
  if (!code) {
    for (const auto& entry : entries) {
      const std::string name = entry.path().filename().string();
      if (name.find_first_not_of("0123456789") == std::string::npos && entry.is_directory(code)) {
        names.insert(name);
      }
    }
  }
  if (names.empty()) {
    return Error(ErrorCode::kNotFound,
                 directory + ": neither a partition's state nor a directory of them (0, 1, ...)");
  }
  return names;
}

}  // namespace

std::string StateKeyText(std::string_view key) {
  const auto table = TableOf(key);
  if (!table) {
    return ToHex(key);
  }
  const std::size_t end = key.find('\0');
  const std::string_view tenant = key.substr(0, end);
  const std::string_view rest = key.substr(end + 2);
  const TableInfo* info = InfoOf(*table);
  const std::string head = info == nullptr
                               ? fmt::format("{} table {}", tenant, static_cast<int>(*table))
                               : fmt::format("{} {}", tenant, info->name);
  constexpr std::size_t kToken = 16;
  if (*table == StateTable::kRecipient && rest.size() == kToken) {
    return fmt::format("{} {}", head, FormatId(IdKind::kRecipient, rest));
  }
  if (*table == StateTable::kSends && rest.size() > kToken) {
    return fmt::format("{} {} {} {}", head, FormatId(IdKind::kRecipient, rest.substr(0, kToken)),
                       Word(static_cast<v1::Channel>(rest[kToken])), rest.substr(kToken + 1));
  }
  if (*table == StateTable::kQuota && rest.size() == 4) {
    return fmt::format("{} {}", head, BigEndian(rest));
  }
  if (*table == StateTable::kNotification && rest.size() == kToken) {
    return fmt::format("{} {}", head, FormatId(IdKind::kNotification, rest));
  }
  if (*table == StateTable::kTimer && rest.size() > 8) {
    return fmt::format(
        "{} {} {}", head,
        FormatRfc3339(FromMicros(static_cast<std::int64_t>(BigEndian(rest.substr(0, 8))))),
        ToHex(rest.substr(8)));
  }
  if (*table == StateTable::kTriggerVersion && rest.size() > 9) {
    return fmt::format("{} {} v{}", head, rest.substr(0, rest.size() - 9),
                       BigEndian(rest.substr(rest.size() - 8)));
  }
  const bool plain = *table == StateTable::kSite || *table == StateTable::kPlan ||
                     *table == StateTable::kSender || *table == StateTable::kTrigger;
  return rest.empty() ? head : fmt::format("{} {}", head, plain ? std::string(rest) : ToHex(rest));
}

Result<ExitCode> StateDiff(const Streams& io, const StateDiffOptions& options,
                           const OpenStateIn& open) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto left, PartitionsIn(options.left));
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto right, PartitionsIn(options.right));
  if (left != right) {
    return Error(ErrorCode::kInvalid,
                 "the directories do not hold the same partitions; compare them one by one: "
                 "DIR/0 DIR/0");
  }
  Differ differ(io, options.rows_max);
  for (const std::string& name : left.empty() ? std::set<std::string>{""} : left) {
    const std::string below = name.empty() ? "" : "/" + name;
    ALERTSTREAM_ASSIGN_OR_RETURN(Side a, OpenSide(options.left + below, open));
    ALERTSTREAM_ASSIGN_OR_RETURN(Side b, OpenSide(options.right + below, open));
    const std::string shown = name.empty() ? std::to_string(a.meta.partition()) : name;
    ALERTSTREAM_RETURN_IF_ERROR(differ.Compare(shown, std::move(a), std::move(b)));
  }
  return differ.Report();
}

}  // namespace alertstream::cli
