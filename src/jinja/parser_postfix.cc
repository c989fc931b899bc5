// What follows an operand: attributes, subscripts, calls, filters and tests.
#include "jinja/builtin.h"
#include "jinja/parser.h"

namespace kvasir::jinja {

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
