#include "processor/engine/conditions/cel_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>

#include "processor/engine/conditions/cel_lexer.h"
#include "processor/engine/conditions/condition.h"

namespace alertstream::engine {
namespace {

std::optional<CelNodeKind> RelationOf(CelTokenKind token) {
  constexpr std::pair<CelTokenKind, CelNodeKind> kRelations[] = {
      {CelTokenKind::kEqual, CelNodeKind::kEqual},
      {CelTokenKind::kNotEqual, CelNodeKind::kNotEqual},
      {CelTokenKind::kLess, CelNodeKind::kLess},
      {CelTokenKind::kLessEqual, CelNodeKind::kLessEqual},
      {CelTokenKind::kGreater, CelNodeKind::kGreater},
      {CelTokenKind::kGreaterEqual, CelNodeKind::kGreaterEqual},
      {CelTokenKind::kIn, CelNodeKind::kIn},
  };
  for (const auto& [from, to] : kRelations) {
    if (from == token) {
      return to;
    }
  }
  return std::nullopt;
}

bool IsArithmetic(CelTokenKind token) {
  return token == CelTokenKind::kPlus || token == CelTokenKind::kMinus ||
         token == CelTokenKind::kStar || token == CelTokenKind::kSlash ||
         token == CelTokenKind::kPercent;
}

// Recursive descent, one method a rule of CEL's grammar. Every recursion passes Expression, which
// counts the levels.
class Parser {
 public:
  explicit Parser(std::string_view source) : source_(source), lexer_(source) {}

  Result<CelAst> Parse() {
    ALERTSTREAM_RETURN_IF_ERROR(Advance());
    ALERTSTREAM_ASSIGN_OR_RETURN(ast_.root, Expression(1));
    if (token_.kind != CelTokenKind::kEnd) {
      return Expected("an operator or the end");
    }
    return std::move(ast_);
  }

 private:
  using Rule = Result<CelNodeId> (Parser::*)(std::size_t);

  Result<CelNodeId> Expression(std::size_t level);
  Result<CelNodeId> Or(std::size_t level);
  Result<CelNodeId> And(std::size_t level);
  Result<CelNodeId> Chain(std::size_t level, CelTokenKind token, CelNodeKind kind, Rule operand);
  Result<CelNodeId> Relation(std::size_t level);
  Result<CelNodeId> Unary(std::size_t level);
  Result<CelNodeId> Member(std::size_t level);
  Result<CelNodeId> Field(CelNodeId target, std::size_t level);
  Result<CelNodeId> Index(CelNodeId target, std::size_t level);
  Result<CelNodeId> Primary(std::size_t level);
  Result<CelNodeId> Parenthesized(std::size_t level);
  Result<CelNodeId> List(std::size_t level);
  Result<CelNodeId> Number(bool negative, std::uint32_t begin);
  Result<CelNodeId> Literal(CelNodeKind kind);
  // From the '(' on; appends to the operands of `call`.
  Result<CelNodeId> Arguments(CelNode call, std::size_t level);

  // Gives `node` its end (that of the last token) and its depth.
  Result<CelNodeId> Add(CelNode node);
  Status Advance();
  Status Take(CelTokenKind kind, std::string_view what);
  Error Expected(std::string_view what) const {
    return CelErrorAt(source_, token_.span.begin,
                      fmt::format("expected {}, found {}", what, CelTokenName(source_, token_)));
  }

