#include "processor/runtime/crash_marker.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <mutex>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace alertstream::runtime {

// Fixed layout; a file of another layout is started anew.
struct CrashMarker::Mapped {
  std::uint64_t magic;
  volatile std::int64_t offset;
  volatile std::uint32_t topic;
  volatile std::uint32_t folding;
  volatile std::uint32_t signal;  // Set by the handler.
  std::uint32_t crashes;          // On (suspect_topic, suspect_offset).
  std::uint32_t suspect_topic;
  std::int64_t suspect_offset;
  std::uint64_t log;  // The beginning of the log id; 0: written before there was this field.
};

namespace {

constexpr std::uint64_t kMagic = 0x414c525443525331;  // "ALRTCRS1"
constexpr std::array<int, 4> kSignals = {SIGSEGV, SIGBUS, SIGFPE, SIGABRT};
std::array<struct sigaction, kSignals.size()> g_previous;

// Where the handler leaves the signal for the batch that this thread is folding; null: none. Of
// trivial type, so that a handler may read it.
thread_local volatile std::uint32_t* t_signal = nullptr;

void OnSignal(int signal) {
  if (t_signal != nullptr) {
    *t_signal = static_cast<std::uint32_t>(signal);
  }
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    if (kSignals[i] == signal) {
      sigaction(signal, &g_previous[i], nullptr);
    }
  }
  raise(signal);
}

// A thread's stack for signals, for as long as the thread lives.
class SignalStack {
 public:
  SignalStack() : memory_(kBytes) {
    stack_t stack{};
    stack.ss_sp = memory_.data();
    stack.ss_size = memory_.size();
    sigaltstack(&stack, nullptr);  // Without one only an overflow of the stack leaves no mark.
  }
  ~SignalStack() {
    stack_t none{};
    none.ss_flags = SS_DISABLE;
    sigaltstack(&none, nullptr);
  }
  SignalStack(const SignalStack&) = delete;
  SignalStack& operator=(const SignalStack&) = delete;

 private:
  // What the handler needs, and a sanitizer's or a core dumper's handler after it.
  static constexpr std::size_t kBytes = std::size_t{64} << 10;
  std::vector<char> memory_;
};

std::uint64_t BeginningOf(std::string_view log_id) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < std::min(sizeof(value), log_id.size()); ++i) {
    value = (value << 8) | static_cast<unsigned char>(log_id[i]);
  }
  return value;
}

void InstallHandlers() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action {};
    action.sa_handler = OnSignal;
    action.sa_flags = SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    for (std::size_t i = 0; i < kSignals.size(); ++i) {
      sigaction(kSignals[i], &action, &g_previous[i]);
    }
  });
}

}  // namespace

Result<std::unique_ptr<CrashMarker>> CrashMarker::Open(const std::string& path,
                                                       std::string_view log_id) {
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0 || ftruncate(file, sizeof(Mapped)) != 0) {
    if (file >= 0) {
      close(file);
    }
    return Error(ErrorCode::kUnavailable, "crash marker " + path + ": cannot be opened");
  }
  void* memory = mmap(nullptr, sizeof(Mapped), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (memory == MAP_FAILED) {
    return Error(ErrorCode::kUnavailable, "crash marker " + path + ": cannot be mapped");
  }
  InstallHandlers();
  auto* mapped = static_cast<Mapped*>(memory);
  auto marker = std::unique_ptr<CrashMarker>(new CrashMarker(mapped));
  const std::uint64_t log = BeginningOf(log_id);
  if (mapped->magic != kMagic || (mapped->log != 0 && log != 0 && mapped->log != log)) {
    std::memset(memory, 0, sizeof(Mapped));
    mapped->magic = kMagic;
  }
  mapped->log = log == 0 ? mapped->log : log;
  const bool known_topic = mapped->topic >= 1 && mapped->topic <= schemas::kTopicCount;
  if (mapped->folding != 0 && mapped->signal != 0 && known_topic) {
    const bool again =
        mapped->suspect_topic == mapped->topic && mapped->suspect_offset == mapped->offset;
    mapped->crashes = again ? mapped->crashes + 1 : 1;
    mapped->suspect_topic = mapped->topic;
    mapped->suspect_offset = mapped->offset;
  }
  mapped->folding = 0;
  mapped->signal = 0;
  if (mapped->crashes > 0) {
    marker->suspect_ = Suspect{static_cast<schemas::Topic>(mapped->suspect_topic),
                               mapped->suspect_offset, mapped->crashes};
  }
  return marker;
}

std::optional<CrashMarker::Suspect> CrashMarker::Peek(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    return std::nullopt;
  }
  std::array<char, offsetof(Mapped, log)> bytes{};  // All that is asked for here.
  const bool whole = read(file, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
  close(file);
  const auto field = [&]<typename T>(std::size_t at, T value) {
    std::memcpy(&value, bytes.data() + at, sizeof(value));
    return value;
  };
  const auto topic = field(offsetof(Mapped, suspect_topic), std::uint32_t{0});
  const auto crashes = field(offsetof(Mapped, crashes), std::uint32_t{0});
  if (!whole || field(offsetof(Mapped, magic), std::uint64_t{0}) != kMagic || crashes == 0 ||
      topic < 1 || topic > schemas::kTopicCount) {
    return std::nullopt;
  }
  return Suspect{static_cast<schemas::Topic>(topic),
                 field(offsetof(Mapped, suspect_offset), std::int64_t{0}), crashes};
}

CrashMarker::~CrashMarker() { munmap(mapped_, sizeof(Mapped)); }

void CrashMarker::Clear() {
  mapped_->crashes = 0;
  suspect_.reset();
}

void CrashMarker::Enter() {
  static thread_local const SignalStack stack;
  static_cast<void>(stack);
  mapped_->topic = 0;
  mapped_->folding = 1;
  t_signal = &mapped_->signal;
}

void CrashMarker::At(schemas::Topic topic, std::int64_t offset) {
  mapped_->topic = static_cast<std::uint32_t>(topic);
  mapped_->offset = offset;
}

void CrashMarker::Leave() {
  t_signal = nullptr;
  mapped_->folding = 0;
}

}  // namespace alertstream::runtime
