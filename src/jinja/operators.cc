#include "jinja/operators.h"

#include <algorithm>
#include <cmath>

#include "jinja/escape.h"
#include "jinja/format.h"
#include "jinja/unicode.h"

namespace kvasir::jinja {
namespace {

std::string_view Symbol(BinaryOp op) {
  switch (op) {
    case BinaryOp::kAdd:
      return "+";
    case BinaryOp::kSub:
      return "-";
    case BinaryOp::kMul:
      return "*";
    case BinaryOp::kDiv:
      return "/";
    case BinaryOp::kFloorDiv:
      return "//";
    case BinaryOp::kMod:
      return "%";
    case BinaryOp::kPow:
      return "** or pow()";
    case BinaryOp::kAnd:
      return "and";
    case BinaryOp::kOr:
      return "or";
  }
  return "";
}

tl::unexpected<Error> FailOverflow() {
  return Fail("integer overflow: more than 127 bits are not supported");
}

tl::unexpected<Error> FailOperands(BinaryOp op, const Value& a, const Value& b) {
  return Fail("unsupported operand type(s) for {}: '{}' and '{}'", Symbol(op), TypeName(a),
              TypeName(b));
}

Int FloorDivide(Int a, Int b) { return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0); }

// Python's remainder has the sign of the divisor.
double FloatMod(double a, double b) {
  const double mod = std::fmod(a, b);
  if (mod == 0) return std::copysign(0.0, b);
  return (b < 0) != (mod < 0) ? mod + b : mod;
}

double FloatFloorDivide(double a, double b) {
  const double mod = FloatMod(a, b);
  const double div = (a - mod) / b;
  if (div == 0) return std::copysign(0.0, a / b);
  const double floor = std::floor(div);
  return div - floor > 0.5 ? floor + 1 : floor;
}

Result<Value> IntPower(Int base, Int exponent) {
  if (exponent < 0) {
    if (base == 0) return Fail("0.0 cannot be raised to a negative power");
    return Value::Float(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  if (base == 0 || base == 1) return Value::Integer(exponent == 0 ? 1 : base);
  if (base == -1) return Value::Integer(exponent % 2 == 0 ? 1 : -1);
  if (exponent > 127) return FailOverflow();
  Int power = 1;
  for (Int i = 0; i < exponent; ++i) {
    if (__builtin_mul_overflow(power, base, &power)) return FailOverflow();
  }
  return Value::Integer(power);
}

Result<Value> IntArithmetic(BinaryOp op, Int a, Int b) {
  Int out = 0;
  switch (op) {
    case BinaryOp::kAdd:
      if (__builtin_add_overflow(a, b, &out)) return FailOverflow();
      return Value::Integer(out);
    case BinaryOp::kSub:
      if (__builtin_sub_overflow(a, b, &out)) return FailOverflow();
      return Value::Integer(out);
    case BinaryOp::kMul:
      if (__builtin_mul_overflow(a, b, &out)) return FailOverflow();
      return Value::Integer(out);
    case BinaryOp::kPow:
      return IntPower(a, b);
    default:
      break;
  }
  if (b == 0) {
    return op == BinaryOp::kDiv ? Fail("division by zero")
                                : Fail("integer division or modulo by zero");
  }
  if (op == BinaryOp::kDiv) {
    return Value::Float(static_cast<double>(a) / static_cast<double>(b));
  }
  if (a == kMinInt && b == -1) return FailOverflow();
  if (op == BinaryOp::kFloorDiv) return Value::Integer(FloorDivide(a, b));
  return Value::Integer(a - FloorDivide(a, b) * b);
}

Result<Value> FloatArithmetic(BinaryOp op, double a, double b) {
  switch (op) {
    case BinaryOp::kAdd:
      return Value::Float(a + b);
    case BinaryOp::kSub:
      return Value::Float(a - b);
    case BinaryOp::kMul:
      return Value::Float(a * b);
    case BinaryOp::kPow: {
      if (a == 0 && b < 0) return Fail("0.0 cannot be raised to a negative power");
      if (a < 0 && std::isfinite(a) && std::isfinite(b) && b != std::floor(b)) {
        return Fail("a negative number to a fractional power is complex: not supported");
      }
      const double power = std::pow(a, b);
      if (std::isinf(power) && std::isfinite(a) && std::isfinite(b)) {
        return Fail("(34, 'Numerical result out of range')");
      }
      return Value::Float(power);
    }
    default:
      break;
  }
  if (b == 0) {
    return op == BinaryOp::kDiv        ? Fail("float division by zero")
           : op == BinaryOp::kFloorDiv ? Fail("float floor division by zero")
                                       : Fail("float modulo");
  }
  if (op == BinaryOp::kDiv) return Value::Float(a / b);
  return Value::Float(op == BinaryOp::kFloorDiv ? FloatFloorDivide(a, b) : FloatMod(a, b));
}

Result<Value> AddTexts(Heap& heap, const Text& a, const Text& b) {
  KV_RETURN_IF_ERROR(heap.Fits(static_cast<Int>(a.bytes.size()) + b.bytes.size()));
  if (a.markup == b.markup) return heap.MakeText(a.bytes + b.bytes, a.markup);
  return heap.MakeText(a.markup ? a.bytes + EscapeHtml(b.bytes) : EscapeHtml(a.bytes) + b.bytes,
                       true);
}

Result<Value> AddLists(Heap& heap, const List& a, const List& b) {
  KV_RETURN_IF_ERROR(heap.Fits((static_cast<Int>(a.items.size()) + b.items.size()) *
                               static_cast<Int>(sizeof(Value))));
  std::vector<Value> items(a.items);
  items.insert(items.end(), b.items.begin(), b.items.end());
  return heap.MakeList(std::move(items), a.flavor);
}

Result<Value> RepeatList(Heap& heap, const List& list, Int n) {
  std::vector<Value> items;
  if (n > 0 && !list.items.empty()) {
    const Int most = heap.limits().max_live_bytes;
    KV_RETURN_IF_ERROR(heap.Fits(
        n > most ? n : n * static_cast<Int>(list.items.size()) * static_cast<Int>(sizeof(Value))));
    for (Int i = 0; i < n; ++i) {
      items.insert(items.end(), list.items.begin(), list.items.end());
    }
  }
  return heap.MakeList(std::move(items), list.flavor);
}

// Lists and tuples take part in + and *, ranges and views do not.
bool IsPlain(const Value& value) {
  return value.is_list() &&
         (value.list().flavor == Flavor::kList || value.list().flavor == Flavor::kTuple);
}

}  // namespace

Result<Value> RepeatText(Heap& heap, const Text& text, Int n) {
  if (n <= 0 || text.bytes.empty()) return heap.MakeText("", text.markup);
  const Int most = heap.limits().max_live_bytes;
  KV_RETURN_IF_ERROR(heap.Fits(n > most ? n : n * static_cast<Int>(text.bytes.size())));
  const size_t n_bytes = static_cast<size_t>(n) * text.bytes.size();
  std::string out;
  out.reserve(n_bytes);
  out = text.bytes;
  while (out.size() < n_bytes) out.append(out, 0, std::min(out.size(), n_bytes - out.size()));
  return heap.MakeText(std::move(out), text.markup);
}

Result<Value> MakeRange(Heap& heap, Int start, Int stop, Int step) {
  if (step == 0) return Fail("range() arg 3 must not be zero");
  const Int limit = Int{1} << 100;
  for (const Int bound : {start, stop, step}) {
    if (bound > limit || bound < -limit) return Fail("range() is given a number that is too large");
  }
  const Int n = step > 0 ? (stop - start + step - 1) / step : (start - stop - step - 1) / -step;
  if (n > kMaxRange) {
    return Fail("limit exceeded: range() of more than {} elements", kMaxRange);
  }
  std::vector<Value> items;
  for (Int i = 0; i < n; ++i) items.push_back(Value::Integer(start + i * step));
  std::string label = step == 1 ? fmt::format("range({}, {})", start, stop)
                                : fmt::format("range({}, {}, {})", start, stop, step);
  return heap.MakeRange(std::move(items), std::move(label));
}

Result<Value> Arithmetic(Heap& heap, BinaryOp op, const Value& a, const Value& b) {
  if (op == BinaryOp::kMod && a.is_string()) return PercentFormat(heap, a.text(), b);
  if (a.is_undefined()) return FailUndefined(a);
  if (b.is_undefined()) return FailUndefined(b);
  if (a.is_number() && b.is_number()) {
    if (a.is_float() || b.is_float()) return FloatArithmetic(op, a.number(), b.number());
    return IntArithmetic(op, a.integer(), b.integer());
  }
  if (op == BinaryOp::kAdd) {
    if (a.is_string() && b.is_string()) return AddTexts(heap, a.text(), b.text());
    if (IsPlain(a) && IsPlain(b) && a.list().flavor == b.list().flavor) {
      return AddLists(heap, a.list(), b.list());
    }
    if (a.is_string()) {
      return Fail("can only concatenate str (not \"{}\") to str", TypeName(b));
    }
  }
  if (op == BinaryOp::kMul) {
    const Value& sequence = a.is_integral() ? b : a;
    const Value& times = a.is_integral() ? a : b;
    if (times.is_integral() && sequence.is_string()) {
      return RepeatText(heap, sequence.text(), times.integer());
    }
    if (times.is_integral() && IsPlain(sequence)) {
      return RepeatList(heap, sequence.list(), times.integer());
    }
  }
  return FailOperands(op, a, b);
}

Result<Value> Negate(const Value& a) {
  if (a.is_undefined()) return FailUndefined(a);
  if (a.is_float()) return Value::Float(-a.number());
  if (!a.is_integral()) return Fail("bad operand type for unary -: '{}'", TypeName(a));
  if (a.integer() == kMinInt) return FailOverflow();
  return Value::Integer(-a.integer());
}

}  // namespace kvasir::jinja
