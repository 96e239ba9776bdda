// `serve`: the parts of a server by its target, put together; and the pieces that dev needs too.
// Part of the wiring; belongs to one thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "ops/cli/commands/serve.h"
#include "ops/cli/program.h"
#include "ops/cli/provider_desk.h"
#include "ops/cli/wiring.h"
#include "ops/identity/keys_file.h"
#include "processor/log/kafka/group_offsets.h"

namespace alertstream::cli {

struct ServerTargets {
  bool processor = false;
  bool api = false;
  bool dispatcher = false;
  bool projector = false;
};
// processor, api, dispatcher, projector or all.
Result<ServerTargets> ParseServerTarget(std::string_view text);

// Who may call and what messages leave through, as the last part of a server: the others use it.
class IdentityPart : public ServerPart {
 public:
  // `adjust_account` may be empty. `settings`, `clock` and `metrics` outlive the part.
  static Result<std::unique_ptr<IdentityPart>> Open(const Settings& settings, Clock& clock,
                                                    Metrics& metrics,
                                                    identity::AccountAdjuster adjust_account);

  identity::KeysFile& keys() { return *keys_; }
  ServerDesk& desk() { return *desk_; }

  std::string_view name() const override { return "keys"; }
  HealthState Health() const override;
  void Tick() override {}
  bool Stop(std::chrono::milliseconds deadline) override;

 private:
  IdentityPart(std::unique_ptr<identity::KeysFile> keys, std::unique_ptr<ServerDesk> desk)
      : keys_(std::move(keys)), desk_(std::move(desk)) {}

  const std::unique_ptr<identity::KeysFile> keys_;
  const std::unique_ptr<ServerDesk> desk_;
};

// Processor, group offsets and the time to drain, from the settings. `deployment` and what is
// returned in `offsets` outlive the options' use.
Result<ServeOptions> MakeServeOptions(Program& program, const Deployment& deployment,
                                      bool with_processor,
                                      std::unique_ptr<log::KafkaGroupOffsets>* offsets);

Result<ExitCode> RunServe(Program& program, std::string_view target);

}  // namespace alertstream::cli
