#include <algorithm>
#include <array>

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

}  // namespace kvasir::jinja
