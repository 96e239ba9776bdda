// CrashMarker: remembers, in a small mapped file, on which record the fold was when a signal of the
// fold's own making (SIGSEGV, SIGBUS, SIGFPE, SIGABRT) killed the process. A SIGKILL or the OOM
// killer leaves no mark: they say nothing about a record. Belongs to one task.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "processor/base/result.h"
#include "schemas/topics.h"

namespace alertstream::runtime {

class CrashMarker {
 public:
  struct Suspect {
    schemas::Topic topic;
    std::int64_t offset;
    std::uint32_t crashes;  // In a row, on this record.
  };

  // A file that was written for another log is started anew: its positions mean nothing here.
  static Result<std::unique_ptr<CrashMarker>> Open(const std::string& path,
                                                   std::string_view log_id);
  // What the file of another process says, without touching it; nothing if there is no such file.
  static std::optional<Suspect> Peek(const std::string& path);
  ~CrashMarker();
  CrashMarker(const CrashMarker&) = delete;
  CrashMarker& operator=(const CrashMarker&) = delete;

  // The record on which the process died last, as found when the file was opened; nothing after
  // Clear.
  std::optional<Suspect> suspect() const { return suspect_; }
  // The suspect was passed.
  void Clear();

  // Around Fold::Run, and before each record (Fold::Probe). Two stores a record. The first Enter
  // of a thread gives it a stack of its own for signals, as a fold that overflowed its stack has
  // none left.
  void Enter();
  void At(schemas::Topic topic, std::int64_t offset);
  void Leave();

 private:
  struct Mapped;
  explicit CrashMarker(Mapped* mapped) : mapped_(mapped) {}
  Mapped* mapped_;
  std::optional<Suspect> suspect_;
};

}  // namespace alertstream::runtime
