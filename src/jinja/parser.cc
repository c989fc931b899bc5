#include "jinja/parser.h"

#include <algorithm>

#include "jinja/builtin.h"
#include "jinja/limits.h"

namespace kvasir::jinja {
namespace {

std::string Describe(const Token& token) {
  switch (token.kind) {
    case TokenKind::kData:
      return "text";
    case TokenKind::kVariableBegin:
      return "{{";
    case TokenKind::kVariableEnd:
      return "}}";
    case TokenKind::kBlockBegin:
      return "{%";
    case TokenKind::kBlockEnd:
      return "%}";
    case TokenKind::kString:
      return "a string";
    case TokenKind::kInteger:
    case TokenKind::kFloat:
      return "a number";
    case TokenKind::kEnd:
      return "the end of the template";
    default:
      return token.text;
  }
}

std::string Joined(std::initializer_list<std::string_view> words) {
  std::string out;
  for (const std::string_view word : words) {
    if (!out.empty()) out += " or ";
    out += word;
  }
  return out;
}

}  // namespace

const Token& Parser::Peek(size_t ahead) const {
  return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
}

Token Parser::Take() {
  Token token = Peek();
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool Parser::SkipName(std::string_view name) {
  const bool hit = Peek().IsName(name);
  if (hit) Take();
  return hit;
}

bool Parser::SkipOp(std::string_view op) {
  const bool hit = Peek().IsOp(op);
  if (hit) Take();
  return hit;
}

Status Parser::ExpectOp(std::string_view op) {
  if (SkipOp(op)) return {};
  return FailHere("expected '{}', got '{}'", op, Describe(Peek()));
}

Status Parser::ExpectName(std::string_view name) {
  if (SkipName(name)) return {};
  return FailHere("expected '{}', got '{}'", name, Describe(Peek()));
}

Status Parser::ExpectBlockEnd() {
  if (Peek().kind != TokenKind::kBlockEnd) {
    return FailHere("expected '%}}', got '{}'", Describe(Peek()));
  }
  Take();
  return {};
}

Result<std::string> Parser::TakeName() {
  if (Peek().kind != TokenKind::kName) {
    return FailHere("expected a name, got '{}'", Describe(Peek()));
  }
  return Take().text;
}

Status Parser::CheckNesting() const {
  if (nesting_ <= kMaxNesting) return {};
  return FailHere("limit exceeded: blocks and expressions nested deeper than {}", kMaxNesting);
}

Result<Block> Parser::Parse() {
  KV_ASSIGN_OR_RETURN(Block block, ParseBlock("", {}));
  return block;
}

// Statements up to one of `ends`, which is left as the current token.
Result<Block> Parser::ParseBlock(std::string_view opener, Words ends) {
  ++nesting_;
  KV_RETURN_IF_ERROR(CheckNesting());
  Block block;
  while (true) {
    const int line = Peek().line;
    switch (Peek().kind) {
      case TokenKind::kEnd:
        if (ends.size() > 0) {
          return FailHere("'{}' is not closed: expected {}", opener, Joined(ends));
        }
        --nesting_;
        return block;
      case TokenKind::kData: {
        auto data = std::make_unique<DataStmt>(line);
        data->text = Take().text;
        block.push_back(std::move(data));
        break;
      }
      case TokenKind::kVariableBegin: {
        Take();
        auto output = std::make_unique<OutputStmt>(line);
        KV_ASSIGN_OR_RETURN(output->value, ParseTuple(true, false));
        if (Peek().kind != TokenKind::kVariableEnd) {
          return FailHere("expected '}}}}', got '{}'", Describe(Peek()));
        }
        Take();
        block.push_back(std::move(output));
        break;
      }
      default:
        Take();  // {%
        if (std::find(ends.begin(), ends.end(), Peek().text) != ends.end() &&
            Peek().kind == TokenKind::kName) {
          --nesting_;
          return block;
        }
        KV_RETURN_IF_ERROR(ParseTag(block));
    }
  }
}

// The rest of an opening tag, and statements up to one of `ends`.
Result<Block> Parser::ParseBody(std::string_view opener, Words ends) {
  KV_RETURN_IF_ERROR(ExpectBlockEnd());
  return ParseBlock(opener, ends);
}

Status Parser::ParseTag(Block& block) {
  const int line = Peek().line;
  if (Peek().kind != TokenKind::kName) {
    return FailHere("expected the name of a tag, got '{}'", Describe(Peek()));
  }
  const std::string tag = Take().text;
  if (tag == "print") {
    for (bool first = true; Peek().kind != TokenKind::kBlockEnd; first = false) {
      if (!first) KV_RETURN_IF_ERROR(ExpectOp(","));
      auto output = std::make_unique<OutputStmt>(line);
      KV_ASSIGN_OR_RETURN(output->value, ParseExpression());
      block.push_back(std::move(output));
    }
  } else {
    KV_ASSIGN_OR_RETURN(std::unique_ptr<Stmt> statement, ParseStatement(tag, line));
    block.push_back(std::move(statement));
  }
  return ExpectBlockEnd();
}

Result<std::unique_ptr<Stmt>> Parser::ParseStatement(const std::string& tag, int line) {
  if (tag == "if") return ParseIf(line);
  if (tag == "for") return ParseFor(line);
  if (tag == "set") return ParseSet(line);
  if (tag == "with") return ParseWith(line);
  if (tag == "filter") return ParseFilterBlock(line);
  if (tag == "macro") return ParseMacro(line);
  if (tag == "call") return ParseCallBlock(line);
  if (tag == "generation") return ParseGeneration(line);
  if (tag == "break" || tag == "continue") return ParseJump(tag, line);
  static constexpr std::string_view kRefused[] = {
      "block", "extends", "include", "import", "from", "autoescape", "do", "trans", "debug"};
  if (std::find(std::begin(kRefused), std::end(kRefused), tag) != std::end(kRefused)) {
    return Fail("line {}: the tag '{}' is not supported in chat templates", line, tag);
  }
  return Fail("line {}: unknown tag '{}'", line, tag);
}

Result<std::unique_ptr<Stmt>> Parser::ParseIf(int line) {
  auto node = std::make_unique<IfStmt>(line);
  while (true) {
    KV_ASSIGN_OR_RETURN(ExprPtr condition, ParseTuple(false, false));
    KV_ASSIGN_OR_RETURN(Block body, ParseBody("if", {"elif", "else", "endif"}));
    node->branches.emplace_back(std::move(condition), std::move(body));
    const std::string word = Take().text;
    if (word == "elif") continue;
    if (word == "else") {
      KV_ASSIGN_OR_RETURN(node->otherwise, ParseBody("else", {"endif"}));
      Take();
    }
    return node;
  }
}

Result<std::unique_ptr<Stmt>> Parser::ParseFor(int line) {
  auto node = std::make_unique<ForStmt>(line);
  KV_ASSIGN_OR_RETURN(node->target, ParseTarget(false));
  KV_RETURN_IF_ERROR(ExpectName("in"));
  KV_ASSIGN_OR_RETURN(node->iterable, ParseTuple(false, false));
  if (SkipName("if")) {
    KV_ASSIGN_OR_RETURN(node->filter, ParseExpression());
  }
  node->recursive = SkipName("recursive");
  ++loops_;
  KV_ASSIGN_OR_RETURN(node->body, ParseBody("for", {"else", "endfor"}));
  --loops_;
  if (Take().text == "else") {
    KV_ASSIGN_OR_RETURN(node->otherwise, ParseBody("else", {"endfor"}));
    Take();
  }
  return node;
}

Result<std::unique_ptr<Stmt>> Parser::ParseSet(int line) {
  KV_ASSIGN_OR_RETURN(Target target, ParseTarget(true));
  if (SkipOp("=")) {
    auto node = std::make_unique<SetStmt>(line);
    node->target = std::move(target);
    KV_ASSIGN_OR_RETURN(node->value, ParseTuple(true, false));
    return node;
  }
  auto node = std::make_unique<SetBlockStmt>(line);
  node->target = std::move(target);
  KV_ASSIGN_OR_RETURN(node->filters, ParseFilterChain(false));
  KV_ASSIGN_OR_RETURN(node->body, ParseBody("set", {"endset"}));
  Take();
  return node;
}

Result<std::unique_ptr<Stmt>> Parser::ParseWith(int line) {
  auto node = std::make_unique<WithStmt>(line);
  while (Peek().kind != TokenKind::kBlockEnd) {
    if (!node->variables.empty()) KV_RETURN_IF_ERROR(ExpectOp(","));
    KV_ASSIGN_OR_RETURN(Target target, ParseTarget(false));
    KV_RETURN_IF_ERROR(ExpectOp("="));
    KV_ASSIGN_OR_RETURN(ExprPtr value, ParseExpression());
    node->variables.emplace_back(std::move(target), std::move(value));
  }
  KV_ASSIGN_OR_RETURN(node->body, ParseBody("with", {"endwith"}));
  Take();
  return node;
}

Result<std::vector<std::unique_ptr<FilterExpr>>> Parser::ParseFilterChain(bool first_inline) {
  std::vector<std::unique_ptr<FilterExpr>> filters;
  for (bool has_name = first_inline; has_name || SkipOp("|"); has_name = false) {
    KV_ASSIGN_OR_RETURN(std::unique_ptr<FilterExpr> filter, ParseFilter(nullptr));
    filters.push_back(std::move(filter));
  }
  return filters;
}

Result<std::unique_ptr<Stmt>> Parser::ParseFilterBlock(int line) {
  auto node = std::make_unique<FilterBlockStmt>(line);
  KV_ASSIGN_OR_RETURN(node->filters, ParseFilterChain(true));
  KV_ASSIGN_OR_RETURN(node->body, ParseBody("filter", {"endfilter"}));
  Take();
  return node;
}

Status Parser::ParseSignature(MacroBody& macro) {
  KV_RETURN_IF_ERROR(ExpectOp("("));
  while (!Peek().IsOp(")")) {
    if (!macro.parameters.empty()) KV_RETURN_IF_ERROR(ExpectOp(","));
    KV_ASSIGN_OR_RETURN(std::string name, TakeName());
    if (std::find(macro.parameters.begin(), macro.parameters.end(), name) !=
        macro.parameters.end()) {
      return FailHere("duplicate parameter '{}'", name);
    }
    macro.parameters.push_back(std::move(name));
    if (SkipOp("=")) {
      KV_ASSIGN_OR_RETURN(ExprPtr value, ParseExpression());
      macro.defaults.push_back(std::move(value));
    } else if (!macro.defaults.empty()) {
      return FailHere("a parameter without default follows one with a default");
    }
  }
  return ExpectOp(")");
}

// The body of a macro; finds which of caller, varargs and kwargs it asks for.
Result<Block> Parser::ParseMacroBlock(MacroBody& macro, std::string_view opener,
                                      std::string_view end) {
  const int outer_loops = std::exchange(loops_, 0);
  macros_.push_back(&macro);
  KV_ASSIGN_OR_RETURN(Block body, ParseBody(opener, {end}));
  macros_.pop_back();
  loops_ = outer_loops;
  Take();
  const auto declares = [&](std::string_view name) {
    return std::find(macro.parameters.begin(), macro.parameters.end(), name);
  };
  if (const auto caller = declares("caller"); caller != macro.parameters.end()) {
    const size_t n_required = macro.parameters.size() - macro.defaults.size();
    if (macro.uses_caller && caller < macro.parameters.begin() + long(n_required)) {
      return FailHere("the parameter 'caller' must be omitted or given a default");
    }
    macro.uses_caller = false;
  }
  if (declares("varargs") != macro.parameters.end()) macro.uses_varargs = false;
  if (declares("kwargs") != macro.parameters.end()) macro.uses_kwargs = false;
  return body;
}

Result<std::unique_ptr<Stmt>> Parser::ParseMacro(int line) {
  auto node = std::make_unique<MacroStmt>(line);
  KV_ASSIGN_OR_RETURN(node->macro.name, TakeName());
  KV_RETURN_IF_ERROR(ParseSignature(node->macro));
  KV_ASSIGN_OR_RETURN(node->macro.body, ParseMacroBlock(node->macro, "macro", "endmacro"));
  return node;
}

Result<std::unique_ptr<Stmt>> Parser::ParseCallBlock(int line) {
  auto node = std::make_unique<CallBlockStmt>(line);
  if (Peek().IsOp("(")) KV_RETURN_IF_ERROR(ParseSignature(node->caller));
  KV_ASSIGN_OR_RETURN(ExprPtr call, ParseExpression());
  if (dynamic_cast<CallExpr*>(call.get()) == nullptr) {
    return Fail("line {}: a call block needs a call, such as {{% call f(x) %}}", line);
  }
  node->call.reset(static_cast<CallExpr*>(call.release()));
  KV_ASSIGN_OR_RETURN(node->caller.body, ParseMacroBlock(node->caller, "call", "endcall"));
  return node;
}

Result<std::unique_ptr<Stmt>> Parser::ParseGeneration(int line) {
  auto node = std::make_unique<ScopeStmt>(line);
  const int outer_loops = std::exchange(loops_, 0);
  KV_ASSIGN_OR_RETURN(node->body, ParseBody("generation", {"endgeneration"}));
  loops_ = outer_loops;
  Take();
  return node;
}

Result<std::unique_ptr<Stmt>> Parser::ParseJump(const std::string& tag, int line) {
  if (loops_ == 0) return Fail("line {}: '{}' outside of a for block", line, tag);
  auto node = std::make_unique<JumpStmt>(line);
  node->flow = tag == "break" ? Flow::kBreak : Flow::kContinue;
  return node;
}

bool Parser::AtTupleEnd() const {
  const Token& token = Peek();
  return token.kind == TokenKind::kVariableEnd || token.kind == TokenKind::kBlockEnd ||
         token.IsOp(")");
}

Result<Target> Parser::ParseTargetItem(bool with_attributes) {
  if (SkipOp("(")) {
    ++nesting_;
    KV_RETURN_IF_ERROR(CheckNesting());
    KV_ASSIGN_OR_RETURN(Target target, ParseTarget(false));
    --nesting_;
    KV_RETURN_IF_ERROR(ExpectOp(")"));
    return target;
  }
  Target target;
  KV_ASSIGN_OR_RETURN(target.name, TakeName());
  static constexpr std::string_view kConstants[] = {"true",  "True", "false",
                                                    "False", "none", "None"};
  if (std::find(std::begin(kConstants), std::end(kConstants), target.name) !=
      std::end(kConstants)) {
    return FailHere("cannot assign to '{}'", target.name);
  }
  if (with_attributes && SkipOp(".")) {
    target.kind = Target::Kind::kAttribute;
    KV_ASSIGN_OR_RETURN(target.attribute, TakeName());
  }
  return target;
}

Result<Target> Parser::ParseTarget(bool with_attributes) {
  KV_ASSIGN_OR_RETURN(Target first, ParseTargetItem(with_attributes));
  if (!Peek().IsOp(",")) return first;
  Target tuple;
  tuple.kind = Target::Kind::kTuple;
  tuple.items.push_back(std::move(first));
  while (SkipOp(",") && !AtTupleEnd()) {
    KV_ASSIGN_OR_RETURN(Target next, ParseTargetItem(with_attributes));
    tuple.items.push_back(std::move(next));
  }
  return tuple;
}

}  // namespace kvasir::jinja
