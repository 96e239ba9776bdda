#include "processor/dispatch/dispatcher.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "processor/base/log.h"

namespace alertstream::dispatch {
namespace {

// After an error that may pass: this long, then longer.
constexpr std::chrono::milliseconds kRestartAfterMin{200};
constexpr std::chrono::milliseconds kRestartAfterMax{5'000};
// Having run so long, the next error is a new one.
constexpr std::chrono::seconds kRanWell{30};
constexpr std::chrono::milliseconds kDrainStep{5};
// After the time for draining: for results that could not be committed at once.
constexpr std::chrono::milliseconds kLastResultsMax{2'000};
constexpr std::chrono::milliseconds kLastResultsPause{100};
// How often a run that met a rival at its start tries again.
constexpr int kLostStartsMax = 5;

// Between a fifth of a second and about two: long enough that one of two rivals gets ahead.
std::chrono::milliseconds AnyPause(const void* who) {
  constexpr std::uint32_t kSpread = 2'000;
  const std::string chance =
      fmt::format("{}:{}:{}", ::getpid(), who, SystemClock().SinceBoot().count());
  const Digest digest = Sha256().Update(chance).Final();
  return kRestartAfterMin + std::chrono::milliseconds(
                                (static_cast<std::uint32_t>(digest[0]) << 8 | digest[1]) % kSpread);
}

std::string ChannelName(v1::Channel channel) {
  switch (channel) {
    case v1::CHANNEL_SMS:
      return "sms";
    case v1::CHANNEL_WHATSAPP:
      return "whatsapp";
    case v1::CHANNEL_EMAIL:
      return "email";
    case v1::CHANNEL_PUSH:
      return "push";
    case v1::CHANNEL_VOICE:
      return "voice";
    case v1::CHANNEL_UNSPECIFIED:
    case v1::CHANNEL_ALL:
    case v1::Channel_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::Channel_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return "other";
}

AccountGates::OnState ShowCircuit(Metrics* metrics) {
  if (metrics == nullptr) {
    return nullptr;
  }
  return [metrics](std::string_view provider, std::string_view account, CircuitState state) {
    metrics->GaugeOf(MetricId::kCircuitState, {provider, account}).Set(static_cast<double>(state));
  };
}

}  // namespace

Result<std::unique_ptr<Dispatcher>> Dispatcher::Create(log::EventLog& log, Clock& clock,
                                                       const ProviderAccounts& accounts,
                                                       DispatcherOptions options) {
  auto dispatcher = std::unique_ptr<Dispatcher>(new Dispatcher(log, clock, std::move(options)));
  Dispatcher* const raw = dispatcher.get();
  ALERTSTREAM_ASSIGN_OR_RETURN(raw->http_, HttpClient::Create(raw->options_.http));
  for (const std::int32_t partition : raw->options_.partitions) {
    PartitionDispatchOptions each{
        .partition = partition,
        .log_id = raw->options_.log_id,
        .token_key = raw->options_.token_key,
        .connect_timeout = raw->options_.connect_timeout,
        .total_timeout = raw->options_.total_timeout,
        .waiting_max = raw->options_.waiting_max,
        .circuit_wait_max = raw->options_.circuit_wait_max,
        .checkpoint_every = raw->options_.checkpoint_every,
        .log_timeout = raw->options_.log_timeout,
        .on_attempt = [raw](const AttemptReport& report) { raw->OnAttempt(report); }};
    if (raw->options_.metrics != nullptr) {
      each.on_status = [metrics = raw->options_.metrics,
                        shown = Shown{}](const DispatchStatus& status) mutable {
        const Shown now{static_cast<double>(status.in_flight), static_cast<double>(status.waiting),
                        static_cast<double>(status.held)};
        metrics->GaugeOf(MetricId::kDispatchInFlight).Add(now.in_flight - shown.in_flight);
        metrics->GaugeOf(MetricId::kDispatchWaiting).Add(now.waiting - shown.waiting);
        metrics->GaugeOf(MetricId::kDispatchHeld).Add(now.held - shown.held);
        shown = now;
      };
    }
    Slot slot;
    slot.dispatch = std::make_unique<PartitionDispatch>(log, clock, accounts, *raw->http_,
                                                        raw->gates_, raw->budget_, std::move(each));
    raw->slots_.push_back(std::move(slot));
  }
  return dispatcher;
}

Dispatcher::Dispatcher(log::EventLog& log, Clock& clock, DispatcherOptions options)
    : log_(log),
      clock_(clock),
      options_(std::move(options)),
      gates_(options_.breaker, ShowCircuit(options_.metrics)),
      budget_(std::max<std::size_t>(options_.in_flight_max, 1)) {}

Dispatcher::~Dispatcher() {
  Stop(std::chrono::milliseconds(0));
  // Its calls end in the partitions' inboxes.
  http_.reset();
}

void Dispatcher::Start() {
  for (Slot& slot : slots_) {
    slot.thread = std::thread([this, raw = slot.dispatch.get()] { RunPartition(*raw); });
  }
}

void Dispatcher::OnAttempt(const AttemptReport& report) const {
  if (options_.metrics != nullptr) {
    options_.metrics
        ->CounterOf(MetricId::kDispatches, {ChannelName(report.channel), report.provider,
                                            OutcomeName(report.outcome.result)})
        .Add();
    if (report.called) {
      options_.metrics->HistogramOf(MetricId::kDispatchSeconds)
          .Observe(std::chrono::duration<double>(report.call).count());
    }
  }
  if (options_.on_attempt) {
    options_.on_attempt(report);
  }
}

bool Dispatcher::Pause(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  return stopped_.wait_for(lock, time, [&] { return stopping_; });
}

bool Dispatcher::MayRunOnceMore(const PartitionDispatch& dispatch) {
  SystemClock().SleepFor(kLastResultsPause);
  const std::lock_guard lock(mutex_);
  return dispatch.HasUnwritten() && SystemClock().SinceBoot() < stop_by_;
}

void Dispatcher::RunPartition(PartitionDispatch& dispatch) {
  const std::int32_t partition = dispatch.status().partition;
  auto pause = kRestartAfterMin;
  int lost_starts = 0;
  for (;;) {
    const auto begun = clock_.SinceBoot();
    const alertstream::Status ended = dispatch.Run();
    if (ended.ok()) {
      dispatch.SetPhase("stopped", "");
      return;
    }
    dispatch.SetPhase("stopped", ended.error().message());
    Log(LogLevel::kWarning, "dispatch_stopped",
        {{"partition", partition}, {"error", ended.error().message()}});
    if (options_.on_error) {
      options_.on_error(partition, ended.error());
    }
    if (ended.error().code() == ErrorCode::kFenced && !log_.ExclusiveWriter()) {
      // Another owner is at work: taking it back would only go on for ever. But of two that began
      // together each may have fenced the other.
      if (!dispatch.LostTheStart() || ++lost_starts > kLostStartsMax ||
          Pause(AnyPause(&dispatch))) {
        return;
      }
      continue;
    }
    if (ended.error().code() == ErrorCode::kCorrupt) {
      pause = kRestartAfterMax;
    } else if (clock_.SinceBoot() - begun > kRanWell) {
      pause = kRestartAfterMin;
    }
    if (Pause(pause) && !MayRunOnceMore(dispatch)) {
      return;
    }
    pause = std::min(pause * 2, kRestartAfterMax);
  }
}

void Dispatcher::Stop(std::chrono::milliseconds drain) {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(stopping_, true)) {
      return;
    }
    stop_by_ = SystemClock().SinceBoot() + drain + kLastResultsMax;
  }
  stopped_.notify_all();
  for (const Slot& slot : slots_) {
    slot.dispatch->Drain();
  }
  const auto in_flight = [&] {
    return std::any_of(slots_.begin(), slots_.end(),
                       [](const Slot& slot) { return slot.dispatch->in_flight() > 0; });
  };
  for (auto waited = std::chrono::milliseconds(0); waited < drain && in_flight();
       waited += kDrainStep) {
    SystemClock().SleepFor(kDrainStep);
  }
  if (http_ != nullptr) {  // Else Create has failed.
    http_->Stop();
  }
  for (const Slot& slot : slots_) {
    slot.dispatch->Finish(stop_by_);
  }
  for (Slot& slot : slots_) {
    if (slot.thread.joinable()) {
      slot.thread.join();
    }
  }
}

std::vector<DispatchStatus> Dispatcher::Status() const {
  std::vector<DispatchStatus> all;
  for (const Slot& slot : slots_) {
    all.push_back(slot.dispatch->status());
  }
  return all;
}

bool Dispatcher::Ready() const {
  return std::all_of(slots_.begin(), slots_.end(),
                     [](const Slot& slot) { return slot.dispatch->status().phase == "running"; });
}

std::vector<CircuitStatus> Dispatcher::Breakers() const { return gates_.All(clock_.SinceBoot()); }

bool Dispatcher::ResetBreaker(const std::string& provider, const std::string& account) {
  const bool known = gates_.Reset(provider, account);
  for (const Slot& slot : slots_) {
    slot.dispatch->Wake();
  }
  return known;
}

}  // namespace alertstream::dispatch
