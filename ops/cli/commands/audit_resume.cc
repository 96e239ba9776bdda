#include "ops/cli/commands/audit_resume.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "ops/cli/json_object.h"
#include "processor/base/crypto.h"
#include "schemas/json.h"

namespace alertstream::cli {
namespace {

using schemas::JsonType;
using schemas::JsonValue;

// The file begins with the SHA-256 of everything behind its first line feed.
constexpr std::size_t kSumBytes = 2 * sizeof(Digest);
constexpr std::int64_t kFormat = 1;
// Far more than the notes of a thousand partitions.
constexpr std::uintmax_t kFileBytesMax = std::uintmax_t{4} << 20U;

std::string PlaceJson(const AuditPlace& place) {
  JsonObject object;
  object.Integer("seq", static_cast<std::int64_t>(place.seq));
  object.Integer("offset", place.offset);
  object.Integer("now_us", ToMicros(place.now));
  return object.Take();
}

std::string CheckpointJson(const AuditCheckpoint& checkpoint) {
  JsonObject object;
  object.Raw("reached", PlaceJson(checkpoint.reached));
  object.Text("journal_hash", checkpoint.journal_hash);
  object.Text("state_root", checkpoint.state_root);
  object.Integer("batches", static_cast<std::int64_t>(checkpoint.counts.batches));
  object.Integer("records", static_cast<std::int64_t>(checkpoint.counts.records));
  object.Integer("decisions", static_cast<std::int64_t>(checkpoint.counts.decisions));
  if (checkpoint.first) {
    object.Raw("first", PlaceJson(*checkpoint.first));
  }
  if (checkpoint.last) {
    object.Raw("last", PlaceJson(*checkpoint.last));
  }
  if (checkpoint.outputs) {
    JsonList outputs;
    for (const std::int64_t next : *checkpoint.outputs) {
      outputs.Raw(std::to_string(next));
    }
    object.Raw("outputs", outputs.Take());
  }
  return object.Take();
}

// Members of a document; what is missing or of another type leaves `ok` false.
class Members {
 public:
  explicit Members(JsonValue value) : value_(value), ok_(value.type() == JsonType::kObject) {}

  bool ok() const { return ok_; }
  std::optional<JsonValue> Find(std::string_view name, JsonType type) {
    const auto found = value_.Find(name);
    if (!found || found->type() != type) {
      ok_ = false;
      return std::nullopt;
    }
    return found;
  }
  std::int64_t Integer(std::string_view name) {
    const auto found = Find(name, JsonType::kInt);
    return found ? found->AsInt() : 0;
  }
  std::uint64_t Count(std::string_view name) {
    const std::int64_t value = Integer(name);
    ok_ = ok_ && value >= 0;
    return static_cast<std::uint64_t>(value);
  }
  std::string Text(std::string_view name) {
    const auto found = Find(name, JsonType::kString);
    return found ? std::string(found->AsString()) : std::string();
  }
  bool Has(std::string_view name) const { return value_.Find(name).has_value(); }

 private:
  JsonValue value_;
  bool ok_;
};

bool ReadPlace(JsonValue value, AuditPlace* place) {
  Members members(value);
  place->seq = members.Count("seq");
  place->offset = members.Integer("offset");
  place->now = FromMicros(members.Integer("now_us"));
  return members.ok();
}

bool ReadOptionalPlace(Members& members, std::string_view name, std::optional<AuditPlace>* place) {
  if (!members.Has(name)) {
    return true;
  }
  const auto value = members.Find(name, JsonType::kObject);
  return value && ReadPlace(*value, &place->emplace());
}

bool ReadOutputs(JsonValue value, runtime::AuditOutputs::Positions* outputs) {
  std::size_t count = 0;
  for (auto next = value.first_child(); next; next = next->next_sibling()) {
    if (count == outputs->size() || next->type() != JsonType::kInt || next->AsInt() < 0) {
      return false;
    }
    (*outputs)[count++] = next->AsInt();
  }
  return count == outputs->size();
}

bool ReadCheckpoint(JsonValue value, AuditCheckpoint* checkpoint) {
  Members members(value);
  const auto reached = members.Find("reached", JsonType::kObject);
  checkpoint->journal_hash = members.Text("journal_hash");
  checkpoint->state_root = members.Text("state_root");
  checkpoint->counts = {.batches = members.Count("batches"),
                        .records = members.Count("records"),
                        .decisions = members.Count("decisions")};
  if (!members.ok() || !ReadPlace(*reached, &checkpoint->reached) ||
      !ReadOptionalPlace(members, "first", &checkpoint->first) ||
      !ReadOptionalPlace(members, "last", &checkpoint->last)) {
    return false;
  }
  if (members.Has("outputs")) {
    const auto outputs = members.Find("outputs", JsonType::kArray);
    return outputs && ReadOutputs(*outputs, &checkpoint->outputs.emplace());
  }
  return true;
}

bool ReadNote(JsonValue value, std::map<std::int32_t, AuditNote>* notes) {
  Members members(value);
  const std::int64_t partition = members.Integer("partition");
  AuditNote note;
  const auto done = members.Find("done", JsonType::kBool);
  note.done = done && done->AsBool();
  note.began_seq = members.Count("began_seq");
  const auto checkpoints = members.Find("checkpoints", JsonType::kArray);
  if (!members.ok()) {
    return false;
  }
  for (auto each = checkpoints->first_child(); each; each = each->next_sibling()) {
    if (!ReadCheckpoint(*each, &note.checkpoints.emplace_back())) {
      return false;
    }
  }
  return notes->emplace(static_cast<std::int32_t>(partition), std::move(note)).second;
}

Error NotWhole() {
  return {ErrorCode::kInvalid,
          "this is no progress of an audit, or not whole; delete it to begin anew"};
}

Error OfAnother(std::string_view what, const std::string& theirs, const std::string& ours) {
  return {ErrorCode::kInvalid,
          fmt::format("this progress is of another {}: {}, not {}; name another file, or delete it "
                      "to begin anew",
                      what, theirs, ours)};
}

Status WriteWhole(const std::string& path, const std::string& bytes) {
  const std::string draft = path + ".new";
  const auto failed = [&](int code) {
    return Error(ErrorCode::kUnavailable, fmt::format("{} cannot be written: {}", path,
                                                      std::generic_category().message(code)));
  };
  const int fd = ::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) {
    return failed(errno);
  }
  const ssize_t wrote = ::write(fd, bytes.data(), bytes.size());
  const bool whole = wrote == static_cast<ssize_t>(bytes.size()) && ::fsync(fd) == 0;
  const int code = whole ? 0 : (errno == 0 ? EIO : errno);
  ::close(fd);
  if (!whole) {
    return failed(code);
  }
  return std::rename(draft.c_str(), path.c_str()) == 0 ? Status::Ok() : Status(failed(errno));
}

}  // namespace

