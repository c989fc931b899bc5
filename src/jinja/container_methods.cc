// Methods of sequences, dicts and numbers. Those that would change their object are not here: see
// IsMutation.
#include <cmath>

#include "jinja/builtin.h"
#include "jinja/operators.h"
#include "jinja/print.h"

namespace kvasir::jinja {
namespace {

Result<Value> Copy(Call& call) { return call[0]; }  // values never change

Result<Value> Count(Call& call) {
  int64_t n = 0;
  for (const Value& item : call[0].list().items) {
    KV_ASSIGN_OR_RETURN(const bool same, Equal(call.heap, item, call[1]));
    n += same ? 1 : 0;
  }
  return Value::Integer(n);
}

Result<Value> Index(Call& call) {
  const std::vector<Value>& items = call[0].list().items;
  const auto length = static_cast<Int>(items.size());
  KV_ASSIGN_OR_RETURN(Int start, call.Integer(2, 0));
  KV_ASSIGN_OR_RETURN(Int stop, call.Integer(3, length));
  if (start < 0) start = std::max<Int>(start + length, 0);
  if (stop < 0) stop += length;
  for (Int i = start; i < stop && i < length; ++i) {
    KV_ASSIGN_OR_RETURN(const bool same, Equal(call.heap, items[static_cast<size_t>(i)], call[1]));
    if (same) return Value::Integer(i);
  }
  KV_ASSIGN_OR_RETURN(const std::string repr, Repr(call.heap, call[1]));
  return Fail("{} is not in {}", repr, TypeName(call[0]));
}

Result<Value> Get(Call& call) {
  KV_RETURN_IF_ERROR(CheckKey(call[1]));
  if (const Value* value = call[0].dict().Find(call[1])) return *value;
  return call.has(2) ? call[2] : Value::MakeNone();
}

Result<Value> Keys(Call& call) {
  std::vector<Value> keys;
  for (const auto& [key, value] : call[0].dict().entries()) keys.push_back(key);
  return call.heap.MakeList(std::move(keys), Flavor::kKeys);
}

Result<Value> Values(Call& call) {
  std::vector<Value> values;
  for (const auto& [key, value] : call[0].dict().entries()) values.push_back(value);
  return call.heap.MakeList(std::move(values), Flavor::kValues);
}

Result<Value> Items(Call& call) {
  std::vector<Value> pairs;
  for (const auto& [key, value] : call[0].dict().entries()) {
    KV_ASSIGN_OR_RETURN(Value pair, call.heap.MakeList({key, value}, Flavor::kTuple));
    pairs.push_back(std::move(pair));
  }
  return call.heap.MakeList(std::move(pairs), Flavor::kItems);
}

Result<Value> IsInteger(Call& call) {
  if (!call[0].is_float()) return Fail("'int' object has no attribute 'is_integer'");
  return Value::Bool(std::isfinite(call[0].number()) &&
                     call[0].number() == std::floor(call[0].number()));
}

Result<Value> BitLength(Call& call) {
  if (call[0].is_float()) return Fail("'float' object has no attribute 'bit_length'");
  Int rest = call[0].integer();
  int n = 0;
  for (; rest != 0; rest /= 2) ++n;
  return Value::Integer(n);
}

constexpr Builtin kSequence[] = {
    {"copy", "self", Copy},
    {"count", "self value", Count},
    {"index", "self value start? stop?", Index},
};

constexpr Builtin kDict[] = {
    {"copy", "self", Copy}, {"get", "self key default?", Get}, {"items", "self", Items},
    {"keys", "self", Keys}, {"values", "self", Values},
};

constexpr Builtin kNumber[] = {
    {"bit_length", "self", BitLength},
    {"is_integer", "self", IsInteger},
};

}  // namespace

std::span<const Builtin> SequenceMethods() { return kSequence; }
std::span<const Builtin> DictMethods() { return kDict; }
std::span<const Builtin> NumberMethods() { return kNumber; }

}  // namespace kvasir::jinja
