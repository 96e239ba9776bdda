// Templates on kainjow's Mustache library. The text is cut into pieces first (template_pieces.h)
// and handed to the library as tags only, each named by the number of its piece:
// `{{#0}}{{&1}}{{/0}}`. The library then checks the structure and drives sections and loops; what a
// piece prints is decided here. So absent values are errors, nothing is escaped, and the library's
// own ideas of white space, dotted names and growth do not matter. Without sections the pieces are
// simply printed in order.
#include "processor/engine/templates/template.h"

#include <array>
#include <charconv>
#include <cmath>
#include <deque>
#include <utility>
#include <vector>

#include <kainjow/mustache.hpp>

#include "processor/base/check.h"
#include "processor/base/rfc3339.h"
#include "processor/engine/templates/template_pieces.h"

namespace alertstream::engine {
namespace {

namespace mustache = kainjow::mustache;
using Kind = TemplatePiece::Kind;
using schemas::JsonType;
using schemas::JsonValue;

// What a name stands for: nothing, the whole event, an attribute of it, or a part of its data.
struct Value {
  enum class Kind : std::uint8_t { kAbsent, kEvent, kText, kJson };

  Kind kind = Kind::kAbsent;
  std::string_view text;
  std::optional<JsonValue> json;

  static Value Of(std::optional<JsonValue> json) {
    return {.kind = json ? Kind::kJson : Kind::kAbsent, .text = {}, .json = json};
  }
  static Value OfEvent() { return {.kind = Kind::kEvent, .text = {}, .json = {}}; }
  static Value Of(std::string_view text) { return {.kind = Kind::kText, .text = text, .json = {}}; }
};

// Whether a section over `value` is entered.
bool IsTrue(const Value& value) {
  if (value.kind != Value::Kind::kJson) {
    return value.kind != Value::Kind::kAbsent;
  }
  switch (value.json->type()) {
    case JsonType::kNull:
      return false;
    case JsonType::kBool:
      return value.json->AsBool();
    case JsonType::kArray:
      return value.json->size() != 0;
    case JsonType::kInt:
    case JsonType::kDouble:
    case JsonType::kString:
    case JsonType::kObject:
      return true;
  }
  return false;
}

// Plain decimals where people expect them, as JavaScript prints numbers: 0.000001 up to 1e21.
void AppendDouble(double number, std::string* out) {
  if (number == 0) {
    *out += '0';  // Negative zero too.
    return;
  }
  const double magnitude = std::fabs(number);
  const bool plain = magnitude >= 1e-6 && magnitude < 1e21;
  std::array<char, 64> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number,
                                 plain ? std::chars_format::fixed : std::chars_format::scientific);
  ALERTSTREAM_CHECK(end.ec == std::errc());
  out->append(digits.data(), end.ptr);
}

// Appends `value` as text, or returns why it has none ("is absent").
std::string_view AppendJsonText(JsonValue value, std::string* out) {
  switch (value.type()) {
    case JsonType::kNull:
      return "is null";
    case JsonType::kBool:
      *out += value.AsBool() ? "true" : "false";
      return {};
    case JsonType::kInt:
      *out += std::to_string(value.AsInt());
      return {};
    case JsonType::kDouble:
      AppendDouble(value.AsDouble(), out);
      return {};
    case JsonType::kString:
      *out += value.AsString();
      return {};
    case JsonType::kArray:
      return "is an array, not a single value";
    case JsonType::kObject:
      return "is an object, not a single value";
  }
  return "is absent";
}

// One Render: the output so far, the values whose sections are open, and the first error.
class Rendering {
 public:
  Rendering(const TemplateEvent& event, std::string* out) : event_(event), out_(*out) {
    out_.clear();
  }

  bool failed() const { return error_.has_value(); }

  Status Finish() && { return error_ ? Status(*std::move(error_)) : Status::Ok(); }

  void Print(const TemplatePiece& piece) {
    if (piece.kind == Kind::kText) {
      out_ += piece.text;
    } else {
      PrintVariable(piece);
    }
    if (out_.size() > kRenderedBytesMax) {
      Fail("the output is longer than " + std::to_string(kRenderedBytesMax) + " bytes");
    }
  }

