// Execution of statements.
#include "jinja/callables.h"
#include "jinja/interpreter.h"
#include "jinja/operators.h"

namespace kvasir::jinja {
namespace {

Status NoVariables(Scope&) { return {}; }

Result<Value> ApplyFilters(Interpreter& in, const std::vector<std::unique_ptr<FilterExpr>>& filters,
                           Value value) {
  for (const auto& filter : filters) {
    KV_ASSIGN_OR_RETURN(value, filter->Apply(in, std::move(value)));
  }
  return value;
}

}  // namespace

Result<Flow> DataStmt::Exec(Interpreter& in) const {
  KV_RETURN_IF_ERROR(in.Write(text));
  return Flow::kNext;
}

Result<Flow> OutputStmt::Exec(Interpreter& in) const {
  KV_ASSIGN_OR_RETURN(const Value v, in.Eval(*value));
  KV_RETURN_IF_ERROR(in.Write(v));
  return Flow::kNext;
}

Result<Flow> IfStmt::Exec(Interpreter& in) const {
  for (const auto& [condition, body] : branches) {
    KV_ASSIGN_OR_RETURN(const Value value, in.Eval(*condition));
    if (value.Truth()) return in.Exec(body);
  }
  return in.Exec(otherwise);
}

Result<Flow> ForStmt::Exec(Interpreter& in) const {
  KV_ASSIGN_OR_RETURN(const Value value, in.Eval(*iterable));
  KV_ASSIGN_OR_RETURN(ListRef items, Iterate(in.heap(), value));
  KV_ASSIGN_OR_RETURN(
      Loop * loop, in.heap().Keep(std::make_unique<Loop>(*this, std::move(items), &in.scope(), 0)));
  return loop->Run(in);
}

Result<Flow> SetStmt::Exec(Interpreter& in) const {
  KV_ASSIGN_OR_RETURN(const Value v, in.Eval(*value));
  KV_RETURN_IF_ERROR(in.Assign(target, v));
  return Flow::kNext;
}

Result<Flow> SetBlockStmt::Exec(Interpreter& in) const {
  Flow flow = Flow::kNext;
  KV_ASSIGN_OR_RETURN(Value text, in.Captured(&in.scope(), body, NoVariables, &flow));
  if (flow != Flow::kNext) return flow;
  KV_ASSIGN_OR_RETURN(const Value value, ApplyFilters(in, filters, std::move(text)));
  KV_RETURN_IF_ERROR(in.Assign(target, value));
  return Flow::kNext;
}

Result<Flow> WithStmt::Exec(Interpreter& in) const {
  std::vector<Value> values;  // all evaluated outside, before any is visible
  for (const auto& [target, expr] : variables) {
    KV_ASSIGN_OR_RETURN(Value value, in.Eval(*expr));
    values.push_back(std::move(value));
  }
  return in.InScope(&in.scope(), body, [&](Scope&) -> Status {
    for (size_t i = 0; i < values.size(); ++i) {
      KV_RETURN_IF_ERROR(in.Assign(variables[i].first, values[i]));
    }
    return {};
  });
}

Result<Flow> FilterBlockStmt::Exec(Interpreter& in) const {
  Flow flow = Flow::kNext;
  KV_ASSIGN_OR_RETURN(Value text, in.Captured(&in.scope(), body, NoVariables, &flow));
  if (flow != Flow::kNext) return flow;
  KV_ASSIGN_OR_RETURN(const Value value, ApplyFilters(in, filters, std::move(text)));
  KV_RETURN_IF_ERROR(in.Write(value));
  return Flow::kNext;
}

Result<Flow> MacroStmt::Exec(Interpreter& in) const {
  KV_ASSIGN_OR_RETURN(Object * object, in.heap().Keep(std::make_unique<Macro>(macro, &in.scope())));
  in.scope().Set(macro.name, Value(object));
  return Flow::kNext;
}

Result<Flow> CallBlockStmt::Exec(Interpreter& in) const {
  KV_ASSIGN_OR_RETURN(Object * object,
                      in.heap().Keep(std::make_unique<Macro>(caller, &in.scope())));
  const Value caller_value(object);
  KV_ASSIGN_OR_RETURN(const Value value, call->EvalWithCaller(in, &caller_value));
  KV_RETURN_IF_ERROR(in.Write(value));
  return Flow::kNext;
}

Result<Flow> ScopeStmt::Exec(Interpreter& in) const {
  return in.InScope(&in.scope(), body, NoVariables);
}

}  // namespace kvasir::jinja
