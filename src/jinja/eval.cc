// Evaluation of expressions.
#include "jinja/callables.h"
#include "jinja/interpreter.h"
#include "jinja/operators.h"
#include "jinja/print.h"

namespace kvasir::jinja {

Result<Value> NameExpr::Eval(Interpreter& in) const { return in.Lookup(name); }

Result<Value> SequenceExpr::Eval(Interpreter& in) const {
  std::vector<Value> values;
  values.reserve(items.size());
  for (const ExprPtr& item : items) {
    KV_ASSIGN_OR_RETURN(Value value, in.Eval(*item));
    values.push_back(std::move(value));
  }
  return in.heap().MakeList(std::move(values), flavor);
}

Result<Value> DictExpr::Eval(Interpreter& in) const {
  Dict dict;
  for (const auto& [key_expr, value_expr] : items) {
    KV_ASSIGN_OR_RETURN(const Value key, in.Eval(*key_expr));
    KV_RETURN_IF_ERROR(CheckKey(key));
    KV_ASSIGN_OR_RETURN(Value value, in.Eval(*value_expr));
    dict.Set(key, std::move(value));
  }
  return in.heap().MakeDict(std::move(dict));
}

Result<Value> UnaryExpr::Eval(Interpreter& in) const {
  KV_ASSIGN_OR_RETURN(const Value value, in.Eval(*operand));
  if (op == UnaryOp::kNot) return Value::Bool(!value.Truth());
  if (op == UnaryOp::kNegative) return Negate(value);
  if (value.is_undefined()) return FailUndefined(value);
  if (value.is_bool()) return Value::Integer(value.integer());
  if (!value.is_number()) return Fail("bad operand type for unary +: '{}'", TypeName(value));
  return value;
}

Result<Value> BinaryExpr::Eval(Interpreter& in) const {
  KV_ASSIGN_OR_RETURN(Value a, in.Eval(*left));
  if (op == BinaryOp::kAnd) return a.Truth() ? in.Eval(*right) : Result<Value>(std::move(a));
  if (op == BinaryOp::kOr) return a.Truth() ? Result<Value>(std::move(a)) : in.Eval(*right);
  KV_ASSIGN_OR_RETURN(const Value b, in.Eval(*right));
  return Arithmetic(in.heap(), op, a, b);
}

Result<Value> ConcatExpr::Eval(Interpreter& in) const {
  std::string text;
  for (const ExprPtr& part : parts) {
    KV_ASSIGN_OR_RETURN(const Value value, in.Eval(*part));
    KV_RETURN_IF_ERROR(AppendStr(in.heap(), value, text));
  }
  return in.heap().MakeText(std::move(text));
}

Result<Value> CompareExpr::Eval(Interpreter& in) const {
  KV_ASSIGN_OR_RETURN(Value left, in.Eval(*first));
  for (const auto& [op, expr] : rest) {
    KV_ASSIGN_OR_RETURN(Value right, in.Eval(*expr));
    KV_ASSIGN_OR_RETURN(const bool holds, Compare(in.heap(), op, left, right));
    if (!holds) return Value::Bool(false);
    left = std::move(right);
  }
  return Value::Bool(true);
}

Result<Value> ConditionalExpr::Eval(Interpreter& in) const {
  KV_ASSIGN_OR_RETURN(const Value value, in.Eval(*condition));
  if (value.Truth()) return in.Eval(*then);
  if (otherwise) return in.Eval(*otherwise);
  return in.heap().MakeUndefined(
      "the inline if-expression evaluated to false and no else section was defined");
}

Result<Value> AttributeExpr::Eval(Interpreter& in) const {
  KV_ASSIGN_OR_RETURN(const Value value, in.Eval(*object));
  return in.GetAttribute(value, name);
}

Result<Value> IndexExpr::Eval(Interpreter& in) const {
  KV_ASSIGN_OR_RETURN(const Value value, in.Eval(*object));
  KV_ASSIGN_OR_RETURN(const Value at, in.Eval(*index));
  return in.GetItem(value, at);
}

Result<Value> SliceExpr::Eval(Interpreter& in) const {
  KV_ASSIGN_OR_RETURN(const Value value, in.Eval(*object));
  Value parts[3];
  const Expr* exprs[3] = {start.get(), stop.get(), step.get()};
  for (int i = 0; i < 3; ++i) {
    parts[i] = Value::MakeNone();
    if (exprs[i] != nullptr) {
      KV_ASSIGN_OR_RETURN(parts[i], in.Eval(*exprs[i]));
    }
  }
  return jinja::Slice(in.heap(), value, parts[0], parts[1], parts[2]);
}

Result<Value> CallExpr::Eval(Interpreter& in) const { return EvalWithCaller(in, nullptr); }

Result<Value> CallExpr::EvalWithCaller(Interpreter& in, const Value* caller) const {
  // object.name(...): the method is called without making an object of it.
  const auto* attribute = dynamic_cast<const AttributeExpr*>(callee.get());
  KV_ASSIGN_OR_RETURN(const Value target,
                      attribute ? in.Eval(*attribute->object) : in.Eval(*callee));
  if (target.is_undefined()) return FailUndefined(target);
  KV_ASSIGN_OR_RETURN(Arguments args, in.EvalArguments(arguments));
  if (caller != nullptr) args.named.emplace_back("caller", *caller);
  if (attribute) return in.CallMethod(target, attribute->name, std::move(args));
  return in.CallValue(target, std::move(args));
}

Result<Value> FilterExpr::Eval(Interpreter& in) const {
  KV_ASSIGN_OR_RETURN(Value value, in.Eval(*input));
  return Apply(in, std::move(value));
}

Result<Value> FilterExpr::Apply(Interpreter& in, Value value) const {
  if (filter == nullptr) return Fail("No filter named '{}'.", name);
  KV_ASSIGN_OR_RETURN(Arguments args, in.EvalArguments(arguments));
  args.positional.insert(args.positional.begin(), std::move(value));
  return Call::Run(in, *filter, std::move(args));
}

Result<Value> TestExpr::Eval(Interpreter& in) const {
  if (test == nullptr) return Fail("No test named '{}'.", name);
  KV_ASSIGN_OR_RETURN(Value value, in.Eval(*input));
  KV_ASSIGN_OR_RETURN(Arguments args, in.EvalArguments(arguments));
  args.positional.insert(args.positional.begin(), std::move(value));
  KV_ASSIGN_OR_RETURN(const Value result, Call::Run(in, *test, std::move(args)));
  return Value::Bool(result.Truth() != negated);
}

}  // namespace kvasir::jinja
