#include "jinja/callables.h"

#include <algorithm>

#include "jinja/operators.h"
#include "jinja/print.h"

namespace kvasir::jinja {

Result<Value> Object::Call(Interpreter&, Arguments) {
  return Fail("'{}' object is not callable", type_name());
}

Result<std::optional<Value>> Object::Attribute(Interpreter&, std::string_view) {
  return std::nullopt;
}

Status Object::Print(Heap&, std::string&) const {
  if (type_name() == "generator") {
    return Fail("printing a generator is not supported: add | list");
  }
  return Fail("printing a '{}' is not supported", type_name());
}

Result<std::optional<Value>> Namespace::Attribute(Interpreter&, std::string_view name) {
  const Value* value = fields_.Find(name);
  return value == nullptr ? std::nullopt : std::optional<Value>(*value);
}

Status Namespace::Print(Heap& heap, std::string& out) const {
  // Namespaces are the only values that can contain themselves.
  if (printing_) return Fail("printing a namespace that contains itself is not supported");
  printing_ = true;
  out += "<Namespace {";
  bool first = true;
  for (const auto& [key, value] : fields_.entries()) {
    if (!first) out += ", ";
    first = false;
    KV_RETURN_IF_ERROR(AppendRepr(heap, key, out));
    out += ": ";
    KV_RETURN_IF_ERROR(AppendRepr(heap, value, out));
  }
  out += "}>";
  printing_ = false;
  return {};
}

Result<Value> Function::Call(Interpreter& in, Arguments args) {
  return jinja::Call::Run(in, builtin_, std::move(args));
}

Result<Value> BoundMethod::Call(Interpreter& in, Arguments args) {
  args.positional.insert(args.positional.begin(), self_);
  return jinja::Call::Run(in, builtin_, std::move(args));
}

// Arguments of a macro by what they are for.
struct Macro::Bound {
  std::vector<std::optional<Value>> parameters;
  Value caller, varargs, kwargs;
};

Result<Macro::Bound> Macro::Bind(Heap& heap, Arguments args) const {
  Bound out;
  const size_t n = body_.parameters.size();
  for (size_t i = 0; i < n; ++i) {
    std::optional<Value>& slot = out.parameters.emplace_back();
    if (i < args.positional.size()) {
      slot = args.positional[i];
      continue;
    }
    const auto named = std::find_if(args.named.begin(), args.named.end(),
                                    [&](const auto& a) { return a.first == body_.parameters[i]; });
    if (named == args.named.end()) continue;
    slot = std::move(named->second);
    args.named.erase(named);
  }
  if (body_.uses_caller) {
    const auto named = std::find_if(args.named.begin(), args.named.end(),
                                    [](const auto& a) { return a.first == "caller"; });
    if (named == args.named.end()) {
      out.caller = heap.MakeUndefined("No caller defined");
    } else {
      out.caller = std::move(named->second);
      args.named.erase(named);
    }
  }
  if (body_.uses_kwargs) {
    Dict kwargs;
    for (auto& [name, value] : args.named) {
      KV_ASSIGN_OR_RETURN(const Value key, heap.MakeText(name));
      kwargs.Set(key, std::move(value));
    }
    KV_ASSIGN_OR_RETURN(out.kwargs, heap.MakeDict(std::move(kwargs)));
  } else if (!args.named.empty()) {
    return Fail("macro '{}' takes no keyword argument '{}'", body_.name, args.named[0].first);
  }
  if (body_.uses_varargs) {
    const size_t first = std::min(n, args.positional.size());
    std::vector<Value> more(args.positional.begin() + static_cast<int64_t>(first),
                            args.positional.end());
    KV_ASSIGN_OR_RETURN(out.varargs, heap.MakeList(std::move(more), Flavor::kTuple));
  } else if (args.positional.size() > n) {
    return Fail("macro '{}' takes not more than {} argument(s)", body_.name, n);
  }
  return out;
}

// Sets the parameters; defaults may refer to the others.
Status Macro::Fill(Interpreter& in, Scope& scope, Bound& bound) const {
  const size_t n = body_.parameters.size();
  const size_t n_required = n - body_.defaults.size();
  if (body_.uses_caller) scope.Set("caller", bound.caller);
  if (body_.uses_kwargs) scope.Set("kwargs", bound.kwargs);
  if (body_.uses_varargs) scope.Set("varargs", bound.varargs);
  for (size_t i = 0; i < n; ++i) {
    const std::string& name = body_.parameters[i];
    scope.Set(name, bound.parameters[i] ? *bound.parameters[i]
                                        : in.heap().MakeUndefined(fmt::format(
                                              "parameter '{}' was not provided", name)));
  }
  for (size_t i = n_required; i < n; ++i) {
    if (bound.parameters[i]) continue;
    KV_ASSIGN_OR_RETURN(Value value, in.Eval(*body_.defaults[i - n_required]));
    scope.Set(body_.parameters[i], std::move(value));
  }
  return {};
}

Result<Value> Macro::Call(Interpreter& in, Arguments args) {
  KV_ASSIGN_OR_RETURN(Bound bound, Bind(in.heap(), std::move(args)));
  return in.Captured(
      scope_, body_.body, [&](Scope& scope) { return Fill(in, scope, bound); }, nullptr);
}

Result<std::optional<Value>> Macro::Attribute(Interpreter& in, std::string_view name) {
  if (name == "name") {
    if (body_.name.empty()) return Value::MakeNone();
    KV_ASSIGN_OR_RETURN(Value text, in.heap().MakeText(body_.name));
    return text;
  }
  if (name == "arguments") {
    std::vector<Value> names;
    for (const std::string& parameter : body_.parameters) {
      KV_ASSIGN_OR_RETURN(Value text, in.heap().MakeText(parameter));
      names.push_back(std::move(text));
    }
    KV_ASSIGN_OR_RETURN(Value tuple, in.heap().MakeList(std::move(names), Flavor::kTuple));
    return tuple;
  }
  if (name == "catch_kwargs") return Value::Bool(body_.uses_kwargs);
  if (name == "catch_varargs") return Value::Bool(body_.uses_varargs);
  if (name == "caller") return Value::Bool(body_.uses_caller);
  return std::nullopt;
}

Status Macro::Print(Heap&, std::string& out) const {
  out += body_.name.empty() ? "<Macro anonymous>" : "<Macro " + QuotedRepr(body_.name) + ">";
  return {};
}

Result<Value> Joiner::Call(Interpreter& in, Arguments args) {
  if (!args.positional.empty() || !args.named.empty()) return Fail("a joiner takes no arguments");
  if (used_) return separator_;
  used_ = true;
  return in.heap().MakeText("");
}

Value Cycler::Next() {
  Value value = items_[at_];
  at_ = (at_ + 1) % items_.size();
  return value;
}

namespace {

Result<Value> CyclerNext(Call& call) { return call[0].As<Cycler>()->Next(); }

Result<Value> CyclerReset(Call& call) {
  call[0].As<Cycler>()->Reset();
  return Value::MakeNone();
}

constexpr Builtin kCyclerNext = {"next", "self", CyclerNext};
constexpr Builtin kCyclerReset = {"reset", "self", CyclerReset};

}  // namespace

Result<std::optional<Value>> Cycler::Attribute(Interpreter& in, std::string_view name) {
  if (name == "current") return items_[at_];
  if (name != "next" && name != "reset") return std::nullopt;
  KV_ASSIGN_OR_RETURN(Object * bound, in.heap().Keep(std::make_unique<BoundMethod>(
                                          Value(static_cast<Object*>(this)),
                                          name == "next" ? kCyclerNext : kCyclerReset)));
  return Value(bound);
}

bool IsMutation(const Value& object, std::string_view name) {
  static constexpr std::string_view kList[] = {"append", "clear", "pop",    "reverse",
                                               "insert", "sort",  "extend", "remove"};
  static constexpr std::string_view kDict[] = {"clear", "pop", "popitem", "setdefault", "update"};
  const auto among = [&](const auto& names) {
    return std::find(std::begin(names), std::end(names), name) != std::end(names);
  };
  if (object.is_dict()) return among(kDict);
  return object.is_list() && object.list().flavor == Flavor::kList && among(kList);
}

Value ForbiddenMutation(Heap& heap, const Value& object, std::string_view name) {
  return heap.MakeUndefined(
      fmt::format("access to attribute '{}' of '{}' object is unsafe.", name, TypeName(object)));
}

}  // namespace kvasir::jinja
