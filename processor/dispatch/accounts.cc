#include "processor/dispatch/accounts.h"

#include <algorithm>

namespace alertstream::dispatch {

bool IsAccountWord(std::string_view text) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  };
  return !text.empty() && text.size() <= kAccountNameBytesMax &&
         std::all_of(text.begin(), text.end(), is_plain);
}

bool IsServerUrl(std::string_view url, UrlPath path) {
  const std::size_t scheme = url.starts_with("https://") ? 8 : (url.starts_with("http://") ? 7 : 0);
  if (scheme == 0 || url.size() > kAccountUrlBytesMax || url.size() == scheme) {
    return false;
  }
  const std::string_view rest = url.substr(scheme);
  const auto fits = [](char c) {
    return c > ' ' && c <= '~' && c != '?' && c != '#' && c != '@' && c != '"' && c != '\\';
  };
  return rest.front() != '/' && rest.back() != '/' &&
         (path == UrlPath::kAllowed || rest.find('/') == std::string_view::npos) &&
         std::all_of(rest.begin(), rest.end(), fits);
}

}  // namespace alertstream::dispatch
