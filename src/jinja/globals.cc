// Global functions.
#include <array>

#include "jinja/builtin.h"
#include "jinja/callables.h"
#include "jinja/interpreter.h"
#include "jinja/operators.h"
#include "jinja/time_format.h"

namespace kvasir::jinja {
namespace {

Result<Value> Range(Call& call) {
  KV_ASSIGN_OR_RETURN(const Int first, call.Integer(0));
  KV_ASSIGN_OR_RETURN(const Int second, call.has(1) ? call.Integer(1) : Result<Int>(0));
  KV_ASSIGN_OR_RETURN(const Int step, call.has(2) ? call.Integer(2) : Result<Int>(1));
  return call.has(1) ? MakeRange(call.heap, first, second, step)
                     : MakeRange(call.heap, 0, first, step);
}

// dict(mapping or pairs, **more)
Result<Dict> BuildDict(Call& call) {
  Dict dict;
  if (call.rest.size() > 1) return Fail("{}() expected at most 1 argument", call.name);
  if (!call.rest.empty() && call.rest[0].is_dict()) {
    for (const auto& [key, value] : call.rest[0].dict().entries()) dict.Set(key, value);
  } else if (!call.rest.empty()) {
    KV_ASSIGN_OR_RETURN(const ListRef pairs, Iterate(call.heap, call.rest[0]));
    for (const Value& item : pairs->items) {
      KV_ASSIGN_OR_RETURN(const ListRef pair, Iterate(call.heap, item));
      if (pair->items.size() != 2) {
        return Fail("dictionary update sequence element has length {}; 2 is required",
                    pair->items.size());
      }
      KV_RETURN_IF_ERROR(CheckKey(pair->items[0]));
      dict.Set(pair->items[0], pair->items[1]);
    }
  }
  for (const auto& [name, value] : call.named) {
    KV_ASSIGN_OR_RETURN(const Value key, call.heap.MakeText(name));
    dict.Set(key, value);
  }
  return dict;
}

Result<Value> MakeDict(Call& call) {
  KV_ASSIGN_OR_RETURN(Dict dict, BuildDict(call));
  return call.heap.MakeDict(std::move(dict));
}

Result<Value> MakeNamespace(Call& call) {
  KV_ASSIGN_OR_RETURN(Dict dict, BuildDict(call));
  KV_ASSIGN_OR_RETURN(Object * made, call.heap.Keep(std::make_unique<Namespace>(std::move(dict))));
  return Value(made);
}

Result<Value> MakeJoiner(Call& call) {
  KV_ASSIGN_OR_RETURN(const Value separator, call.has(0) ? call[0] : call.Text(", "));
  KV_ASSIGN_OR_RETURN(Object * made, call.heap.Keep(std::make_unique<Joiner>(separator)));
  return Value(made);
}

Result<Value> MakeCycler(Call& call) {
  if (call.rest.empty()) return Fail("at least one item has to be provided");
  KV_ASSIGN_OR_RETURN(Object * made, call.heap.Keep(std::make_unique<Cycler>(call.rest)));
  return Value(made);
}

Result<Value> RaiseException(Call& call) {
  KV_ASSIGN_OR_RETURN(std::string message, call.Str(0));
  return call.in.Raise(std::move(message));
}

Result<Value> StrftimeNow(Call& call) {
  KV_ASSIGN_OR_RETURN(const std::string_view format, call.String(0));
  KV_ASSIGN_OR_RETURN(std::string text, FormatTime(call.in.now(), format));
  return call.heap.MakeText(std::move(text));
}

Result<Value> Refused(Call& call) {
  return Fail("the function '{}' is not supported in chat templates", call.name);
}

constexpr Builtin kFunctions[] = {
    {"cycler", "*items", MakeCycler},
    {"dict", "*rest **named", MakeDict},
    {"joiner", "sep?", MakeJoiner},
    {"lipsum", "*rest **named", Refused},
    {"namespace", "*rest **named", MakeNamespace},
    {"raise_exception", "message", RaiseException},
    {"range", "start stop? step?", Range},
    {"strftime_now", "format", StrftimeNow},
};

}  // namespace

std::span<const Builtin> GlobalFunctions() { return kFunctions; }

}  // namespace kvasir::jinja
