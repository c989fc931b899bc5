// Parser: tokens to syntax tree. Precedences are Jinja's own, which differ from Python's: `is` and
// filters bind tighter than arithmetic, `**` is left-associative, `~` stands between + and *.
#pragma once

#include <initializer_list>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "jinja/ast.h"
#include "jinja/lexer.h"

namespace kvasir::jinja {

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  // The whole template. Errors begin with "line N: ".
  Result<Block> Parse();

 private:
  using Words = std::initializer_list<std::string_view>;
  class Nesting;  // counts the depth of recursion

  const Token& Peek(size_t ahead = 0) const;
  Token Take();
  bool SkipName(std::string_view name);
  bool SkipOp(std::string_view op);
  Status ExpectOp(std::string_view op);
  Status ExpectName(std::string_view name);
  Status ExpectBlockEnd();
  Result<std::string> TakeName();
  bool AtTupleEnd() const;
  template <class... Args>
  tl::unexpected<Error> FailHere(fmt::format_string<Args...> format, Args&&... args) const {
    return Fail("line {}: {}", Peek().line, fmt::format(format, std::forward<Args>(args)...));
  }
  Status CheckNesting() const;

  // Statements (parser.cc).
  Result<Block> ParseBlock(std::string_view opener, Words ends);
  Result<Block> ParseBody(std::string_view opener, Words ends);
  Status ParseTag(Block& block);
  Result<std::unique_ptr<Stmt>> ParseStatement(const std::string& tag, int line);
  Result<std::unique_ptr<Stmt>> ParseIf(int line);
  Result<std::unique_ptr<Stmt>> ParseFor(int line);
  Result<std::unique_ptr<Stmt>> ParseSet(int line);
  Result<std::unique_ptr<Stmt>> ParseWith(int line);
  Result<std::unique_ptr<Stmt>> ParseFilterBlock(int line);
  Result<std::unique_ptr<Stmt>> ParseMacro(int line);
  Result<std::unique_ptr<Stmt>> ParseCallBlock(int line);
  Result<std::unique_ptr<Stmt>> ParseGeneration(int line);
  Result<std::unique_ptr<Stmt>> ParseJump(const std::string& tag, int line);
  Result<Block> ParseMacroBlock(MacroBody& macro, std::string_view opener, std::string_view end);
  Status ParseSignature(MacroBody& macro);
  Result<Target> ParseTarget(bool with_attributes);
  Result<Target> ParseTargetItem(bool with_attributes);
  Result<std::vector<std::unique_ptr<FilterExpr>>> ParseFilterChain(bool first_inline);

  // Expressions (parser_expression.cc).
  Result<ExprPtr> ParseExpression();
  Result<ExprPtr> ParseTuple(bool with_conditional, bool in_parentheses);
  Result<ExprPtr> ParseConditional();
  Result<ExprPtr> ParseOr();
  Result<ExprPtr> ParseAnd();
  Result<ExprPtr> ParseNot();
  Result<ExprPtr> ParseCompare();
  Result<ExprPtr> ParseBinary(int level);
  Result<ExprPtr> ParseConcat();
  Result<ExprPtr> ParseUnary(bool with_filter);
  Result<ExprPtr> ParsePrimary();
  Result<ExprPtr> ParseName();
  Result<ExprPtr> ParseList();
  Result<ExprPtr> ParseDict();
  Result<ExprPtr> ParsePostfix(ExprPtr node);
  Result<ExprPtr> ParseFilterOrTest(ExprPtr node);
  Result<ExprPtr> ParseSubscript(ExprPtr node);
  Result<ExprPtr> ParseBracket(ExprPtr node, int line);
  Result<ExprPtr> ParseCall(ExprPtr node);
  Result<std::unique_ptr<FilterExpr>> ParseFilter(ExprPtr node);
  Result<ExprPtr> ParseTest(ExprPtr node);
  Result<ArgumentExprs> ParseArguments();
  // Finishes a node over its children: checks the height of the tree.
  Status Over(Expr& node, std::initializer_list<const Expr*> children) const;
  Status Over(Expr& node, const ArgumentExprs& arguments) const;

  const std::vector<Token> tokens_;
  size_t at_ = 0;
  int nesting_ = 0;
  int loops_ = 0;                   // for blocks around, within the macro
  std::vector<MacroBody*> macros_;  // around
};

}  // namespace kvasir::jinja
