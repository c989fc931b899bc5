// The expressions of the syntax tree: see ast.h. Evaluated in eval.cc.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "jinja/value.h"

namespace kvasir::jinja {

class Interpreter;
struct Arguments;
struct Builtin;

struct Expr {
  explicit Expr(int at_line) : line(at_line) {}
  virtual ~Expr() = default;
  virtual Result<Value> Eval(Interpreter& in) const = 0;  // called by Interpreter::Eval only
  const int line;
  int height = 1;  // of the tree below; bounded, since evaluation and destruction recurse
};
using ExprPtr = std::unique_ptr<Expr>;

struct ConstExpr final : Expr {
  ConstExpr(int at_line, const Value& v) : Expr(at_line), value(v) {}
  Result<Value> Eval(Interpreter&) const override { return value; }
  Value value;
};

struct NameExpr final : Expr {
  NameExpr(int at_line, std::string n) : Expr(at_line), name(std::move(n)) {}
  Result<Value> Eval(Interpreter& in) const override;
  std::string name;
};

struct SequenceExpr final : Expr {  // [a, b] or (a, b)
  using Expr::Expr;
  Result<Value> Eval(Interpreter& in) const override;
  Flavor flavor = Flavor::kList;
  std::vector<ExprPtr> items;
};

struct DictExpr final : Expr {
  using Expr::Expr;
  Result<Value> Eval(Interpreter& in) const override;
  std::vector<std::pair<ExprPtr, ExprPtr>> items;
};

enum class UnaryOp : uint8_t { kNot, kNegative, kPositive };
struct UnaryExpr final : Expr {
  using Expr::Expr;
  Result<Value> Eval(Interpreter& in) const override;
  UnaryOp op = UnaryOp::kNot;
  ExprPtr operand;
};

enum class BinaryOp : uint8_t { kAdd, kSub, kMul, kDiv, kFloorDiv, kMod, kPow, kAnd, kOr };
struct BinaryExpr final : Expr {
  using Expr::Expr;
  Result<Value> Eval(Interpreter& in) const override;
  BinaryOp op = BinaryOp::kAdd;
  ExprPtr left, right;
};

struct ConcatExpr final : Expr {  // a ~ b ~ c
  using Expr::Expr;
  Result<Value> Eval(Interpreter& in) const override;
  std::vector<ExprPtr> parts;
};

enum class CompareOp : uint8_t { kEq, kNe, kLt, kLe, kGt, kGe, kIn, kNotIn };
struct CompareExpr final : Expr {  // a < b <= c, each operand evaluated once
  using Expr::Expr;
  Result<Value> Eval(Interpreter& in) const override;
  ExprPtr first;
  std::vector<std::pair<CompareOp, ExprPtr>> rest;
};

struct ConditionalExpr final : Expr {  // then if condition else otherwise
  using Expr::Expr;
  Result<Value> Eval(Interpreter& in) const override;
  ExprPtr condition, then, otherwise;  // otherwise may be null
};

struct AttributeExpr final : Expr {  // object.name
  using Expr::Expr;
  Result<Value> Eval(Interpreter& in) const override;
  ExprPtr object;
  std::string name;
};

struct IndexExpr final : Expr {  // object[index]
  using Expr::Expr;
  Result<Value> Eval(Interpreter& in) const override;
  ExprPtr object, index;
};

struct SliceExpr final : Expr {  // object[start:stop:step], each may be null
  using Expr::Expr;
  Result<Value> Eval(Interpreter& in) const override;
  ExprPtr object, start, stop, step;
};

struct ArgumentExprs {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<std::string, ExprPtr>> named;
  ExprPtr more_positional, more_named;  // *a, **b
};

struct CallExpr final : Expr {
  using Expr::Expr;
  Result<Value> Eval(Interpreter& in) const override;
  Result<Value> EvalWithCaller(Interpreter& in, const Value* caller) const;
  ExprPtr callee;
  ArgumentExprs arguments;
};

struct FilterExpr final : Expr {
  using Expr::Expr;
  Result<Value> Eval(Interpreter& in) const override;
  Result<Value> Apply(Interpreter& in, Value input) const;
  ExprPtr input;  // null for the body of a filter block
  std::string name;
  const Builtin* filter = nullptr;  // null: unknown, an error when it is used
  ArgumentExprs arguments;
};

struct TestExpr final : Expr {
  using Expr::Expr;
  Result<Value> Eval(Interpreter& in) const override;
  ExprPtr input;
  std::string name;
  const Builtin* test = nullptr;  // null: unknown, an error when it is used
  bool negated = false;
  ArgumentExprs arguments;
};

}  // namespace kvasir::jinja