  std::string_view source_;
  CelLexer lexer_;
  CelToken token_;
  std::uint32_t last_end_ = 0;  // Of the token before token_.
  CelAst ast_;
};

Status Parser::Advance() {
  last_end_ = token_.span.end;
  ALERTSTREAM_ASSIGN_OR_RETURN(token_, lexer_.Next());
  return Status::Ok();
}

Status Parser::Take(CelTokenKind kind, std::string_view what) {
  if (token_.kind != kind) {
    return Expected(what);
  }
  return Advance();
}

Result<CelNodeId> Parser::Add(CelNode node) {
  node.span.end = last_end_;
  for (const CelNodeId operand : node.operands) {
    node.depth = std::max(node.depth, ast_.nodes[operand].depth + 1);
  }
  if (node.depth > kConditionDepthMax) {
    return CelErrorAt(source_, node.offset,
                      fmt::format("expected at most {} levels, found more", kConditionDepthMax));
  }
  if (ast_.nodes.size() == kConditionNodesMax) {
    return CelErrorAt(source_, node.offset,
                      fmt::format("expected at most {} operators, names and literals, found more",
                                  kConditionNodesMax));
  }
  ast_.nodes.push_back(std::move(node));
  return static_cast<CelNodeId>(ast_.nodes.size() - 1);
}

Result<CelNodeId> Parser::Expression(std::size_t level) {
  if (level > kConditionDepthMax) {
    return CelErrorAt(source_, token_.span.begin,
                      fmt::format("expected at most {} levels, found more", kConditionDepthMax));
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const CelNodeId condition, Or(level));
  if (token_.kind != CelTokenKind::kQuestion) {
    return condition;
  }
  CelNode node;
  node.kind = CelNodeKind::kConditional;
  node.offset = token_.span.begin;
  node.span.begin = ast_.nodes[condition].span.begin;
  ALERTSTREAM_RETURN_IF_ERROR(Advance());
  ALERTSTREAM_ASSIGN_OR_RETURN(const CelNodeId then, Or(level));
  ALERTSTREAM_RETURN_IF_ERROR(Take(CelTokenKind::kColon, "':'"));
  ALERTSTREAM_ASSIGN_OR_RETURN(const CelNodeId otherwise, Expression(level + 1));
  node.operands = {condition, then, otherwise};
  return Add(std::move(node));
}

Result<CelNodeId> Parser::Or(std::size_t level) {
  return Chain(level, CelTokenKind::kOr, CelNodeKind::kOr, &Parser::And);
}

Result<CelNodeId> Parser::And(std::size_t level) {
  return Chain(level, CelTokenKind::kAnd, CelNodeKind::kAnd, &Parser::Relation);
}

// && and || are associative, errors included, so a chain becomes one node, with the operands of
// chains in parentheses spliced in.
Result<CelNodeId> Parser::Chain(std::size_t level, CelTokenKind token, CelNodeKind kind,
                                Rule operand) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const CelNodeId first, (this->*operand)(level));
  if (token_.kind != token) {
    return first;
  }
  CelNode node;
  node.kind = kind;
  node.offset = token_.span.begin;
  node.span.begin = ast_.nodes[first].span.begin;
  const auto append = [this, &node](CelNodeId id) {
    const CelNode& part = ast_.nodes[id];
    if (part.kind == node.kind) {
      node.operands.insert(node.operands.end(), part.operands.begin(), part.operands.end());
    } else {
      node.operands.push_back(id);
    }
  };
  append(first);
  while (token_.kind == token) {
    ALERTSTREAM_RETURN_IF_ERROR(Advance());
    ALERTSTREAM_ASSIGN_OR_RETURN(const CelNodeId next, (this->*operand)(level));
    append(next);
  }
  return Add(std::move(node));
}

Result<CelNodeId> Parser::Relation(std::size_t level) {
  ALERTSTREAM_ASSIGN_OR_RETURN(CelNodeId left, Unary(level));
  while (const auto kind = RelationOf(token_.kind)) {
    CelNode node;
    node.kind = *kind;
    node.offset = token_.span.begin;
    node.span.begin = ast_.nodes[left].span.begin;
    ALERTSTREAM_RETURN_IF_ERROR(Advance());
    ALERTSTREAM_ASSIGN_OR_RETURN(const CelNodeId right, Unary(level));
    node.operands = {left, right};
    ALERTSTREAM_ASSIGN_OR_RETURN(left, Add(std::move(node)));
  }
  return left;
}

