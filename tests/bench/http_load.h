// HttpLoad: keeps a number of connections busy with prepared requests, each as soon as the answer
// before it is there, on one thread; counts answers and their latencies. For benchmarks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "processor/base/time.h"

namespace alertstream::bench {

struct LoadResult {
  double seconds = 0;                    // From the first request to the last answer.
  std::map<int, std::uint64_t> answers;  // By status.
  std::vector<float> latency_ms;         // Of every answer.
  std::string last_body;                 // Of the last answer.
};

// Sends all `requests` (whole HTTP/1.1 messages) to 127.0.0.1:`port`. Ends the process if the
// server closes a connection or says what is no HTTP.
LoadResult RunLoad(std::uint16_t port, std::size_t connections,
                   const std::vector<std::string>& requests);

// As RunLoad, but request i is due i/`rate` seconds after the start, whatever became of those
// before it: latencies count from when a request was due. `due` becomes the wall clock of each.
LoadResult RunPaced(std::uint16_t port, std::size_t connections, double rate,
                    const std::vector<std::string>& requests, std::vector<LogTime>* due);

// The whole answer's body to a GET. Ends the process if it is not 200.
std::string Fetch(std::uint16_t port, const std::string& target);

// The named fraction of the sorted or unsorted values; 0 of none.
double PercentileOf(std::vector<float> values, double fraction);

}  // namespace alertstream::bench
