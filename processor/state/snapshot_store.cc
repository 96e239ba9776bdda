#include "processor/state/snapshot_store.h"

namespace alertstream::state {
namespace {

// Above every key: keys begin with a tenant's name, which is ASCII.
constexpr std::string_view kEnd = "\xff";
constexpr std::uint64_t kTellEvery = 4096;

}  // namespace

Result<StateRoot> SumOf(StateStore& store, const ScanProgress& progress) {
  StateRoot sum;
  std::uint64_t keys = 0;
  bool go_on = true;
  ALERTSTREAM_RETURN_IF_ERROR(store.Scan(
      std::string_view("\x01", 1), kEnd, [&](std::string_view key, std::string_view value) {
        sum.Add(StateRoot::OfEntry(key, value));
        ++keys;
        go_on = progress == nullptr || keys % kTellEvery != 0 || progress(keys);
        return go_on;
      }));
  if (!go_on) {
    return Error(ErrorCode::kUnavailable, "stopped while a state was verified");
  }
  return sum;
}

}  // namespace alertstream::state
