#include <algorithm>
#include <array>

#include "jinja/builtin.h"
#include "jinja/limits.h"
#include "jinja/parser.h"

namespace kvasir::jinja {
namespace {

struct OpName {
  std::string_view text;
  BinaryOp op;
};

// The levels of ParseBinary, loosest first; `~` stands between the first two.
constexpr std::array<OpName, 2> kSums = {{{"+", BinaryOp::kAdd}, {"-", BinaryOp::kSub}}};
constexpr std::array<OpName, 4> kProducts = {{{"*", BinaryOp::kMul},
                                              {"/", BinaryOp::kDiv},
                                              {"//", BinaryOp::kFloorDiv},
                                              {"%", BinaryOp::kMod}}};
constexpr std::array<OpName, 1> kPowers = {{{"**", BinaryOp::kPow}}};
enum Level : int { kSumLevel, kProductLevel, kPowerLevel };

template <size_t n>
std::optional<BinaryOp> FindOp(const Token& token, const std::array<OpName, n>& ops) {
  for (const OpName& op : ops) {
    if (token.IsOp(op.text)) return op.op;
  }
  return std::nullopt;
}

std::optional<BinaryOp> OpOfLevel(const Token& token, int level) {
  if (level == kSumLevel) return FindOp(token, kSums);
  if (level == kProductLevel) return FindOp(token, kProducts);
  return FindOp(token, kPowers);
}

std::optional<CompareOp> CompareOpOf(const Token& token) {
  if (token.kind != TokenKind::kOperator) return std::nullopt;
  if (token.text == "==") return CompareOp::kEq;
  if (token.text == "!=") return CompareOp::kNe;
  if (token.text == "<") return CompareOp::kLt;
  if (token.text == "<=") return CompareOp::kLe;
  if (token.text == ">") return CompareOp::kGt;
  if (token.text == ">=") return CompareOp::kGe;
  return std::nullopt;
}

// Longest tree of nodes: chains such as a + b + c are built by a loop but evaluated by recursion.
constexpr int kMaxHeight = 2 * kMaxNesting;

}  // namespace

Status Parser::Over(Expr& node, std::initializer_list<const Expr*> children) const {
  for (const Expr* child : children) {
    if (child != nullptr) node.height = std::max(node.height, child->height + 1);
  }
  if (node.height <= kMaxHeight) return {};
  return FailHere("limit exceeded: an expression has more than {} levels", kMaxHeight);
}

Status Parser::Over(Expr& node, const ArgumentExprs& arguments) const {
  for (const ExprPtr& e : arguments.positional) KV_RETURN_IF_ERROR(Over(node, {e.get()}));
  for (const auto& [name, e] : arguments.named) KV_RETURN_IF_ERROR(Over(node, {e.get()}));
  return Over(node, {arguments.more_positional.get(), arguments.more_named.get()});
}

Result<ExprPtr> Parser::ParseExpression() { return ParseConditional(); }

// One expression, or a tuple where commas follow.
Result<ExprPtr> Parser::ParseTuple(bool with_conditional, bool in_parentheses) {
  auto tuple = std::make_unique<SequenceExpr>(Peek().line);
  tuple->flavor = Flavor::kTuple;
  bool is_tuple = false;
  while (!AtTupleEnd()) {
    KV_ASSIGN_OR_RETURN(ExprPtr item, with_conditional ? ParseConditional() : ParseOr());
    KV_RETURN_IF_ERROR(Over(*tuple, {item.get()}));
    tuple->items.push_back(std::move(item));
    if (!SkipOp(",")) break;
    is_tuple = true;
  }
  if (!is_tuple && !tuple->items.empty()) return std::move(tuple->items[0]);
  if (!is_tuple && !in_parentheses) return FailHere("expected an expression");
  return tuple;
}

Result<ExprPtr> Parser::ParseConditional() {
  ++nesting_;
  KV_RETURN_IF_ERROR(CheckNesting());
  KV_ASSIGN_OR_RETURN(ExprPtr left, ParseOr());
  while (Peek().IsName("if")) {
    auto node = std::make_unique<ConditionalExpr>(Take().line);
    node->then = std::move(left);
    KV_ASSIGN_OR_RETURN(node->condition, ParseOr());
    if (SkipName("else")) {
      KV_ASSIGN_OR_RETURN(node->otherwise, ParseConditional());
    }
    KV_RETURN_IF_ERROR(
        Over(*node, {node->then.get(), node->condition.get(), node->otherwise.get()}));
    left = std::move(node);
  }
  --nesting_;
  return left;
}

Result<ExprPtr> Parser::ParseOr() {
  KV_ASSIGN_OR_RETURN(ExprPtr left, ParseAnd());
  while (Peek().IsName("or")) {
    auto node = std::make_unique<BinaryExpr>(Take().line);
    node->op = BinaryOp::kOr;
    node->left = std::move(left);
    KV_ASSIGN_OR_RETURN(node->right, ParseAnd());
    KV_RETURN_IF_ERROR(Over(*node, {node->left.get(), node->right.get()}));
    left = std::move(node);
  }
  return left;
}

Result<ExprPtr> Parser::ParseAnd() {
  KV_ASSIGN_OR_RETURN(ExprPtr left, ParseNot());
  while (Peek().IsName("and")) {
    auto node = std::make_unique<BinaryExpr>(Take().line);
    node->op = BinaryOp::kAnd;
    node->left = std::move(left);
    KV_ASSIGN_OR_RETURN(node->right, ParseNot());
    KV_RETURN_IF_ERROR(Over(*node, {node->left.get(), node->right.get()}));
    left = std::move(node);
  }
  return left;
}

Result<ExprPtr> Parser::ParseNot() {
  if (!Peek().IsName("not")) return ParseCompare();
  ++nesting_;
  KV_RETURN_IF_ERROR(CheckNesting());
  auto node = std::make_unique<UnaryExpr>(Take().line);
  KV_ASSIGN_OR_RETURN(node->operand, ParseNot());
  --nesting_;
  KV_RETURN_IF_ERROR(Over(*node, {node->operand.get()}));
  return node;
}

Result<ExprPtr> Parser::ParseCompare() {
  KV_ASSIGN_OR_RETURN(ExprPtr first, ParseBinary(kSumLevel));
  auto node = std::make_unique<CompareExpr>(Peek().line);
  KV_RETURN_IF_ERROR(Over(*node, {first.get()}));
  while (true) {
    std::optional<CompareOp> op = CompareOpOf(Peek());
    if (Peek().IsName("in")) op = CompareOp::kIn;
    if (Peek().IsName("not") && Peek(1).IsName("in")) {
      op = CompareOp::kNotIn;
      Take();
    }
    if (!op) break;
    Take();
    KV_ASSIGN_OR_RETURN(ExprPtr operand, ParseBinary(kSumLevel));
    KV_RETURN_IF_ERROR(Over(*node, {operand.get()}));
    node->rest.emplace_back(*op, std::move(operand));
  }
  if (node->rest.empty()) return first;
  node->first = std::move(first);
  return node;
}

Result<ExprPtr> Parser::ParseBinary(int level) {
  const auto parse_next = [&]() {
    return level == kSumLevel       ? ParseConcat()
           : level == kProductLevel ? ParseBinary(kPowerLevel)
                                    : ParseUnary(true);
  };
  KV_ASSIGN_OR_RETURN(ExprPtr left, parse_next());
  while (const std::optional<BinaryOp> op = OpOfLevel(Peek(), level)) {
    auto node = std::make_unique<BinaryExpr>(Take().line);
    node->op = *op;
    node->left = std::move(left);
    KV_ASSIGN_OR_RETURN(node->right, parse_next());
    KV_RETURN_IF_ERROR(Over(*node, {node->left.get(), node->right.get()}));
    left = std::move(node);
  }
  return left;
}

Result<ExprPtr> Parser::ParseConcat() {
  KV_ASSIGN_OR_RETURN(ExprPtr first, ParseBinary(kProductLevel));
  if (!Peek().IsOp("~")) return first;
  auto node = std::make_unique<ConcatExpr>(Peek().line);
  KV_RETURN_IF_ERROR(Over(*node, {first.get()}));
  node->parts.push_back(std::move(first));
  while (SkipOp("~")) {
    KV_ASSIGN_OR_RETURN(ExprPtr part, ParseBinary(kProductLevel));
    KV_RETURN_IF_ERROR(Over(*node, {part.get()}));
    node->parts.push_back(std::move(part));
  }
  return node;
}

Result<ExprPtr> Parser::ParseUnary(bool with_filter) {
  ExprPtr node;
  if (Peek().IsOp("-") || Peek().IsOp("+")) {
    ++nesting_;
    KV_RETURN_IF_ERROR(CheckNesting());
    auto unary = std::make_unique<UnaryExpr>(Peek().line);
    unary->op = Take().text == "-" ? UnaryOp::kNegative : UnaryOp::kPositive;
    KV_ASSIGN_OR_RETURN(unary->operand, ParseUnary(false));
    --nesting_;
    KV_RETURN_IF_ERROR(Over(*unary, {unary->operand.get()}));
    node = std::move(unary);
  } else {
    KV_ASSIGN_OR_RETURN(node, ParsePrimary());
  }
  KV_ASSIGN_OR_RETURN(node, ParsePostfix(std::move(node)));
  if (!with_filter) return node;
  return ParseFilterOrTest(std::move(node));
}

Result<ExprPtr> Parser::ParsePrimary() {
  const Token& token = Peek();
  if (token.kind == TokenKind::kName) return ParseName();
  if (token.kind == TokenKind::kString) {
    const int line = token.line;
    std::string text;
    while (Peek().kind == TokenKind::kString) text += Take().text;
    return std::make_unique<ConstExpr>(line, Value::String(std::move(text)));
  }
  if (token.kind == TokenKind::kInteger || token.kind == TokenKind::kFloat) {
    Token number = Take();
    return std::make_unique<ConstExpr>(number.line, number.number);
  }
  if (SkipOp("(")) {
    KV_ASSIGN_OR_RETURN(ExprPtr node, ParseTuple(true, true));
    KV_RETURN_IF_ERROR(ExpectOp(")"));
    return node;
  }
  if (token.IsOp("[")) return ParseList();
  if (token.IsOp("{")) return ParseDict();
  return FailHere("expected an expression{}{}", token.text.empty() ? "" : ", got ", token.text);
}

Result<ExprPtr> Parser::ParseName() {
  Token token = Take();
  const std::string& name = token.text;
  const auto constant = [&](const Value& value) {
    return std::make_unique<ConstExpr>(token.line, value);
  };
  if (name == "true" || name == "True") return constant(Value::Bool(true));
  if (name == "false" || name == "False") return constant(Value::Bool(false));
  if (name == "none" || name == "None") return constant(Value::MakeNone());
  for (MacroBody* macro : macros_) {
    macro->uses_caller |= name == "caller";
    macro->uses_varargs |= name == "varargs";
    macro->uses_kwargs |= name == "kwargs";
  }
  return std::make_unique<NameExpr>(token.line, std::move(token.text));
}

Result<ExprPtr> Parser::ParseList() {
  auto node = std::make_unique<SequenceExpr>(Take().line);
  while (!Peek().IsOp("]")) {
    if (!node->items.empty()) KV_RETURN_IF_ERROR(ExpectOp(","));
    if (Peek().IsOp("]")) break;
    KV_ASSIGN_OR_RETURN(ExprPtr item, ParseExpression());
    KV_RETURN_IF_ERROR(Over(*node, {item.get()}));
    node->items.push_back(std::move(item));
  }
  KV_RETURN_IF_ERROR(ExpectOp("]"));
  return node;
}

Result<ExprPtr> Parser::ParseDict() {
  auto node = std::make_unique<DictExpr>(Take().line);
  while (!Peek().IsOp("}")) {
    if (!node->items.empty()) KV_RETURN_IF_ERROR(ExpectOp(","));
    if (Peek().IsOp("}")) break;
    KV_ASSIGN_OR_RETURN(ExprPtr key, ParseExpression());
    KV_RETURN_IF_ERROR(ExpectOp(":"));
    KV_ASSIGN_OR_RETURN(ExprPtr value, ParseExpression());
    KV_RETURN_IF_ERROR(Over(*node, {key.get(), value.get()}));
    node->items.emplace_back(std::move(key), std::move(value));
  }
  KV_RETURN_IF_ERROR(ExpectOp("}"));
  return node;
}

Result<ExprPtr> Parser::ParsePostfix(ExprPtr node) {
  while (true) {
    if (Peek().IsOp(".") || Peek().IsOp("[")) {
      KV_ASSIGN_OR_RETURN(node, ParseSubscript(std::move(node)));
    } else if (Peek().IsOp("(")) {
      KV_ASSIGN_OR_RETURN(node, ParseCall(std::move(node)));
    } else {
      return node;
    }
  }
}

Result<ExprPtr> Parser::ParseFilterOrTest(ExprPtr node) {
  while (true) {
    if (SkipOp("|")) {
      KV_ASSIGN_OR_RETURN(node, ParseFilter(std::move(node)));
    } else if (Peek().IsName("is")) {
      KV_ASSIGN_OR_RETURN(node, ParseTest(std::move(node)));
    } else if (Peek().IsOp("(")) {
      KV_ASSIGN_OR_RETURN(node, ParseCall(std::move(node)));
    } else {
      return node;
    }
  }
}

Result<ExprPtr> Parser::ParseSubscript(ExprPtr node) {
  const Token token = Take();
  if (token.text == "[") return ParseBracket(std::move(node), token.line);
  if (Peek().kind == TokenKind::kName) {
    auto attribute = std::make_unique<AttributeExpr>(token.line);
    attribute->name = Take().text;
    attribute->object = std::move(node);
    KV_RETURN_IF_ERROR(Over(*attribute, {attribute->object.get()}));
    return attribute;
  }
  if (Peek().kind != TokenKind::kInteger) return FailHere("expected a name or a number after '.'");
  auto index = std::make_unique<IndexExpr>(token.line);
  index->object = std::move(node);
  index->index = std::make_unique<ConstExpr>(token.line, Take().number);
  KV_RETURN_IF_ERROR(Over(*index, {index->object.get()}));
  return index;
}

// After "[": an index, a tuple as index, or a slice.
Result<ExprPtr> Parser::ParseBracket(ExprPtr node, int line) {
  ExprPtr parts[3];
  int n_colons = 0;
  while (!Peek().IsOp("]") && !Peek().IsOp(",")) {
    if (SkipOp(":")) {
      if (++n_colons > 2) return FailHere("a slice has at most two ':'");
      continue;
    }
    if (parts[n_colons] != nullptr) return FailHere("expected ']'");
    KV_ASSIGN_OR_RETURN(parts[n_colons], ParseExpression());
  }
  if (n_colons > 0) {
    KV_RETURN_IF_ERROR(ExpectOp("]"));
    auto slice = std::make_unique<SliceExpr>(line);
    slice->object = std::move(node);
    slice->start = std::move(parts[0]);
    slice->stop = std::move(parts[1]);
    slice->step = std::move(parts[2]);
    KV_RETURN_IF_ERROR(Over(
        *slice, {slice->object.get(), slice->start.get(), slice->stop.get(), slice->step.get()}));
    return slice;
  }
  if (parts[0] == nullptr) return FailHere("expected an index between '[' and ']'");
  if (Peek().IsOp(",")) {
    auto tuple = std::make_unique<SequenceExpr>(line);
    tuple->flavor = Flavor::kTuple;
    KV_RETURN_IF_ERROR(Over(*tuple, {parts[0].get()}));
    tuple->items.push_back(std::move(parts[0]));
    while (SkipOp(",")) {
      KV_ASSIGN_OR_RETURN(ExprPtr item, ParseExpression());
      KV_RETURN_IF_ERROR(Over(*tuple, {item.get()}));
      tuple->items.push_back(std::move(item));
    }
    parts[0] = std::move(tuple);
  }
  KV_RETURN_IF_ERROR(ExpectOp("]"));
  auto index = std::make_unique<IndexExpr>(line);
  index->object = std::move(node);
  index->index = std::move(parts[0]);
  KV_RETURN_IF_ERROR(Over(*index, {index->object.get(), index->index.get()}));
  return index;
}

Result<ExprPtr> Parser::ParseCall(ExprPtr node) {
  auto call = std::make_unique<CallExpr>(Peek().line);
  call->callee = std::move(node);
  KV_ASSIGN_OR_RETURN(call->arguments, ParseArguments());
  KV_RETURN_IF_ERROR(Over(*call, {call->callee.get()}));
  KV_RETURN_IF_ERROR(Over(*call, call->arguments));
  return call;
}

// After "|": name and arguments.
Result<std::unique_ptr<FilterExpr>> Parser::ParseFilter(ExprPtr node) {
  auto filter = std::make_unique<FilterExpr>(Peek().line);
  KV_ASSIGN_OR_RETURN(filter->name, TakeName());
  filter->filter = FindFilter(filter->name);
  filter->input = std::move(node);
  if (Peek().IsOp("(")) {
    KV_ASSIGN_OR_RETURN(filter->arguments, ParseArguments());
  }
  KV_RETURN_IF_ERROR(Over(*filter, {filter->input.get()}));
  KV_RETURN_IF_ERROR(Over(*filter, filter->arguments));
  return filter;
}

Result<ExprPtr> Parser::ParseTest(ExprPtr node) {
  auto test = std::make_unique<TestExpr>(Take().line);
  test->negated = SkipName("not");
  KV_ASSIGN_OR_RETURN(test->name, TakeName());
  test->test = FindTest(test->name);
  test->input = std::move(node);
  const Token& next = Peek();
  const bool is_value = next.kind == TokenKind::kName || next.kind == TokenKind::kString ||
                        next.kind == TokenKind::kInteger || next.kind == TokenKind::kFloat ||
                        next.IsOp("[") || next.IsOp("{");
  if (next.IsOp("(")) {
    KV_ASSIGN_OR_RETURN(test->arguments, ParseArguments());
  } else if (is_value && !next.IsName("else") && !next.IsName("or") && !next.IsName("and")) {
    if (next.IsName("is")) return FailHere("tests cannot be chained: 'is' after a test");
    KV_ASSIGN_OR_RETURN(ExprPtr argument, ParsePrimary());
    KV_ASSIGN_OR_RETURN(argument, ParsePostfix(std::move(argument)));
    test->arguments.positional.push_back(std::move(argument));
  }
  KV_RETURN_IF_ERROR(Over(*test, {test->input.get()}));
  KV_RETURN_IF_ERROR(Over(*test, test->arguments));
  return test;
}

Result<ArgumentExprs> Parser::ParseArguments() {
  KV_RETURN_IF_ERROR(ExpectOp("("));
  ArgumentExprs out;
  for (bool first = true; !Peek().IsOp(")"); first = false) {
    if (!first) KV_RETURN_IF_ERROR(ExpectOp(","));
    if (Peek().IsOp(")")) break;
    if (Peek().IsOp("*") && !out.more_positional && !out.more_named) {
      Take();
      KV_ASSIGN_OR_RETURN(out.more_positional, ParseExpression());
    } else if (Peek().IsOp("**") && !out.more_named) {
      Take();
      KV_ASSIGN_OR_RETURN(out.more_named, ParseExpression());
    } else if (Peek().kind == TokenKind::kName && Peek(1).IsOp("=") && !out.more_named) {
      std::string name = Take().text;
      Take();
      KV_ASSIGN_OR_RETURN(ExprPtr value, ParseExpression());
      out.named.emplace_back(std::move(name), std::move(value));
    } else if (out.named.empty() && !out.more_positional && !out.more_named) {
      KV_ASSIGN_OR_RETURN(ExprPtr value, ParseExpression());
      out.positional.push_back(std::move(value));
    } else {
      return FailHere("a positional argument follows a named one, or '*' comes twice");
    }
  }
  KV_RETURN_IF_ERROR(ExpectOp(")"));
  return out;
}

}  // namespace kvasir::jinja