Result<CelNodeId> Parser::Unary(std::size_t level) {
  const CelTokenKind sign = token_.kind;
  std::vector<std::uint32_t> offsets;
  if (sign == CelTokenKind::kNot || sign == CelTokenKind::kMinus) {
    while (token_.kind == sign) {
      offsets.push_back(token_.span.begin);
      ALERTSTREAM_RETURN_IF_ERROR(Advance());
    }
  }
  const bool number = token_.kind == CelTokenKind::kInt || token_.kind == CelTokenKind::kDouble;
  CelNodeId id = 0;
  if (sign == CelTokenKind::kMinus && number) {
    // The last minus is part of the literal: the smallest int has no positive counterpart.
    ALERTSTREAM_ASSIGN_OR_RETURN(id, Number(/*negative=*/true, offsets.back()));
    offsets.pop_back();
  } else {
    ALERTSTREAM_ASSIGN_OR_RETURN(id, Member(level));
  }
  for (; !offsets.empty(); offsets.pop_back()) {
    CelNode node;
    node.kind = sign == CelTokenKind::kNot ? CelNodeKind::kNot : CelNodeKind::kNegate;
    node.offset = offsets.back();
    node.span.begin = offsets.back();
    node.operands = {id};
    ALERTSTREAM_ASSIGN_OR_RETURN(id, Add(std::move(node)));
  }
  if (IsArithmetic(token_.kind)) {
    return CelErrorAt(source_, token_.span.begin,
                      fmt::format("operator {} is not supported, expected a comparison, a logical "
                                  "operator or the end",
                                  source_[token_.span.begin]));
  }
  return id;
}

Result<CelNodeId> Parser::Member(std::size_t level) {
  ALERTSTREAM_ASSIGN_OR_RETURN(CelNodeId id, Primary(level));
  while (true) {
    if (token_.kind == CelTokenKind::kDot) {
      ALERTSTREAM_ASSIGN_OR_RETURN(id, Field(id, level));
    } else if (token_.kind == CelTokenKind::kLeftBracket) {
      ALERTSTREAM_ASSIGN_OR_RETURN(id, Index(id, level));
    } else {
      return id;
    }
  }
}

Result<CelNodeId> Parser::Field(CelNodeId target, std::size_t level) {
  ALERTSTREAM_RETURN_IF_ERROR(Advance());
  if (token_.kind != CelTokenKind::kIdentifier) {
    return Expected("a name after '.'");
  }
  CelNode node;
  node.kind = CelNodeKind::kSelect;
  node.offset = token_.span.begin;
  node.span.begin = ast_.nodes[target].span.begin;
  node.text = source_.substr(token_.span.begin, token_.span.end - token_.span.begin);
  node.operands = {target};
  ALERTSTREAM_RETURN_IF_ERROR(Advance());
  if (token_.kind != CelTokenKind::kLeftParen) {
    return Add(std::move(node));
  }
  node.kind = CelNodeKind::kCall;
  node.has_target = true;
  return Arguments(std::move(node), level);
}

Result<CelNodeId> Parser::Index(CelNodeId target, std::size_t level) {
  CelNode node;
  node.kind = CelNodeKind::kIndex;
  node.offset = token_.span.begin;
  node.span.begin = ast_.nodes[target].span.begin;
  ALERTSTREAM_RETURN_IF_ERROR(Advance());
  ALERTSTREAM_ASSIGN_OR_RETURN(const CelNodeId key, Expression(level + 1));
  ALERTSTREAM_RETURN_IF_ERROR(Take(CelTokenKind::kRightBracket, "']'"));
  node.operands = {target, key};
  return Add(std::move(node));
}

Result<CelNodeId> Parser::Arguments(CelNode call, std::size_t level) {
  ALERTSTREAM_RETURN_IF_ERROR(Advance());
  while (token_.kind != CelTokenKind::kRightParen) {
    ALERTSTREAM_ASSIGN_OR_RETURN(const CelNodeId argument, Expression(level + 1));
    call.operands.push_back(argument);
    if (token_.kind == CelTokenKind::kRightParen) {
      break;
    }
    ALERTSTREAM_RETURN_IF_ERROR(Take(CelTokenKind::kComma, "',' or ')'"));
    if (token_.kind == CelTokenKind::kRightParen) {
      return Expected("an argument");
    }
  }
  ALERTSTREAM_RETURN_IF_ERROR(Advance());
  return Add(std::move(call));
}

