#include "api/http/router.h"

#include <algorithm>

#include "api/http/uri.h"

namespace alertstream::http {
namespace {

// The segments of "/a/b": "a", "b"; of "/": none. Nothing if the path does not begin with a slash
// or has more than kPathSegmentsMax.
std::optional<std::vector<std::string_view>> Split(std::string_view path) {
  if (!path.starts_with('/')) {
    return std::nullopt;
  }
  path.remove_prefix(1);
  std::vector<std::string_view> segments;
  if (path.empty()) {
    return segments;
  }
  while (true) {
    const std::size_t slash = path.find('/');
    segments.push_back(path.substr(0, slash));
    if (segments.size() > kPathSegmentsMax) {
      return std::nullopt;
    }
    if (slash == std::string_view::npos) {
      return segments;
    }
    path.remove_prefix(slash + 1);
  }
}

bool IsMethod(std::string_view method) {
  return !method.empty() &&
         std::all_of(method.begin(), method.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

bool IsParameter(std::string_view segment) {
  return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

}  // namespace

std::string_view RouteParams::Get(std::string_view name) const {
  for (const auto& [known, value] : values_) {
    if (known == name) {
      return value;
    }
  }
  return {};
}

Router::Router() : root_(std::make_unique<Node>()) {}
Router::~Router() = default;
Router::Router(Router&&) noexcept = default;
Router& Router::operator=(Router&&) noexcept = default;

Result<std::size_t> Router::Add(std::string_view method, std::string_view pattern) {
  const auto segments = Split(pattern);
  if (!IsMethod(method) || !segments) {
    return Error(ErrorCode::kInvalid, "route " + std::string(method) + " " + std::string(pattern) +
                                          ": a method in capitals and a path are needed");
  }
  if (routes_ == kRoutesMax) {
    return Error(ErrorCode::kInvalid, "more than " + std::to_string(kRoutesMax) + " routes");
  }
  std::vector<std::string> names;
  Node* node = root_.get();
  for (const std::string_view segment : *segments) {
    const bool literal = !segment.empty() && segment.find_first_of("{}%") == std::string_view::npos;
    if (!literal && !IsParameter(segment)) {
      return Error(ErrorCode::kInvalid,
                   "route " + std::string(pattern) + ": a segment is a literal or one {parameter}");
    }
    auto& child = literal ? node->literals[std::string(segment)] : node->parameter;
    if (!literal) {
      names.emplace_back(segment.substr(1, segment.size() - 2));
    }
    if (!child) {
      child = std::make_unique<Node>();
    }
    node = child.get();
  }
  const bool added =
      node->methods.try_emplace(std::string(method), Route{routes_, std::move(names)}).second;
  if (!added) {
    return Error(ErrorCode::kConflict,
                 "route " + std::string(method) + " " + std::string(pattern) + " is there already");
  }
  return routes_++;
}

const Router::Node* Router::Search(const Node& node, const Segments& segments, std::size_t depth,
                                   std::vector<std::size_t>* taken) {
  if (depth == segments.size()) {
    return node.methods.empty() ? nullptr : &node;
  }
  const auto literal = node.literals.find(segments[depth]);
  if (literal != node.literals.end()) {
    const Node* found = Search(*literal->second, segments, depth + 1, taken);
    if (found != nullptr) {
      return found;
    }
  }
  if (!node.parameter || segments[depth].empty()) {
    return nullptr;
  }
  taken->push_back(depth);
  const Node* found = Search(*node.parameter, segments, depth + 1, taken);
  if (found == nullptr) {
    taken->pop_back();
  }
  return found;
}

RouteMatch Router::Match(std::string_view method, std::string_view path) const {
  RouteMatch match;
  const auto split = Split(path);
  if (!split) {
    return match;
  }
  Segments segments;
  for (const std::string_view segment : *split) {
    auto decoded = PercentDecoded(segment);
    if (!decoded) {
      return match;
    }
    segments.push_back(*std::move(decoded));
  }
  std::vector<std::size_t> taken;  // The depths of the parameters.
  const Node* node = Search(*root_, segments, 0, &taken);
  if (node == nullptr) {
    return match;
  }
  auto route = node->methods.find(method);
  if (route == node->methods.end() && method == "HEAD") {
    route = node->methods.find("GET");
  }
  if (route == node->methods.end()) {
    match.outcome = RouteOutcome::kMethodNotAllowed;
    for (const auto& [known, unused] : node->methods) {
      match.allow += (match.allow.empty() ? "" : ", ") + known;
      if (known == "GET" && !node->methods.contains("HEAD")) {
        match.allow += ", HEAD";
      }
    }
    return match;
  }
  match.outcome = RouteOutcome::kFound;
  match.route = route->second.number;
  for (std::size_t i = 0; i < taken.size(); ++i) {
    match.params.Add(route->second.names[i], std::move(segments[taken[i]]));
  }
  return match;
}

}  // namespace alertstream::http
