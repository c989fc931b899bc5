// The loop variable, and how a for block runs.
#include <algorithm>

#include "jinja/callables.h"
#include "jinja/operators.h"
#include "jinja/print.h"

namespace kvasir::jinja {
namespace {

Result<Value> LoopCycle(Call& call) {
  if (call.rest.empty()) return Fail("no items for cycling given");
  return call[0].As<Loop>()->Cycle(call.rest);
}

Result<Value> LoopChanged(Call& call) {
  KV_ASSIGN_OR_RETURN(const bool changed, call[0].As<Loop>()->Changed(call.heap, call.rest));
  return Value::Bool(changed);
}

constexpr Builtin kCycle = {"cycle", "self *rest", LoopCycle};
constexpr Builtin kChanged = {"changed", "self *rest", LoopChanged};

}  // namespace

Loop::Loop(const ForStmt& loop, ListRef source, Scope* scope, int depth0)
    : loop_(loop), source_(std::move(source)), scope_(scope), depth0_(depth0) {
  if (loop_.recursive) scope_->Capture();  // loop(...) may be called from anywhere
}

Result<bool> Loop::Reach(Interpreter& in, size_t i) {
  while (items_.size() <= i && source_at_ < source_->items.size()) {
    const Value& candidate = source_->items[source_at_++];
    bool keep = true;
    if (loop_.filter) {
      KV_RETURN_IF_ERROR(in.heap().CountIteration());
      const auto test = [&](Scope&) -> Status {
        KV_RETURN_IF_ERROR(in.Assign(loop_.target, candidate));
        KV_ASSIGN_OR_RETURN(const Value value, in.Eval(*loop_.filter));
        keep = value.Truth();
        return {};
      };
      static const Block kNothing;
      KV_RETURN_IF_ERROR(in.InScope(scope_, kNothing, test));
    }
    if (keep) items_.push_back(candidate);
  }
  return items_.size() > i;
}

Result<Flow> Loop::Run(Interpreter& in) {
  bool completed = false;  // by an iteration that ran to its end, as Jinja has it
  for (index0_ = 0;; ++index0_) {
    KV_ASSIGN_OR_RETURN(const bool more, Reach(in, index0_));
    if (!more) break;
    KV_RETURN_IF_ERROR(in.heap().CountIteration());
    const auto prepare = [&](Scope& scope) {
      scope.Set("loop", Value(static_cast<Object*>(this)));
      return in.Assign(loop_.target, Value(items_[index0_]));
    };
    KV_ASSIGN_OR_RETURN(const Flow flow, in.InScope(scope_, loop_.body, prepare));
    if (flow == Flow::kBreak) break;
    if (flow == Flow::kNext) completed = true;
  }
  if (completed || loop_.otherwise.empty()) return Flow::kNext;
  return in.InScope(scope_, loop_.otherwise, [](Scope&) { return Status(); });
}

Result<Value> Loop::Call(Interpreter& in, Arguments args) {
  if (!loop_.recursive) {
    return Fail("The loop must have the 'recursive' marker to be called recursively.");
  }
  if (args.positional.size() != 1 || !args.named.empty()) {
    return Fail("loop() takes one argument: what to iterate over");
  }
  KV_ASSIGN_OR_RETURN(ListRef items, Iterate(in.heap(), args.positional[0]));
  KV_ASSIGN_OR_RETURN(Loop * loop, in.heap().Keep(std::make_unique<Loop>(loop_, std::move(items),
                                                                         scope_, depth0_ + 1)));
  return in.Capture([&]() -> Status {
    KV_RETURN_IF_ERROR(loop->Run(in));
    return {};
  });
}

Result<int64_t> Loop::Length(Interpreter& in) {
  KV_RETURN_IF_ERROR(Reach(in, source_->items.size()));
  return static_cast<int64_t>(items_.size());
}

Result<std::optional<Value>> Loop::Computed(Interpreter& in, std::string_view name) {
  const auto index0 = static_cast<int64_t>(index0_);
  const auto integer = [](int64_t i) { return Value::Integer(i); };
  if (name == "index") return integer(index0 + 1);
  if (name == "index0") return integer(index0);
  if (name == "depth") return integer(depth0_ + 1);
  if (name == "depth0") return integer(depth0_);
  if (name == "first") return Value::Bool(index0_ == 0);
  if (name == "last" || name == "nextitem") {
    KV_ASSIGN_OR_RETURN(const bool more, Reach(in, index0_ + 1));
    if (name == "last") return Value::Bool(!more);
    return more ? items_[index0_ + 1] : in.heap().MakeUndefined("there is no next item");
  }
  if (name == "previtem") {
    return index0_ > 0 ? items_[index0_ - 1] : in.heap().MakeUndefined("there is no previous item");
  }
  if (name == "length" || name == "revindex" || name == "revindex0") {
    KV_ASSIGN_OR_RETURN(const int64_t length, Length(in));
    return integer(name == "length" ? length : length - index0 - (name == "revindex" ? 0 : 1));
  }
  return std::nullopt;
}

Result<std::optional<Value>> Loop::Attribute(Interpreter& in, std::string_view name) {
  if (name != "cycle" && name != "changed") return Computed(in, name);
  KV_ASSIGN_OR_RETURN(Object * bound,
                      in.heap().Keep(std::make_unique<BoundMethod>(
                          Value(static_cast<Object*>(this)), name == "cycle" ? kCycle : kChanged)));
  return Value(bound);
}

Status Loop::Print(Heap&, std::string& out) const {
  // The length is that of the source where no filter runs; otherwise it may not be known yet.
  if (loop_.filter) return Fail("printing a filtered loop is not supported");
  out += fmt::format("<LoopContext {}/{}>", index0_ + 1, source_->items.size());
  return {};
}

Value Loop::Cycle(const std::vector<Value>& values) const {
  return values[index0_ % values.size()];
}

Result<bool> Loop::Changed(Heap& heap, std::vector<Value> values) {
  KV_ASSIGN_OR_RETURN(Value now, heap.MakeList(std::move(values), Flavor::kTuple));
  if (last_changed_) {
    KV_ASSIGN_OR_RETURN(const bool same, Equal(heap, *last_changed_, now));
    if (same) return false;
  }
  last_changed_ = std::move(now);
  return true;
}

}  // namespace kvasir::jinja