Result<CelNodeId> Parser::Primary(std::size_t level) {
  const std::uint32_t begin = token_.span.begin;
  if (token_.kind == CelTokenKind::kLeftParen) {
    return Parenthesized(level);
  }
  if (token_.kind == CelTokenKind::kLeftBracket) {
    return List(level);
  }
  if (token_.kind == CelTokenKind::kLeftBrace) {
    return CelErrorAt(source_, begin, "map literals are not supported, expected an expression");
  }
  if (token_.kind == CelTokenKind::kInt || token_.kind == CelTokenKind::kDouble) {
    return Number(/*negative=*/false, begin);
  }
  if (token_.kind == CelTokenKind::kString) {
    return Literal(CelNodeKind::kString);
  }
  if (token_.kind == CelTokenKind::kTrue || token_.kind == CelTokenKind::kFalse) {
    return Literal(CelNodeKind::kBool);
  }
  if (token_.kind == CelTokenKind::kNull) {
    return Literal(CelNodeKind::kNull);
  }
  if (token_.kind != CelTokenKind::kIdentifier) {
    return Expected("an expression");
  }
  CelNode node;
  node.kind = CelNodeKind::kIdentifier;
  node.offset = begin;
  node.span.begin = begin;
  node.text = source_.substr(begin, token_.span.end - begin);
  ALERTSTREAM_RETURN_IF_ERROR(Advance());
  if (token_.kind != CelTokenKind::kLeftParen) {
    return Add(std::move(node));
  }
  node.kind = CelNodeKind::kCall;
  return Arguments(std::move(node), level);
}

Result<CelNodeId> Parser::Parenthesized(std::size_t level) {
  const std::uint32_t begin = token_.span.begin;
  ALERTSTREAM_RETURN_IF_ERROR(Advance());
  ALERTSTREAM_ASSIGN_OR_RETURN(const CelNodeId id, Expression(level + 1));
  ALERTSTREAM_RETURN_IF_ERROR(Take(CelTokenKind::kRightParen, "')'"));
  ast_.nodes[id].span = {.begin = begin, .end = last_end_};
  return id;
}

Result<CelNodeId> Parser::List(std::size_t level) {
  CelNode node;
  node.kind = CelNodeKind::kList;
  node.offset = token_.span.begin;
  node.span.begin = token_.span.begin;
  ALERTSTREAM_RETURN_IF_ERROR(Advance());
  while (token_.kind != CelTokenKind::kRightBracket) {
    if (node.operands.size() == kConditionListElementsMax) {
      return CelErrorAt(source_, token_.span.begin,
                        fmt::format("expected at most {} elements in a list, found more",
                                    kConditionListElementsMax));
    }
    ALERTSTREAM_ASSIGN_OR_RETURN(const CelNodeId element, Expression(level + 1));
    node.operands.push_back(element);
    if (token_.kind != CelTokenKind::kRightBracket) {
      ALERTSTREAM_RETURN_IF_ERROR(Take(CelTokenKind::kComma, "',' or ']'"));
    }
  }
  ALERTSTREAM_RETURN_IF_ERROR(Advance());
  return Add(std::move(node));
}

Result<CelNodeId> Parser::Number(bool negative, std::uint32_t begin) {
  CelNode node;
  node.offset = begin;
  node.span.begin = begin;
  if (token_.kind == CelTokenKind::kDouble) {
    node.kind = CelNodeKind::kDouble;
    node.double_value = negative ? -token_.double_value : token_.double_value;
  } else {
    node.kind = CelNodeKind::kInt;
    constexpr std::uint64_t kSmallestMagnitude = std::uint64_t{1} << 63;
    if (!negative && token_.int_magnitude == kSmallestMagnitude) {
      return CelErrorAt(source_, begin,
                        "expected an int of 64 bits, found a number outside its range");
    }
    // Two's complement: well defined in C++20, also for the smallest int.
    node.int_value =
        static_cast<std::int64_t>(negative ? 0 - token_.int_magnitude : token_.int_magnitude);
  }
  ALERTSTREAM_RETURN_IF_ERROR(Advance());
  return Add(std::move(node));
}

Result<CelNodeId> Parser::Literal(CelNodeKind kind) {
  CelNode node;
  node.kind = kind;
  node.offset = token_.span.begin;
  node.span.begin = token_.span.begin;
  node.bool_value = token_.kind == CelTokenKind::kTrue;
  node.text = std::move(token_.text);
  ALERTSTREAM_RETURN_IF_ERROR(Advance());
  return Add(std::move(node));
}

}  // namespace

Result<CelAst> ParseCel(std::string_view source) { return Parser(source).Parse(); }

}  // namespace alertstream::engine
