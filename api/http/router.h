// Router: which route a method and a path mean. Built once, then a pure function that any thread
// may call; it knows nothing of handlers, requests or sockets. Used by Routes (routes.h).
//
// A pattern is a path whose segments are literals or parameters: "/api/v1/triggers/{id}". A
// literal wins over a parameter at the same place. A parameter matches one segment that is not
// empty, and is given without its percent escapes, so "%2F" is a character of a value and never
// divides. Paths are compared as they are: a slash at the end or a doubled slash makes another
// path, which no route has; nobody is redirected, because a redirect loses the body of a POST.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "processor/base/result.h"

namespace alertstream::http {

inline constexpr std::size_t kRoutesMax = 1024;      // Routes are written by hand.
inline constexpr std::size_t kPathSegmentsMax = 32;  // Bounds the search of one path.

// The parameters of a matched path in the order of the pattern.
class RouteParams {
 public:
  void Add(std::string name, std::string value) {
    values_.emplace_back(std::move(name), std::move(value));
  }
  // The value of a parameter of the matched pattern; empty if the pattern has none of that name.
  std::string_view Get(std::string_view name) const;
  std::size_t size() const { return values_.size(); }

 private:
  std::vector<std::pair<std::string, std::string>> values_;
};

enum class RouteOutcome { kFound, kNotFound, kMethodNotAllowed };

struct RouteMatch {
  RouteOutcome outcome = RouteOutcome::kNotFound;
  std::size_t route = 0;  // What Add returned; kFound only.
  RouteParams params;     // kFound only.
  std::string allow;      // The value of the Allow field; kMethodNotAllowed only.
};

class Router {
 public:
  Router();
  ~Router();
  Router(Router&&) noexcept;
  Router& operator=(Router&&) noexcept;

  // The route's number: 0, 1, 2, ... in the order of the calls. kInvalid: the pattern or method is
  // malformed, or there are kRoutesMax; kConflict: the same method and pattern again.
  Result<std::size_t> Add(std::string_view method, std::string_view pattern);

  // HEAD goes to the GET route where it has none of its own.
  RouteMatch Match(std::string_view method, std::string_view path) const;

 private:
  struct Route {
    std::size_t number;
    std::vector<std::string> names;
  };
  struct Node {
    std::map<std::string, std::unique_ptr<Node>, std::less<>> literals;
    std::unique_ptr<Node> parameter;
    std::map<std::string, Route, std::less<>> methods;
  };
  using Segments = std::vector<std::string>;

  static const Node* Search(const Node& node, const Segments& segments, std::size_t depth,
                            std::vector<std::size_t>* taken);

  std::unique_ptr<Node> root_;
  std::size_t routes_ = 0;
};

}  // namespace alertstream::http
