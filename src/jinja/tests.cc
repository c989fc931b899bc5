// Tests: what stands after `is`.
#include <cmath>

#include "jinja/builtin.h"
#include "jinja/interpreter.h"
#include "jinja/operators.h"
#include "jinja/unicode.h"

namespace kvasir::jinja {
namespace {

Result<Value> Answer(bool yes) { return Value::Bool(yes); }

bool IsView(const Value& v) {
  return v.is_list() && v.list().flavor >= Flavor::kKeys && v.list().flavor <= Flavor::kItems;
}

Result<Value> IsDefined(Call& call) { return Answer(!call[0].is_undefined()); }
Result<Value> IsUndefined(Call& call) { return Answer(call[0].is_undefined()); }
Result<Value> IsNone(Call& call) { return Answer(call[0].is_none()); }
Result<Value> IsBoolean(Call& call) { return Answer(call[0].is_bool()); }
Result<Value> IsTrue(Call& call) { return Answer(call[0].is_bool() && call[0].boolean()); }
Result<Value> IsFalse(Call& call) { return Answer(call[0].is_bool() && !call[0].boolean()); }
Result<Value> IsInteger(Call& call) { return Answer(call[0].is_int()); }
Result<Value> IsFloat(Call& call) { return Answer(call[0].is_float()); }
Result<Value> IsNumber(Call& call) { return Answer(call[0].is_number()); }
Result<Value> IsString(Call& call) { return Answer(call[0].is_string()); }
Result<Value> IsMapping(Call& call) { return Answer(call[0].is_dict()); }
Result<Value> IsCallable(Call& call) {
  // An undefined value has a __call__ that raises.
  return Answer(call[0].is_undefined() || (call[0].is_object() && call[0].object()->callable()));
}

Result<Value> IsSequence(Call& call) {
  const Value& v = call[0];
  return Answer(v.is_undefined() || v.is_string() || v.is_dict() || (v.is_list() && !IsView(v)));
}

Result<Value> IsIterable(Call& call) {
  const Value& v = call[0];
  return Answer(v.is_undefined() || v.is_string() || v.is_dict() || v.is_list() ||
                (v.is_object() && (v.object()->type_name() == "generator" ||
                                   v.object()->type_name() == "LoopContext")));
}

Result<Value> Remainder(Call& call, const Value& divisor) {
  if (call[0].is_string()) return Fail("a string cannot be divided");
  return Arithmetic(call.heap, BinaryOp::kMod, call[0], divisor);
}

Result<Value> IsOdd(Call& call) {
  KV_ASSIGN_OR_RETURN(const Value rest, Remainder(call, Value::Integer(2)));
  return Answer(rest.number() == 1);
}

Result<Value> IsEven(Call& call) {
  KV_ASSIGN_OR_RETURN(const Value rest, Remainder(call, Value::Integer(2)));
  return Answer(rest.number() == 0);
}

Result<Value> IsDivisibleBy(Call& call) {
  KV_ASSIGN_OR_RETURN(const Value rest, Remainder(call, call[1]));
  return Answer(rest.number() == 0);
}

template <CompareOp op>
Result<Value> Compares(Call& call) {
  KV_ASSIGN_OR_RETURN(const bool yes, Compare(call.heap, op, call[0], call[1]));
  return Answer(yes);
}

Result<Value> IsSameAs(Call& call) {
  const Value& a = call[0];
  const Value& b = call[1];
  if (TypeName(a) != TypeName(b)) return Answer(false);
  if (a.is_list() || a.is_dict() || a.is_object()) return Answer(a.id() == b.id());
  KV_ASSIGN_OR_RETURN(const bool same, Equal(call.heap, a, b));
  return Answer(same);
}

// islower() and isupper(): at least one cased character and none of the other case.
Result<Value> IsCase(Call& call, uint32_t wanted) {
  KV_ASSIGN_OR_RETURN(const std::string text, call.Str(0));
  bool any = false;
  for (size_t at = 0; at < text.size();) {
    const char32_t c = NextChar(text, at);
    if (!Has(c, kCased)) continue;
    if (!Has(c, wanted)) return Answer(false);
    any = true;
  }
  return Answer(any);
}

Result<Value> IsLower(Call& call) { return IsCase(call, kLower); }
Result<Value> IsUpper(Call& call) { return IsCase(call, kUpper); }
Result<Value> IsEscaped(Call& call) { return Answer(call[0].is_string() && call[0].text().markup); }

Result<Value> IsFilter(Call& call) {
  return Answer(call[0].is_string() && FindFilter(call[0].str()) != nullptr);
}

Result<Value> IsTest(Call& call) {
  return Answer(call[0].is_string() && FindTest(call[0].str()) != nullptr);
}

constexpr Builtin kTests[] = {
    {"!=", "a b", Compares<CompareOp::kNe>},
    {"<", "a b", Compares<CompareOp::kLt>},
    {"<=", "a b", Compares<CompareOp::kLe>},
    {"==", "a b", Compares<CompareOp::kEq>},
    {">", "a b", Compares<CompareOp::kGt>},
    {">=", "a b", Compares<CompareOp::kGe>},
    {"boolean", "value", IsBoolean},
    {"callable", "value", IsCallable},
    {"defined", "value", IsDefined},
    {"divisibleby", "value num", IsDivisibleBy},
    {"eq", "a b", Compares<CompareOp::kEq>},
    {"equalto", "a b", Compares<CompareOp::kEq>},
    {"escaped", "value", IsEscaped},
    {"even", "value", IsEven},
    {"false", "value", IsFalse},
    {"filter", "value", IsFilter},
    {"float", "value", IsFloat},
    {"ge", "a b", Compares<CompareOp::kGe>},
    {"greaterthan", "a b", Compares<CompareOp::kGt>},
    {"gt", "a b", Compares<CompareOp::kGt>},
    {"in", "value seq", Compares<CompareOp::kIn>},
    {"integer", "value", IsInteger},
    {"iterable", "value", IsIterable},
    {"le", "a b", Compares<CompareOp::kLe>},
    {"lessthan", "a b", Compares<CompareOp::kLt>},
    {"lower", "value", IsLower},
    {"lt", "a b", Compares<CompareOp::kLt>},
    {"mapping", "value", IsMapping},
    {"ne", "a b", Compares<CompareOp::kNe>},
    {"none", "value", IsNone},
    {"number", "value", IsNumber},
    {"odd", "value", IsOdd},
    {"sameas", "value other", IsSameAs},
    {"sequence", "value", IsSequence},
    {"string", "value", IsString},
    {"test", "value", IsTest},
    {"true", "value", IsTrue},
    {"undefined", "value", IsUndefined},
    {"upper", "value", IsUpper},
};

}  // namespace

std::span<const Builtin> Tests() { return kTests; }

}  // namespace kvasir::jinja
