#include "processor/engine/templates/template_pieces.h"

#include <algorithm>
#include <utility>

#include "processor/engine/templates/template.h"
#include "processor/engine/templates/utf8.h"

namespace alertstream::engine {
namespace {

using Kind = TemplatePiece::Kind;

constexpr std::string_view kTagSpace = " \t\r\n";
constexpr std::string_view kLineSpace = " \t";

std::string_view Trim(std::string_view text) {
  const auto first = text.find_first_not_of(kTagSpace);
  if (first == std::string_view::npos) {
    return {};
  }
  return text.substr(first, text.find_last_not_of(kTagSpace) - first + 1);
}

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '@' || c == ':';
}

// The parts of a dotted name; none if a part is empty or has another character.
std::vector<std::string> SplitName(std::string_view name) {
  std::vector<std::string> parts;
  while (true) {
    const auto dot = name.find('.');
    const std::string_view part = name.substr(0, dot);
    if (part.empty() || !std::all_of(part.begin(), part.end(), IsNameCharacter)) {
      return {};
    }
    parts.emplace_back(part);
    if (dot == std::string_view::npos) {
      return parts;
    }
    name.remove_prefix(dot + 1);
  }
}

// Whether an event has `path`, as far as that is known without its data.
bool IsEventPath(const std::vector<std::string>& path) {
  const std::string& first = path.front();
  const bool is_attribute =
      first == "id" || first == "type" || first == "source" || first == "time";
  return first == "data" || (is_attribute && path.size() == 1);
}

class Cutter {
 public:
  explicit Cutter(std::string_view body) : body_(body) {}

  Result<std::vector<TemplatePiece>> Cut() {
    ALERTSTREAM_RETURN_IF_ERROR(CheckText());
    while (true) {
      const auto tag = body_.find("{{", position_);
      literal_ += body_.substr(position_, tag - position_);
      if (tag == std::string_view::npos) {
        break;
      }
      ALERTSTREAM_RETURN_IF_ERROR(CutTag(tag));
    }
    FlushLiteral();
    if (!open_.empty()) {
      return ErrorAt(open_.back().begin, "the section is never closed");
    }
    return std::move(pieces_);
  }

 private:
  struct OpenSection {
    std::size_t piece;
    std::size_t begin;  // Byte of its tag.
  };

  // A tag as it stands in the text: {{ sigil name }}.
  struct Tag {
    std::size_t begin;
    std::size_t end;
    char sigil;  // '\0' for a plain variable; '{' for {{{name}}}.
    std::string_view name;
  };

  Status CheckText() const {
    if (body_.size() > kTemplateBytesMax) {
      return Error(ErrorCode::kInvalid,
                   "template: longer than " + std::to_string(kTemplateBytesMax) + " bytes");
    }
    for (std::size_t at = 0; at < body_.size();) {
      const CodePoint next = FirstCodePoint(body_.substr(at));
      if (next.value == kMalformed || next.value == 0) {
        return ErrorAt(at, next.value == 0 ? "U+0000 is not text" : "not valid UTF-8");
      }
      at += next.bytes;
    }
    return Status::Ok();
  }

  Error ErrorAt(std::size_t byte, std::string_view reason) const {
    const std::string_view before = body_.substr(0, byte);
    const auto line = 1 + std::count(before.begin(), before.end(), '\n');
    const auto newline = before.rfind('\n');
    const std::string_view same_line =
        newline == std::string_view::npos ? before : before.substr(newline + 1);
    const auto column = 1 + std::count_if(same_line.begin(), same_line.end(), [](char c) {
                          return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
                        });
    return Error(ErrorCode::kInvalid, "template: line " + std::to_string(line) + ", column " +
                                          std::to_string(column) + ": " + std::string(reason));
  }

  Status CutTag(std::size_t begin) {
    if (++tags_ > kTemplateTagsMax) {
      return ErrorAt(begin, "more than " + std::to_string(kTemplateTagsMax) + " tags");
    }
    ALERTSTREAM_ASSIGN_OR_RETURN(const Tag tag, ReadTag(begin));
    position_ = tag.end;
    switch (tag.sigil) {
      case '\0':
      case '&':
      case '{':
        return AddNamed(Kind::kVariable, tag);
      case '!':
        TakeLine(tag);
        return Status::Ok();
      case '#':
        TakeLine(tag);
        return OpenNamed(Kind::kSection, tag);
      case '^':
        TakeLine(tag);
        return OpenNamed(Kind::kInverted, tag);
      case '/':
        TakeLine(tag);
        return Close(tag);
      case '>':
        return ErrorAt(begin, "partials are not supported");
      case '=':
        return ErrorAt(begin, "other delimiters are not supported");
      default:
        return ErrorAt(begin, "inheritance is not supported");
    }
  }

