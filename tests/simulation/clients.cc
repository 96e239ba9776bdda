// The processes behind the journal: dispatchers, with the real PartitionDispatch, and projectors,
// with the real PartitionProjector. What Dispatcher and Projector do in threads of their own, start
// again after errors, is done here.
#include <fmt/format.h>

#include "processor/dispatch/partition.h"
#include "projections/partition_projector.h"
#include "tests/simulation/deployment.h"

namespace alertstream::simulation {
namespace {

using namespace std::chrono_literals;

// One account that always exists; its pace is no part of what is looked at here.
class SimAccounts final : public dispatch::ProviderAccounts {
 public:
  SimAccounts() {
    auto account = std::make_shared<dispatch::ProviderAccount>();
    account->provider = "twilio";
    account->name = "AC1";
    account->account_sid = "AC" + std::string(32, '1');
    account->auth_tokens.push_back(Redacted<std::string>(std::string(32, '2')));
    account->base_url = "https://provider.example";
    account->public_url = "https://us.example";
    account->sends_per_second = 1000;
    account->burst = 1000;
    account_ = std::move(account);
  }
  std::shared_ptr<const dispatch::ProviderAccount> Find(std::string_view /*provider*/,
                                                        std::string_view name) const override {
    return name == account_->name ? account_ : nullptr;
  }
  std::vector<std::shared_ptr<const dispatch::ProviderAccount>> All() const override {
    return {account_};
  }

 private:
  std::shared_ptr<const dispatch::ProviderAccount> account_;  // Shared with the calls under way.
};

// Of two that begin together one goes on, after so many tries at most.
constexpr int kLostStartsMax = 5;

}  // namespace

// --- dispatchers

Status Deployment::Dispatch(std::size_t index) {
  Process& process = processes_[index];
  static const SimAccounts accounts;
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto http, dispatch::HttpClient::Create({}));
  dispatch::AccountGates gates({.open_max = 4s});
  dispatch::CallBudget budget(50);
  dispatch::PartitionDispatchOptions options;
  options.log_id = writer_->identity().log_id;
  options.token_key = runtime::StoryKey();
  options.total_timeout = 3s;
  dispatch::PartitionDispatch dispatcher(*logs_[index], *clocks_[index], accounts, *http, gates,
                                         budget, options);
  for (int lost_starts = 0;;) {
    Say(process, "takes over");
    const Status ended = dispatcher.Run();
    Say(process, fmt::format("stops: {}", ended.ok() ? "" : ended.error().message()));
    if (!ended.ok() && ended.error().code() == ErrorCode::kFenced &&
        (!dispatcher.LostTheStart() || ++lost_starts > kLostStartsMax)) {
      return ended;
    }
    if (!ended.ok() && ended.error().code() == ErrorCode::kCorrupt) {
      return ended;
    }
    world_.Sleep(world_.rng().Time(50ms, 400ms));
  }
}

void Deployment::LiveDispatcher(std::size_t index) {
  Process& process = processes_[index];
  while (!world_.ending()) {
    bool died = false;
    Status ended = Status::Ok();
    try {
      if (!WaitForTurn(index)) {
        continue;
      }
      ended = Dispatch(index);
    } catch (const Crash&) {
      died = true;
    }
    if (world_.ending()) {
      return;
    }
    if (died) {
      Revive(process);
    } else if (ended.error().code() == ErrorCode::kFenced) {
      wanted_[index] = false;
    } else {
      if (ended.error().code() == ErrorCode::kCorrupt) {
        Fail("I2", fmt::format("{} stops: {}", process.name, ended.error().message()));
      }
      Rest(process, 500ms);
    }
  }
}

// --- projectors

// One try of what projections::Projector does with a partition, for ever. Ends with an error that
// somebody has to act on.
Status Deployment::Project(std::size_t index) {
  Process& process = processes_[index];
  projections::PartitionProjector projector(
      *logs_[index], {.log_id = writer_->identity().log_id, .rows_max = 200});
  bool unresolved = false;
  std::unique_ptr<SimSession> session;
  const Micros until = world_.now() + world_.rng().Time(500ms, 4s);
  // The second one is a guest that nobody meant to start.
  while (index == static_cast<std::size_t>(Role::kProjectorOne) || world_.now() < until) {
    if (session == nullptr || !session->alive()) {
      session = std::make_unique<SimSession>(world_, database_, process);
    }
    const auto step = [&]() -> Status {
      if (!projector.is_open()) {
        unresolved = false;
        ALERTSTREAM_RETURN_IF_ERROR(projector.Open(*session));
      }
      if (unresolved) {
        ALERTSTREAM_ASSIGN_OR_RETURN(const bool applied, projector.Resolve(*session));
        unresolved = false;
        if (applied) {
          return Status::Ok();
        }
        return projector.Write(*session);
      }
      ALERTSTREAM_ASSIGN_OR_RETURN(const bool any, projector.Collect(200ms));
      return any ? projector.Write(*session) : Status::Ok();
    };
    const Status stepped = step();
    if (stepped.ok()) {
      continue;
    }
    Say(process, stepped.error().message());
    const ErrorCode code = stepped.error().code();
    if (code == ErrorCode::kUnknown) {
      unresolved = true;
    } else if (code == ErrorCode::kConflict) {
      return Status::Ok();  // From the position row again.
    } else if (code != ErrorCode::kUnavailable) {
      return stepped;
    }
    world_.Sleep(50ms);
  }
  return Status::Ok();
}

void Deployment::LiveProjector(std::size_t index) {
  Process& process = processes_[index];
  while (!world_.ending()) {
    bool died = false;
    Status ended = Status::Ok();
    try {
      ended = Project(index);
    } catch (const Crash&) {
      died = true;
    }
    if (world_.ending()) {
      return;
    }
    if (died) {
      Revive(process);
      continue;
    }
    if (!ended.ok()) {
      Fail("I6", fmt::format("{} stops: {}", process.name, ended.error().message()));
    }
    if (index == static_cast<std::size_t>(Role::kProjectorOne)) {
      Rest(process, 50ms);
    } else {
      Rest(process, world_.rng().Time(1s, 6s));
    }
  }
}

}  // namespace alertstream::simulation