std::string EncodeAuditFile(const AuditIdentity& identity,
                            const std::map<std::int32_t, AuditNote>& notes) {
  JsonList list;
  for (const auto& [partition, note] : notes) {
    JsonList checkpoints;
    for (const auto& checkpoint : note.checkpoints) {
      checkpoints.Raw(CheckpointJson(checkpoint));
    }
    JsonObject object;
    object.Integer("partition", partition);
    object.Bool("done", note.done);
    object.Integer("began_seq", static_cast<std::int64_t>(note.began_seq));
    object.Raw("checkpoints", checkpoints.Take());
    list.Raw(object.Take());
  }
  JsonObject file;
  file.Integer("format", kFormat);
  file.Text("log_id", identity.log_id);
  file.Text("engine", identity.engine);
  file.Text("asked", identity.asked);
  file.Raw("partitions", list.Take());
  const std::string body = file.Take() + "\n";
  return ToHex(AsView(Sha256::Of(body))) + "\n" + body;
}

Result<std::map<std::int32_t, AuditNote>> DecodeAuditFile(std::string_view bytes,
                                                          const AuditIdentity& identity) {
  if (bytes.size() <= kSumBytes || bytes[kSumBytes] != '\n') {
    return NotWhole();
  }
  const std::string_view body = bytes.substr(kSumBytes + 1);
  schemas::JsonDocument document;
  if (ToHex(AsView(Sha256::Of(body))) != bytes.substr(0, kSumBytes) || !document.Parse(body).ok()) {
    return NotWhole();
  }
  Members members(document.root());
  const std::int64_t format = members.Integer("format");
  const AuditIdentity theirs{.log_id = members.Text("log_id"),
                             .engine = members.Text("engine"),
                             .asked = members.Text("asked")};
  const auto list = members.Find("partitions", JsonType::kArray);
  if (!members.ok() || format != kFormat) {
    return NotWhole();
  }
  if (theirs.log_id != identity.log_id) {
    return OfAnother("log", theirs.log_id, identity.log_id);
  }
  if (theirs.engine != identity.engine) {
    return OfAnother("engine", theirs.engine, identity.engine);
  }
  if (theirs.asked != identity.asked) {
    return OfAnother("audit", theirs.asked, identity.asked);
  }
  std::map<std::int32_t, AuditNote> notes;
  for (auto each = list->first_child(); each; each = each->next_sibling()) {
    if (!ReadNote(*each, &notes)) {
      return NotWhole();
    }
  }
  return notes;
}

Result<std::unique_ptr<AuditBook>> AuditBook::Open(const std::string& path,
                                                   const AuditIdentity& identity) {
  auto book = std::unique_ptr<AuditBook>(new AuditBook(path, identity));
  std::error_code error;
  if (path.empty() || !std::filesystem::exists(path, error)) {
    return book;
  }
  const auto size = std::filesystem::file_size(path, error);
  std::ifstream file(path, std::ios::binary);
  if (error || !file) {
    return Error(ErrorCode::kUnavailable, fmt::format("--resume {}: cannot be read", path));
  }
  std::string bytes;
  if (size <= kFileBytesMax) {
    bytes.assign(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  auto notes = DecodeAuditFile(bytes, identity);
  if (!notes.ok()) {
    return Error(notes.error().code(),
                 fmt::format("--resume {}: {}", path, notes.error().message()));
  }
  book->notes_ = std::move(notes).value();
  return book;
}

std::optional<AuditNote> AuditBook::Find(std::int32_t partition) const {
  const std::lock_guard lock(mutex_);
  const auto found = notes_.find(partition);
  return found == notes_.end() ? std::nullopt : std::optional<AuditNote>(found->second);
}

Status AuditBook::Put(std::int32_t partition, const AuditNote& note) {
  const std::lock_guard lock(mutex_);
  notes_[partition] = note;
  return keeps() ? WriteWhole(path_, EncodeAuditFile(identity_, notes_)) : Status::Ok();
}

void AuditBook::Remove() {
  const std::lock_guard lock(mutex_);
  std::error_code error;
  if (keeps()) {
    std::filesystem::remove(path_, error);
  }
}

}  // namespace alertstream::cli
