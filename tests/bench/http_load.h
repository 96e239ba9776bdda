// HttpLoad: keeps a number of connections busy with prepared requests, each as soon as the answer
// before it is there, on one thread; counts answers and their latencies. For benchmarks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace alertstream::bench {

struct LoadResult {
  double seconds = 0;                    // From the first request to the last answer.
  std::map<int, std::uint64_t> answers;  // By status.
  std::vector<float> latency_ms;         // Of every answer.
};

// Sends all `requests` (whole HTTP/1.1 messages) to 127.0.0.1:`port`. Ends the process if the
// server closes a connection or says what is no HTTP.
LoadResult RunLoad(std::uint16_t port, std::size_t connections,
                   const std::vector<std::string>& requests);

// The named fraction of the sorted or unsorted values; 0 of none.
double PercentileOf(std::vector<float> values, double fraction);

}  // namespace alertstream::bench
