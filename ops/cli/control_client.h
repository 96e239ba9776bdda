// ControlClient: the control endpoint of a server, for the writing commands. Large sets leave in
// groups that the endpoint takes. Used by program.cc; belongs to one thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ops/cli/api_client.h"
#include "ops/cli/commands/control_port.h"
#include "ops/cli/settings.h"

namespace alertstream::cli {

// The server through which changes go: that of --api-url, else the dev that runs on the data
// directory, if it owns the log of the settings. Nothing: there is none, and changes are appended.
Result<std::optional<ApiTarget>> FindControl(const Settings& settings);

class ControlClient final : public ControlPort {
 public:
  // `actor`: for whom this program acts.
  ControlClient(std::unique_ptr<ApiClient> api, std::string actor)
      : api_(std::move(api)), actor_(std::move(actor)) {}

  Result<std::vector<ControlResult>> Send(std::string_view tenant,
                                          const std::vector<std::string>& documents,
                                          Wait wait) override;

 private:
  Status SendGroup(const std::string& body, std::size_t documents, Wait wait,
                   std::vector<ControlResult>* results);

  std::unique_ptr<ApiClient> api_;
  const std::string actor_;
};

// The results of an answer of the endpoint. kUnavailable: it is no such answer. Pure.
Result<std::vector<ControlResult>> ParseControlAnswer(std::string_view body);

}  // namespace alertstream::cli
