#include "api/query/accept.h"

#include <algorithm>
#include <array>
#include <string>

namespace alertstream::api {
namespace {

constexpr std::array kForms = {ListForm::kJson, ListForm::kCsv, ListForm::kLines};

std::string_view Trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) {
    return {};
  }
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// Up to the next `separator`, which is taken off too.
std::string_view TakeUntil(char separator, std::string_view* text) {
  const std::size_t end = std::min(text->find(separator), text->size());
  const std::string_view part = Trimmed(text->substr(0, end));
  text->remove_prefix(std::min(end + 1, text->size()));
  return part;
}

std::string_view MediaTypeOf(ListForm form) {
  switch (form) {
    case ListForm::kJson:
      return "application/json";
    case ListForm::kCsv:
      return "text/csv";
    case ListForm::kLines:
      return "application/x-ndjson";
  }
  return "";
}

// How exactly a range names the form: 3 by itself, 2 by its type, 1 as everything, 0 not at all.
int Exactness(std::string_view range, ListForm form) {
  const std::string_view type = MediaTypeOf(form);
  if (http::EqualsIgnoringCase(range, type)) {
    return 3;
  }
  if (range.ends_with("/*") && http::EqualsIgnoringCase(range.substr(0, range.size() - 1),
                                                        type.substr(0, type.find('/') + 1))) {
    return 2;
  }
  return range == "*/*" ? 1 : 0;
}

// In thousandths; what is malformed is no wish.
int QualityOf(std::string_view parameters) {
  while (!parameters.empty()) {
    const std::string_view parameter = TakeUntil(';', &parameters);
    if (parameter.size() < 3 || (parameter[0] != 'q' && parameter[0] != 'Q') ||
        parameter[1] != '=') {
      continue;
    }
    const std::string_view value = parameter.substr(2);
    if (value[0] == '1') {
      return 1000;
    }
    int quality = 0;
    int unit = 100;
    for (const char c : value.substr(std::min<std::size_t>(2, value.size()))) {
      if (c < '0' || c > '9') {
        return 0;
      }
      quality += (c - '0') * unit;
      unit /= 10;
    }
    return quality;
  }
  return 1000;
}

}  // namespace

std::string_view ContentTypeOf(ListForm form) {
  return form == ListForm::kCsv ? "text/csv; charset=utf-8; header=present" : MediaTypeOf(form);
}

std::optional<ListForm> AcceptedForm(const http::Headers& headers) {
  struct Wish {
    int exactness = 0;
    int quality = 0;
  };
  std::array<Wish, kForms.size()> wishes{};
  bool has_any = false;
  for (const http::HeaderField& field : headers.fields()) {
    if (!http::EqualsIgnoringCase(field.name, "Accept")) {
      continue;
    }
    has_any = true;
    std::string_view ranges = field.value;
    while (!ranges.empty()) {
      std::string_view parameters = TakeUntil(',', &ranges);
      const std::string_view range = TakeUntil(';', &parameters);
      const int quality = QualityOf(parameters);
      for (std::size_t i = 0; i < kForms.size(); ++i) {
        const int exactness = Exactness(range, kForms[i]);
        if (exactness > wishes[i].exactness) {
          wishes[i] = {exactness, quality};
        }
      }
    }
  }
  if (!has_any) {
    return ListForm::kJson;
  }
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < kForms.size(); ++i) {
    if (wishes[i].quality > 0 && (!best || wishes[i].quality > wishes[*best].quality)) {
      best = i;
    }
  }
  return best ? std::optional(kForms[*best]) : std::nullopt;
}

}  // namespace alertstream::api
