// The API that is asked by the query benchmark: the routes that read, guard, workers and all, in a
// process of its own, so that its CPU time and memory can be told from the load's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "api/query/cursor.h"
#include "tests/bench/http_load.h"
#include "tests/bench/server_process.h"

namespace alertstream::bench {

// Whose key the requests have.
inline constexpr const char* kBenchTenant = "t0";

// As the server seals cursors.
const api::CursorBook& BenchCursors();

// REQUIRES: this process has one thread.
ServerProcess StartQueryServer(const std::string& url, std::size_t sessions);

// Asks for every target ("notifications?limit=20"), each connection for the next as soon as it has
// an answer. Ends the program unless all are answered 200. `accept`: a media type.
LoadResult Ask(std::uint16_t port, const std::vector<std::string>& targets, std::size_t connections,
               const std::string& accept = "application/json");

}  // namespace alertstream::bench
