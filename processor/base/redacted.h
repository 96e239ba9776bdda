// Redacted<T>: a value that must never reach a log line, a metric or an error: telephone numbers,
// e-mail addresses, secrets, message bodies. It has no stream operator and no fmt formatter, so
// printing one does not compile; Reveal() is the one, searchable, way out.
#pragma once

#include <utility>

namespace alertstream {

template <typename T>
class Redacted {
 public:
  Redacted() = default;
  explicit Redacted(T value) : value_(std::move(value)) {}

  const T& Reveal() const { return value_; }

  friend bool operator==(const Redacted&, const Redacted&) = default;

 private:
  T value_{};
};

}  // namespace alertstream