  Result<Tag> ReadTag(std::size_t begin) const {
    const bool triple = body_.substr(begin + 2).starts_with('{');
    const std::string_view closer = triple ? "}}}" : "}}";
    const std::size_t inner = begin + closer.size();
    const auto end = body_.find(closer, inner);
    if (end == std::string_view::npos) {
      return ErrorAt(begin, "the tag is not closed");
    }
    Tag tag{.begin = begin, .end = end + closer.size(), .sigil = triple ? '{' : '\0', .name = {}};
    tag.name = Trim(body_.substr(inner, end - inner));
    constexpr std::string_view kSigils = "#^/&!>=<$";
    if (!triple && !tag.name.empty() && kSigils.find(tag.name.front()) != std::string_view::npos) {
      tag.sigil = tag.name.front();
      tag.name = Trim(tag.name.substr(1));
    }
    return tag;
  }

  // If `tag` is alone on its line, takes the rest of the line out of the text: the white space
  // before it from the literal, what follows up to the line end by stepping over it.
  void TakeLine(const Tag& tag) {
    const auto before = body_.substr(0, tag.begin).find_last_not_of(kLineSpace);
    if (before != std::string_view::npos && body_[before] != '\n') {
      return;
    }
    auto after = body_.find_first_not_of(kLineSpace, tag.end);
    if (after == std::string_view::npos) {
      after = body_.size();
    } else if (body_.substr(after).starts_with("\r\n")) {
      after += 2;
    } else if (body_[after] == '\n') {
      after += 1;
    } else {
      return;
    }
    const auto kept = literal_.find_last_not_of(kLineSpace);
    literal_.erase(kept == std::string::npos ? 0 : kept + 1);
    position_ = after;
  }

  Status AddNamed(Kind kind, const Tag& tag) {
    TemplatePiece piece{
        .kind = kind, .text = std::string(tag.name), .path = {}, .section = 0, .cost = 1};
    if (tag.name.empty()) {
      return ErrorAt(tag.begin, "the tag has no name");
    }
    if (tag.name == ".") {
      if (entered_ == 0) {
        return ErrorAt(tag.begin, "{{.}} stands only inside a section");
      }
    } else {
      piece.path = SplitName(tag.name);
      if (piece.path.empty()) {
        return ErrorAt(tag.begin, "a name is made of letters, digits, _, -, @, : and single dots");
      }
      if (entered_ == 0 && !IsEventPath(piece.path)) {
        return ErrorAt(tag.begin, "names begin with data, or are one of id, type, source, time");
      }
    }
    FlushLiteral();
    AddPiece(std::move(piece));
    return Status::Ok();
  }

  Status OpenNamed(Kind kind, const Tag& tag) {
    if (open_.size() == kTemplateNestingMax) {
      return ErrorAt(tag.begin,
                     "sections are nested deeper than " + std::to_string(kTemplateNestingMax));
    }
    ALERTSTREAM_RETURN_IF_ERROR(AddNamed(kind, tag));
    open_.push_back({.piece = pieces_.size() - 1, .begin = tag.begin});
    entered_ += kind == Kind::kSection ? 1 : 0;
    return Status::Ok();
  }

  Status Close(const Tag& tag) {
    if (open_.empty()) {
      return ErrorAt(tag.begin, "closes a section that is not open");
    }
    const std::size_t section = open_.back().piece;
    if (pieces_[section].text != tag.name) {
      return ErrorAt(tag.begin, "closes another section than the innermost one");
    }
    FlushLiteral();
    entered_ -= pieces_[section].kind == Kind::kSection ? 1 : 0;
    open_.pop_back();
    AddPiece({.kind = Kind::kEnd, .text = {}, .path = {}, .section = section, .cost = 0});
    return Status::Ok();
  }

  void FlushLiteral() {
    if (!literal_.empty()) {
      AddPiece({.kind = Kind::kText,
                .text = std::exchange(literal_, {}),
                .path = {},
                .section = 0,
                .cost = 0});
    }
  }

  void AddPiece(TemplatePiece piece) {
    if (!open_.empty()) {
      const std::size_t text_bytes = piece.kind == Kind::kText ? piece.text.size() : 0;
      pieces_[open_.back().piece].cost += 1 + text_bytes;
    }
    pieces_.push_back(std::move(piece));
  }

  const std::string_view body_;
  std::size_t position_ = 0;
  std::string literal_;  // Text since the last piece.
  std::vector<TemplatePiece> pieces_;
  std::vector<OpenSection> open_;
  std::size_t entered_ = 0;  // Open sections that are not inverted: {{.}} means something.
  std::size_t tags_ = 0;
};

}  // namespace

Result<std::vector<TemplatePiece>> CutTemplate(std::string_view body) { return Cutter(body).Cut(); }

}  // namespace alertstream::engine