  Value Find(const TemplatePiece& piece) {
    if (piece.path.empty()) {
      return scopes_.empty() ? Value::OfEvent() : scopes_.back();
    }
    Value value;
    for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
      value = Member(*scope, piece.path.front());
      if (value.kind != Value::Kind::kAbsent) {
        break;
      }
    }
    if (value.kind == Value::Kind::kAbsent) {
      value = Member(Value::OfEvent(), piece.path.front());
    }
    for (std::size_t i = 1; i < piece.path.size(); ++i) {
      value = Member(value, piece.path[i]);
    }
    return value;
  }

  void Enter(const Value& value) { scopes_.push_back(value); }
  void Leave() { scopes_.pop_back(); }
  std::size_t depth() const { return scopes_.size() + 1; }

  // Counts work about to be done. Afterwards the rendering may have failed.
  void Spend(std::size_t steps) {
    if (steps > kRenderStepsMax - steps_) {
      Fail("rendering takes more than " + std::to_string(kRenderStepsMax) + " steps");
      return;
    }
    steps_ += steps;
  }

 private:
  void Fail(std::string reason) {
    if (!error_) {
      error_ = Error(ErrorCode::kInvalid, "template: " + std::move(reason));
    }
  }

  void PrintVariable(const TemplatePiece& piece) {
    const Value value = Find(piece);
    std::string_view reason;
    switch (value.kind) {
      case Value::Kind::kText:
        out_ += value.text;
        break;
      case Value::Kind::kJson:
        reason = AppendJsonText(*value.json, &out_);
        break;
      case Value::Kind::kAbsent:
      case Value::Kind::kEvent:
        reason = "is absent";
        break;
    }
    if (!reason.empty()) {
      Fail(piece.text + " " + std::string(reason));
    }
  }

  Value Member(const Value& value, std::string_view name) {
    if (value.kind == Value::Kind::kEvent) {
      return Attribute(name);
    }
    if (value.kind != Value::Kind::kJson || value.json->type() != JsonType::kObject) {
      return {};
    }
    // Members are searched one after another; comparing eight costs about what printing a piece
    // does.
    Spend(1 + value.json->size() / 8);
    return failed() ? Value{} : Value::Of(value.json->Find(name));
  }

  Value Attribute(std::string_view name) {
    if (name == "data") {
      return Value::Of(event_.data);
    }
    if (name == "id") {
      return Value::Of(event_.id);
    }
    if (name == "type") {
      return Value::Of(event_.type);
    }
    if (name == "source") {
      return Value::Of(event_.source);
    }
    if (name != "time") {
      return {};
    }
    if (time_.empty()) {
      time_ = FormatRfc3339(event_.time);
    }
    return Value::Of(std::string_view(time_));
  }

  const TemplateEvent& event_;
  std::string& out_;
  std::string time_;           // Of the event; written when first asked for.
  std::vector<Value> scopes_;  // The open sections within the event, the innermost last.
  std::size_t steps_ = 0;
  std::optional<Error> error_;
};

// What the library asks while it walks: it calls get() once for each tag it meets, in order, and
// push() and pop() around each pass over a section's body.
class SectionDriver final : public mustache::basic_context<std::string> {
 public:
  SectionDriver(const std::vector<TemplatePiece>& pieces, Rendering* rendering)
      : pieces_(pieces), rendering_(rendering) {}

  const mustache::data* get(const std::string& name) const override {
    std::size_t index = 0;
    std::from_chars(name.data(), name.data() + name.size(), index);
    ALERTSTREAM_CHECK(index < pieces_.size());
    const TemplatePiece& piece = pieces_[index];
    switch (piece.kind) {
      case Kind::kText:
      case Kind::kVariable:
        if (!rendering_->failed()) {
          rendering_->Print(piece);
        }
        return nullptr;
      case Kind::kSection:
        return EnterSection(piece);
      case Kind::kInverted:
        return EnterInverted(piece);
      case Kind::kEnd:
        break;  // The library asks for openings only.
    }
    return nullptr;
  }

  const mustache::data* get_partial(const std::string& /*name*/) const override { return nullptr; }

  void push(const mustache::data* /*data*/) override {
    DropLoopsFrom(rendering_->depth() + 1);
    ALERTSTREAM_CHECK(!loops_.empty() && loops_.back().next);
    Loop& loop = loops_.back();
    rendering_->Enter(*loop.next);
    const auto sibling = loop.passes.is_list() ? loop.next->json->next_sibling() : std::nullopt;
    loop.next.reset();
    if (sibling) {
      loop.next = Value::Of(sibling);
    }
  }

  void pop() override { rendering_->Leave(); }

