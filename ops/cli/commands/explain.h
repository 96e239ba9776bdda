// `explain` and `events get`: why something was or was not sent, gate by gate, read from the log.
// Library functions over the ports of a session.
#pragma once

#include <cstddef>
#include <string>

#include "ops/cli/commands/replay.h"
#include "ops/cli/commands/session.h"

namespace alertstream::cli {

// Decisions of one event that are explained as text; the others are counted.
inline constexpr std::size_t kExplainedMax = 20;

// `what`: "last", or an id or the beginning of one: evt_…, dec_…, ntf_…; of several that fit the
// newest. kNotFound: nothing in the log fits.
//
// With `past`: what was known then, that is decisions and deliveries up to that time, and besides
// what the person's permissions were, from the state as it was.
Result<ExitCode> Explain(const Session& session, const std::string& what,
                         const PastOptions& past = {});

// The event as it lies in the log. Its data may be about people: shown only with `show_data`.
Result<ExitCode> EventsGet(const Session& session, const std::string& what, bool show_data);

}  // namespace alertstream::cli
