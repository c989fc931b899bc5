#include "jinja/interpreter.h"

#include <algorithm>

#include "jinja/callables.h"
#include "jinja/operators.h"
#include "jinja/print.h"

namespace kvasir::jinja {

const Value* Scope::Find(std::string_view name) const {
  for (const Scope* scope = this; scope != nullptr; scope = scope->parent_) {
    for (const auto& [n, value] : scope->variables_) {
      if (n == name) return &value;
    }
  }
  return nullptr;
}

void Scope::Set(std::string_view name, Value value) {
  for (auto& [n, old] : variables_) {
    if (n == name) {
      old = std::move(value);
      return;
    }
  }
  variables_.emplace_back(name, std::move(value));
}

void Scope::Capture() {
  for (Scope* scope = this; scope != nullptr && !scope->captured_; scope = scope->parent_) {
    scope->captured_ = true;
  }
}

// Counts a level of recursion while it lives.
class Interpreter::Depth {
 public:
  explicit Depth(Interpreter& in) : in_(in) { ++in_.depth_; }
  ~Depth() { --in_.depth_; }

 private:
  Interpreter& in_;
};

Status Interpreter::Enter() {
  if (depth_ > heap_.limits().max_depth) {
    return Fail("limit exceeded: evaluation nested deeper than {} (max_depth)",
                heap_.limits().max_depth);
  }
  return heap_.Step();
}

Status Interpreter::Run(const Block& block) {
  auto root = std::make_unique<Scope>(nullptr);
  scope_ = root.get();
  const Result<Flow> flow = Exec(block);
  scope_ = nullptr;
  if (!flow) return tl::unexpected<Error>(flow.error());
  return {};
}

Result<Value> Interpreter::Eval(const Expr& expr) {
  const Depth depth(*this);
  const int outer_line = std::exchange(line_, expr.line);
  KV_RETURN_IF_ERROR(Enter());
  Result<Value> value = expr.Eval(*this);
  if (value) line_ = outer_line;  // an error is reported at the innermost line
  return value;
}

Result<Flow> Interpreter::Exec(const Block& block) {
  const Depth depth(*this);
  for (const std::unique_ptr<Stmt>& statement : block) {
    line_ = statement->line;
    KV_RETURN_IF_ERROR(Enter());
    KV_ASSIGN_OR_RETURN(const Flow flow, statement->Exec(*this));
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Result<Value> Interpreter::Lookup(const std::string& name) {
  if (const Value* value = scope_->Find(name)) return *value;
  if (const Value* value = context_.Find(name)) return *value;
  if (const Builtin* function = FindFunction(name)) {
    KV_ASSIGN_OR_RETURN(Object * object, heap_.Keep(std::make_unique<Function>(*function)));
    return Value(object);
  }
  return heap_.MakeUndefined(fmt::format("'{}' is undefined", name));
}

Status Interpreter::Write(std::string_view text) {
  KV_RETURN_IF_ERROR(heap_.CountOutput(text.size()));
  output_->append(text);
  return {};
}

Status Interpreter::Write(const Value& value) {
  if (value.is_string()) return Write(value.str());
  KV_ASSIGN_OR_RETURN(const std::string text, Str(heap_, value));
  return Write(text);
}

Status Interpreter::Assign(const Target& target, const Value& value) {
  switch (target.kind) {
    case Target::Kind::kName:
      scope_->Set(target.name, value);
      return {};
    case Target::Kind::kAttribute: {
      KV_ASSIGN_OR_RETURN(const Value object, Lookup(target.name));
      auto* space = object.As<Namespace>();
      if (space == nullptr) return Fail("cannot assign attribute on non-namespace object");
      KV_ASSIGN_OR_RETURN(const Value name, heap_.MakeText(target.attribute));
      space->Set(name, value);
      return {};
    }
    case Target::Kind::kTuple:
      break;
  }
  if (value.is_undefined()) return FailUndefined(value);
  if (!value.is_list() && !value.is_string() && !value.is_dict() && !value.is_object()) {
    return Fail("cannot unpack non-iterable {} object", TypeName(value));
  }
  KV_ASSIGN_OR_RETURN(const ListRef list, Iterate(heap_, value));
  const size_t n = target.items.size();
  if (list->items.size() < n) {
    return Fail("not enough values to unpack (expected {}, got {})", n, list->items.size());
  }
  if (list->items.size() > n) return Fail("too many values to unpack (expected {})", n);
  for (size_t i = 0; i < n; ++i) KV_RETURN_IF_ERROR(Assign(target.items[i], list->items[i]));
  return {};
}

Result<Arguments> Interpreter::EvalArguments(const ArgumentExprs& exprs) {
  Arguments out;
  for (const ExprPtr& expr : exprs.positional) {
    KV_ASSIGN_OR_RETURN(Value value, Eval(*expr));
    out.positional.push_back(std::move(value));
  }
  for (const auto& [name, expr] : exprs.named) {
    KV_ASSIGN_OR_RETURN(Value value, Eval(*expr));
    out.named.emplace_back(name, std::move(value));
  }
  if (exprs.more_positional) {
    KV_ASSIGN_OR_RETURN(const Value more, Eval(*exprs.more_positional));
    KV_ASSIGN_OR_RETURN(const ListRef list, Iterate(heap_, more));
    out.positional.insert(out.positional.end(), list->items.begin(), list->items.end());
  }
  if (exprs.more_named) {
    KV_ASSIGN_OR_RETURN(const Value more, Eval(*exprs.more_named));
    if (!more.is_dict()) return Fail("argument after ** must be a mapping, not {}", TypeName(more));
    for (const auto& [key, value] : more.dict().entries()) {
      if (!key.is_string()) return Fail("keywords must be strings");
      out.named.emplace_back(std::string(key.str()), value);
    }
  }
  // All pairs are compared: few are named, and ** of a large dict must not be slow.
  KV_RETURN_IF_ERROR(heap_.Step(static_cast<int64_t>(out.named.size() * out.named.size())));
  for (size_t i = 0; i < out.named.size(); ++i) {
    for (size_t k = i + 1; k < out.named.size(); ++k) {
      if (out.named[i].first == out.named[k].first) {
        return Fail("got multiple values for keyword argument '{}'", out.named[i].first);
      }
    }
  }
  return out;
}

Value Interpreter::Missing(const Value& object, std::string_view name) {
  const std::string kind = object.is_none() ? "None" : fmt::format("{} object", TypeName(object));
  return heap_.MakeUndefined(fmt::format("'{}' has no attribute '{}'", kind, name));
}

Result<std::optional<Value>> Interpreter::TypeAttribute(const Value& object,
                                                        std::string_view name) {
  if (object.is_object()) return object.object()->Attribute(*this, name);
  if (object.is_list() && object.list().flavor == Flavor::kGroup) {
    if (name == "grouper") return object.list().items[0];
    if (name == "list") return object.list().items[1];
  }
  const MethodLookup found = FindMethod(object, name);
  if (!found.supported) {
    return Fail("'{}' of '{}' objects is not supported", name, TypeName(object));
  }
  if (found.method == nullptr) return std::nullopt;
  KV_ASSIGN_OR_RETURN(Object * bound,
                      heap_.Keep(std::make_unique<BoundMethod>(object, *found.method)));
  return Value(bound);
}

Result<Value> Interpreter::GetAttribute(const Value& object, std::string_view name) {
  if (object.is_undefined()) return FailUndefined(object);
  if (IsMutation(object, name)) return ForbiddenMutation(heap_, object, name);
  KV_ASSIGN_OR_RETURN(std::optional<Value> attribute, TypeAttribute(object, name));
  if (attribute) return *attribute;
  if (object.is_dict()) {
    if (const Value* value = object.dict().Find(name)) return *value;
  }
  return Missing(object, name);
}

Result<Value> Interpreter::GetItem(const Value& object, const Value& index) {
  if (object.is_undefined()) return FailUndefined(object);
  KV_ASSIGN_OR_RETURN(std::optional<Value> item, Subscript(heap_, object, index));
  if (item) return *item;
  if (index.is_string()) {
    if (IsMutation(object, index.str())) return ForbiddenMutation(heap_, object, index.str());
    KV_ASSIGN_OR_RETURN(std::optional<Value> attribute, TypeAttribute(object, index.str()));
    if (attribute) return *attribute;
    return Missing(object, index.str());
  }
  std::string repr;
  if (index.is_int()) repr = IntText(index.integer());
  return heap_.MakeUndefined(fmt::format("{} object has no element {}", TypeName(object), repr));
}

Result<Value> Interpreter::CallValue(const Value& callee, Arguments arguments) {
  if (callee.is_undefined()) return FailUndefined(callee);
  if (!callee.is_object()) return Fail("'{}' object is not callable", TypeName(callee));
  const Depth depth(*this);
  KV_RETURN_IF_ERROR(Enter());
  return callee.object()->Call(*this, std::move(arguments));
}

Result<Value> Interpreter::CallMethod(const Value& object, std::string_view name,
                                      Arguments arguments) {
  // Without an object for the bound method in between, where there is nothing else of that name.
  if (!object.is_undefined() && !object.is_object() && !IsMutation(object, name)) {
    const MethodLookup found = FindMethod(object, name);
    if (found.method != nullptr) {
      arguments.positional.insert(arguments.positional.begin(), object);
      return Call::Run(*this, *found.method, std::move(arguments));
    }
  }
  KV_ASSIGN_OR_RETURN(const Value callee, GetAttribute(object, name));
  return CallValue(callee, std::move(arguments));
}

Result<Value> Interpreter::CallFilter(std::string_view name, Arguments arguments) {
  const Builtin* filter = FindFilter(name);
  if (filter == nullptr) return Fail("No filter named '{}'.", name);
  return Call::Run(*this, *filter, std::move(arguments));
}

Result<bool> Interpreter::CallTest(std::string_view name, Arguments arguments) {
  const Builtin* test = FindTest(name);
  if (test == nullptr) return Fail("No test named '{}'.", name);
  KV_ASSIGN_OR_RETURN(const Value value, Call::Run(*this, *test, std::move(arguments)));
  return value.Truth();
}

tl::unexpected<Error> Interpreter::Raise(std::string message) {
  raised_ = true;
  return tl::unexpected<Error>(Error{std::move(message)});
}

}  // namespace kvasir::jinja