 private:
  // A section being repeated. The library counts the passes, `next` is the value of the coming one.
  struct Loop {
    std::size_t depth;  // Of the scopes around it.
    std::optional<Value> next;
    mustache::data passes;
  };

  // Null tells the library to leave the section out.
  const mustache::data* EnterSection(const TemplatePiece& piece) const {
    if (rendering_->failed()) {
      return nullptr;
    }
    const Value value = rendering_->Find(piece);
    if (!IsTrue(value)) {
      return nullptr;
    }
    const bool is_array =
        value.kind == Value::Kind::kJson && value.json->type() == JsonType::kArray;
    const std::size_t passes = is_array ? value.json->size() : 1;
    rendering_->Spend(passes * piece.cost);
    if (rendering_->failed()) {
      return nullptr;
    }
    DropLoopsFrom(rendering_->depth());
    if (is_array) {
      const mustache::list marks(passes, mustache::data(true));
      loops_.push_back({.depth = rendering_->depth(),
                        .next = Value::Of(value.json->first_child()),
                        .passes = mustache::data(marks)});
    } else {
      loops_.push_back(
          {.depth = rendering_->depth(), .next = value, .passes = mustache::data(true)});
    }
    return &loops_.back().passes;
  }

  // Null tells the library to print the section.
  const mustache::data* EnterInverted(const TemplatePiece& piece) const {
    static const mustache::data kLeaveOut(true);
    if (rendering_->failed() || IsTrue(rendering_->Find(piece))) {
      return &kLeaveOut;
    }
    rendering_->Spend(piece.cost);
    return rendering_->failed() ? &kLeaveOut : nullptr;
  }

  // The library does not say when a section is over. Its loop goes when the next section of its
  // depth begins, or when an outer loop moves on.
  void DropLoopsFrom(std::size_t depth) const {
    while (!loops_.empty() && loops_.back().depth >= depth) {
      loops_.pop_back();
    }
  }

  const std::vector<TemplatePiece>& pieces_;
  Rendering* rendering_;
  mutable std::deque<Loop> loops_;  // The library keeps pointers to `passes`, so nothing may move.
};

// Takes what the library prints: nothing, as SectionDriver prints itself.
struct NoStream {
  NoStream& operator<<(const std::string& /*text*/) { return *this; }
};

std::string LibraryText(const std::vector<TemplatePiece>& pieces) {
  std::string text;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    switch (pieces[i].kind) {
      case Kind::kText:
      case Kind::kVariable:
        text += "{{&" + std::to_string(i) + "}}";
        break;
      case Kind::kSection:
        text += "{{#" + std::to_string(i) + "}}";
        break;
      case Kind::kInverted:
        text += "{{^" + std::to_string(i) + "}}";
        break;
      case Kind::kEnd:
        text += "{{/" + std::to_string(pieces[i].section) + "}}";
        break;
    }
  }
  return text;
}

bool HasSections(const std::vector<TemplatePiece>& pieces) {
  for (const auto& piece : pieces) {
    if (piece.kind == Kind::kEnd) {
      return true;
    }
  }
  return false;
}

}  // namespace

struct Template::Impl {
  std::string source;
  std::vector<TemplatePiece> pieces;
  std::optional<mustache::mustache> library;  // Nothing if there are no sections.
};

Template::Template(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Template::Template(Template&&) noexcept = default;
Template& Template::operator=(Template&&) noexcept = default;
Template::~Template() = default;

Result<Template> Template::Compile(std::string_view body) {
  ALERTSTREAM_ASSIGN_OR_RETURN(auto pieces, CutTemplate(body));
  mustache::mustache library(LibraryText(pieces));
  if (!library.is_valid()) {
    return Error(ErrorCode::kInvalid, "template: not valid Mustache");
  }
  auto impl = std::make_unique<Impl>();
  impl->source = body;
  if (HasSections(pieces)) {
    impl->library.emplace(std::move(library));
  }
  impl->pieces = std::move(pieces);
  return Template(std::move(impl));
}

Status Template::Render(const TemplateEvent& event, std::string* out) const {
  Rendering rendering(event, out);
  if (impl_->library) {
    SectionDriver driver(impl_->pieces, &rendering);
    NoStream stream;
    impl_->library->render(driver, stream);
  } else {
    for (const auto& piece : impl_->pieces) {
      if (!rendering.failed()) {
        rendering.Print(piece);
      }
    }
  }
  return std::move(rendering).Finish();
}

const std::string& Template::source() const { return impl_->source; }

}  // namespace alertstream::engine
