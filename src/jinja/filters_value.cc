// Filters on single values: defaults, numbers, JSON, attributes.
#include <algorithm>
#include <cmath>

#include "jinja/builtin.h"
#include "jinja/callables.h"
#include "jinja/interpreter.h"
#include "jinja/json.h"
#include "jinja/operators.h"
#include "jinja/print.h"
#include "jinja/text_ops.h"

namespace kvasir::jinja {
namespace {

Result<Value> Default(Call& call) {
  const bool replace = call[0].is_undefined() || (call.Flag(2) && !call[0].Truth());
  if (!replace) return call[0];
  return call.has(1) ? Result<Value>(call[1]) : call.Text("");
}

// The integer part of a float, where it fits.
Result<std::optional<Int>> Truncated(double value) {
  if (!std::isfinite(value)) return std::nullopt;
  if (std::abs(value) >= 0x1p126)
    return Fail("integer overflow: more than 127 bits are not supported");
  return static_cast<Int>(value);
}

Result<Value> ToInt(Call& call) {
  const Value& value = call[0];
  if (value.is_undefined()) return FailUndefined(value);
  const Value otherwise = call.has(1) ? call[1] : Value::Integer(0);
  std::optional<Int> out;
  if (value.is_integral()) {
    out = value.integer();
  } else if (value.is_float()) {
    if (std::isinf(value.number())) return Fail("cannot convert float infinity to integer");
    KV_ASSIGN_OR_RETURN(out, Truncated(value.number()));
  } else if (value.is_string()) {
    KV_ASSIGN_OR_RETURN(const Int base, call.Integer(2, 10));
    KV_ASSIGN_OR_RETURN(out, ParseInt(value.str(), base));
    if (!out) {
      const std::optional<double> number = ParseFloat(value.str());
      if (number) {
        KV_ASSIGN_OR_RETURN(out, Truncated(*number));
      }
    }
  }
  return out ? Value::Integer(*out) : otherwise;
}

Result<Value> ToFloat(Call& call) {
  const Value& value = call[0];
  if (value.is_undefined()) return FailUndefined(value);
  if (value.is_number()) return Value::Float(value.number());
  if (value.is_string()) {
    if (const std::optional<double> number = ParseFloat(value.str())) {
      return Value::Float(*number);
    }
  }
  return call.has(1) ? call[1] : Value::Float(0);
}

Result<Value> Abs(Call& call) {
  const Value& value = call[0];
  if (value.is_undefined()) return FailUndefined(value);
  if (!value.is_number()) return Fail("bad operand type for abs(): '{}'", TypeName(value));
  if (value.is_float()) return Value::Float(std::abs(value.number()));
  return value.integer() < 0 ? Negate(value) : Result<Value>(Value::Integer(value.integer()));
}

// Python's round(value, digits) of a float: to the nearest decimal, judged by the exact value.
double RoundDecimal(double value, int digits) {
  if (!std::isfinite(value)) return value;
  if (digits >= 0) {
    if (digits > 300) return value;
    return ParseFloat(fmt::format("{:.{}f}", value, digits)).value_or(value);
  }
  const double power = std::pow(10.0, -digits);
  return std::isinf(power) ? std::copysign(0.0, value) : std::nearbyint(value / power) * power;
}

// Python's round(value, -digits) of an integer: half to even.
Int RoundInt(Int value, Int digits) {
  if (digits > 37) return 0;
  Int power = 1;
  for (Int i = 0; i < digits; ++i) power *= 10;
  const Int magnitude = value < 0 ? -value : value;
  Int quotient = magnitude / power;
  const Int rest = magnitude % power;
  if (rest > power - rest || (rest == power - rest && quotient % 2 != 0)) ++quotient;
  return value < 0 ? -quotient * power : quotient * power;
}

Result<Value> Round(Call& call) {
  const Value& value = call[0];
  if (value.is_undefined()) return FailUndefined(value);
  if (!value.is_number()) return Fail("round() needs a number, not '{}'", TypeName(value));
  KV_ASSIGN_OR_RETURN(const Int precision, call.Integer(1, 0));
  KV_ASSIGN_OR_RETURN(const std::string_view method, call.String(2, "common"));
  if (precision > 300 || precision < -300) return Fail("round(): precision must be within 300");
  const int digits = static_cast<int>(precision);
  if (method == "common") {
    if (value.is_float()) return Value::Float(RoundDecimal(value.number(), digits));
    if (value.integer() <= kMinInt / 4 || value.integer() >= kMaxInt / 4) {
      return Fail("integer overflow: round() of more than 125 bits is not supported");
    }
    return Value::Integer(digits >= 0 ? value.integer() : RoundInt(value.integer(), -precision));
  }
  if (method != "ceil" && method != "floor") return Fail("method must be common, ceil or floor");
  const double power = std::pow(10.0, digits);
  const double scaled = value.number() * power;
  if (!std::isfinite(scaled)) return Fail("cannot convert float infinity or NaN to integer");
  // Python's ceil and floor give integers, which have no negative zero.
  const double whole = (method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) + 0.0;
  return Value::Float(whole / power);
}

Result<JsonStyle> StyleOf(Call& call) {
  JsonStyle style;
  style.ascii = call.Flag(1);
  style.sort_keys = call.Flag(4);
  style.pretty = call.given(2);
  if (style.pretty) {
    style.item_separator = ",";
    if (call[2].is_string()) {
      style.indent = call[2].str();
    } else {
      KV_ASSIGN_OR_RETURN(const Int n, call.Integer(2));
      if (n > 1000) return Fail("limit exceeded: tojson() indents by at most 1000 columns");
      style.indent.assign(static_cast<size_t>(std::max<Int>(n, 0)), ' ');
    }
  }
  if (!call.given(3)) return style;
  const Value& separators = call[3];
  const bool pair = separators.is_list() && separators.list().items.size() == 2 &&
                    separators.list().items[0].is_string() &&
                    separators.list().items[1].is_string();
  if (!pair) return Fail("tojson(): separators must be a pair of strings");
  style.item_separator = separators.list().items[0].str();
  style.key_separator = separators.list().items[1].str();
  return style;
}

Result<Value> ToJson(Call& call) {
  KV_ASSIGN_OR_RETURN(const JsonStyle style, StyleOf(call));
  std::string out;
  KV_RETURN_IF_ERROR(AppendJson(call.heap, call[0], style, out));
  return call.heap.MakeText(std::move(out));
}

Result<Value> Attr(Call& call) {
  if (call[0].is_undefined()) return FailUndefined(call[0]);
  KV_ASSIGN_OR_RETURN(const std::string_view name, call.String(1));
  // Attributes only, never the items of a dict.
  if (call[0].is_dict() && FindMethod(call[0], name).method == nullptr &&
      !IsMutation(call[0], name)) {
    return call.heap.MakeUndefined(fmt::format("'dict object' has no attribute '{}'", name));
  }
  return call.in.GetAttribute(call[0], name);
}

// Python's pformat() where it fits one line: repr with the keys of dicts sorted.
Result<Value> SortedKeys(Heap& heap, const Value& value) {
  if (value.is_list() && value.list().flavor <= Flavor::kTuple) {
    std::vector<Value> items;
    for (const Value& item : value.list().items) {
      KV_ASSIGN_OR_RETURN(Value sorted, SortedKeys(heap, item));
      items.push_back(std::move(sorted));
    }
    return heap.MakeList(std::move(items), value.list().flavor);
  }
  if (!value.is_dict()) return value;
  std::vector<Dict::Entry> entries = value.dict().entries();
  for (const auto& [key, unused] : entries) {
    if (!key.is_string()) return Fail("pprint of keys that are not strings is not supported");
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const auto& a, const auto& b) { return a.first.str() < b.first.str(); });
  Dict dict;
  for (const auto& [key, v] : entries) {
    KV_ASSIGN_OR_RETURN(Value sorted, SortedKeys(heap, v));
    dict.Append(key, std::move(sorted));
  }
  return heap.MakeDict(std::move(dict));
}

Result<Value> PrettyPrint(Call& call) {
  constexpr size_t kLine = 80;
  KV_ASSIGN_OR_RETURN(const Value sorted, SortedKeys(call.heap, call[0]));
  KV_ASSIGN_OR_RETURN(std::string text, Repr(call.heap, sorted));
  if (text.size() > kLine && (sorted.is_list() || sorted.is_dict() || sorted.is_string())) {
    return Fail("pprint of more than one line of {} is not supported: use tojson(indent=2)", kLine);
  }
  return call.heap.MakeText(std::move(text));
}

constexpr Builtin kValueFilters[] = {
    {"abs", "x", Abs},
    {"attr", "obj name", Attr},
    {"d", "value default_value? boolean?", Default},
    {"default", "value default_value? boolean?", Default},
    {"float", "value default?", ToFloat},
    {"int", "value default? base?", ToInt},
    {"pprint", "value", PrettyPrint},
    {"round", "value precision? method?", Round},
    {"tojson", "x ensure_ascii? indent? separators? sort_keys?", ToJson},
};

}  // namespace

std::span<const Builtin> ValueFilters() { return kValueFilters; }

}  // namespace kvasir::jinja
