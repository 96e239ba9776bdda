#include "ops/simulator/traffic.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "processor/base/id.h"
#include "processor/base/rfc3339.h"
#include "schemas/json.h"

namespace alertstream::simulator {
namespace {

void AppendText(std::string_view name, std::string_view value, std::string* out) {
  out->append(out->ends_with('{') ? "\"" : ",\"").append(name).append("\":");
  schemas::AppendJsonString(value, out);
}

void AppendNumber(std::string_view name, std::uint64_t value, std::string* out) {
  out->append(out->ends_with('{') ? "\"" : ",\"").append(name).append("\":");
  out->append(std::to_string(value));
}

template <typename T>
std::vector<std::shared_ptr<const T>> Newest(const std::deque<std::shared_ptr<const T>>& all,
                                             std::size_t limit) {
  const std::size_t count = std::min(limit, all.size());
  return {all.end() - static_cast<std::ptrdiff_t>(count), all.end()};
}

template <typename T>
void Keep(std::shared_ptr<const T> entry, std::size_t entries_max,
          std::deque<std::shared_ptr<const T>>* all) {
  all->push_back(std::move(entry));
  if (all->size() > entries_max) {
    all->pop_front();
  }
}

}  // namespace

// The last bytes of an id are a hash already.
std::size_t Traffic::HashOfKey::operator()(const Key& key) const {
  std::size_t hash = 0;
  std::memcpy(&hash, key.data() + key.size() - sizeof hash, sizeof hash);
  return hash;
}

std::shared_ptr<const Message> Traffic::Accept(Message message) {
  const auto key = ParseId(IdKind::kNotification, message.key);
  auto kept = std::make_shared<Message>(std::move(message));
  const std::lock_guard lock(mutex_);
  kept->attempt = 1;
  if (key.ok()) {
    auto found = accepted_.find(key.value());
    if (found == accepted_.end() && accepted_.size() < limits_.keys_max) {
      found = accepted_.emplace(key.value(), 0).first;
    }
    if (found == accepted_.end()) {
      ++keys_uncounted_;
    } else {
      kept->attempt = ++found->second;
    }
  }
  ++messages_total_;
  Keep<Message>(kept, limits_.messages_max, &messages_);
  return kept;
}

void Traffic::Note(RequestEntry request) {
  if (request.path.size() > kPathBytesMax) {
    request.path.resize(kPathBytesMax);
    request.path.shrink_to_fit();
  }
  auto kept = std::make_shared<const RequestEntry>(std::move(request));
  const std::lock_guard lock(mutex_);
  ++requests_total_;
  Keep(std::move(kept), limits_.requests_max, &requests_);
}

void Traffic::Clear() {
  const std::lock_guard lock(mutex_);
  messages_.clear();
  requests_.clear();
  accepted_.clear();
  messages_total_ = requests_total_ = keys_uncounted_ = 0;
}

std::string Traffic::MessagesJson(std::size_t limit) const {
  std::vector<std::shared_ptr<const Message>> messages;
  std::string end = "]";
  {
    const std::lock_guard lock(mutex_);
    messages = Newest(messages_, limit);
    AppendNumber("distinct_keys", accepted_.size(), &end);
    AppendNumber("total", messages_total_, &end);
    AppendNumber("kept", messages_.size(), &end);
    AppendNumber("keys_uncounted", keys_uncounted_, &end);
  }
  std::string json = R"({"messages":[)";
  for (const auto& message : messages) {
    json.append(json.ends_with('[') ? "{" : ",{");
    AppendText("key", message->key, &json);
    AppendText("sid", message->sid, &json);
    AppendText("to", message->to, &json);
    AppendText("from", message->from, &json);
    AppendText("body", message->body, &json);
    AppendNumber("attempt", message->attempt, &json);
    AppendText("received_at", FormatRfc3339(message->received_at), &json);
    json.append("}");
  }
  return json.append(end).append("}");
}

std::string Traffic::RequestsJson(std::size_t limit) const {
  std::vector<std::shared_ptr<const RequestEntry>> requests;
  std::string end = "]";
  {
    const std::lock_guard lock(mutex_);
    requests = Newest(requests_, limit);
    AppendNumber("total", requests_total_, &end);
    AppendNumber("kept", requests_.size(), &end);
  }
  std::string json = R"({"requests":[)";
  for (const auto& request : requests) {
    json.append(json.ends_with('[') ? "{" : ",{");
    AppendText("received_at", FormatRfc3339(request->received_at), &json);
    AppendText("method", request->method, &json);
    AppendText("path", request->path, &json);
    AppendNumber("status", static_cast<std::uint64_t>(request->status), &json);
    AppendNumber("code", static_cast<std::uint64_t>(request->code), &json);
    AppendText("fault", request->fault, &json);
    AppendText("key", request->key, &json);
    AppendText("sid", request->sid, &json);
    AppendText("to", request->to, &json);
    AppendText("from", request->from, &json);
    json.append("}");
  }
  return json.append(end).append("}");
}

}  // namespace alertstream::simulator
