#include <algorithm>
#include <cmath>

#include "jinja/operators.h"

namespace kvasir::jinja {
namespace {

// Sequences are equal only within their kind.
enum class Family { kList, kTuple, kRange, kView, kNoEquality };

Family FamilyOf(const List& list) {
  switch (list.flavor) {
    case Flavor::kList:
      return Family::kList;
    case Flavor::kTuple:
    case Flavor::kGroup:
      return Family::kTuple;
    case Flavor::kRange:
      return Family::kRange;
    case Flavor::kKeys:
    case Flavor::kItems:
      return Family::kView;
    case Flavor::kValues:
      return Family::kNoEquality;
  }
  return Family::kNoEquality;
}

std::string_view Symbol(CompareOp op) {
  switch (op) {
    case CompareOp::kLt:
      return "<";
    case CompareOp::kLe:
      return "<=";
    case CompareOp::kGt:
      return ">";
    case CompareOp::kGe:
      return ">=";
    default:
      return "==";
  }
}

template <class T>
bool Holds(CompareOp op, const T& a, const T& b) {
  switch (op) {
    case CompareOp::kLt:
      return a < b;
    case CompareOp::kLe:
      return a <= b;
    case CompareOp::kGt:
      return a > b;
    case CompareOp::kGe:
      return a >= b;
    default:
      return a == b;
  }
}

// Compares exactly: a double of large magnitude is an integer, and the long double holds 64 bits.
bool NumbersHold(CompareOp op, const Value& a, const Value& b) {
  if (a.is_integral() && b.is_integral()) return Holds(op, a.integer(), b.integer());
  const auto wide = [](const Value& v) {
    return v.is_float() ? static_cast<long double>(v.number())
                        : static_cast<long double>(v.integer());
  };
  return Holds(op, wide(a), wide(b));
}

// Index of the first difference of two sequences, or the shorter one's length.
Result<size_t> FirstDifference(Heap& heap, const List& a, const List& b) {
  const size_t n = std::min(a.items.size(), b.items.size());
  for (size_t i = 0; i < n; ++i) {
    KV_ASSIGN_OR_RETURN(const bool same, Equal(heap, a.items[i], b.items[i]));
    if (!same) return i;
  }
  return n;
}

Result<bool> DictsEqual(Heap& heap, const Dict& a, const Dict& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [key, value] : a.entries()) {
    const Value* other = b.Find(key);
    if (other == nullptr) return false;
    KV_ASSIGN_OR_RETURN(const bool same, Equal(heap, value, *other));
    if (!same) return false;
  }
  return true;
}

Result<bool> ListsEqual(Heap& heap, const List& a, const List& b) {
  const Family family = FamilyOf(a);
  if (family != FamilyOf(b) || family == Family::kNoEquality) return false;
  if (a.items.size() != b.items.size()) return false;
  if (family == Family::kView) {  // a set
    for (const Value& item : a.items) {
      bool found = false;
      for (size_t i = 0; i < b.items.size() && !found; ++i) {
        KV_ASSIGN_OR_RETURN(found, Equal(heap, item, b.items[i]));
      }
      if (!found) return false;
    }
    return true;
  }
  KV_ASSIGN_OR_RETURN(const size_t n, FirstDifference(heap, a, b));
  return n == a.items.size();
}

Result<bool> Ordered(Heap& heap, CompareOp op, const Value& a, const Value& b) {
  if (a.is_undefined()) return FailUndefined(a);
  if (b.is_undefined()) return FailUndefined(b);
  if (a.is_number() && b.is_number()) return NumbersHold(op, a, b);
  if (a.is_string() && b.is_string()) {
    KV_RETURN_IF_ERROR(
        heap.Step(static_cast<int64_t>(std::min(a.str().size(), b.str().size())) >> 10));
    return Holds(op, a.str(), b.str());  // the order of UTF-8 bytes is that of code points
  }
  const bool sequences =
      a.is_list() && b.is_list() && FamilyOf(a.list()) == FamilyOf(b.list()) &&
      (FamilyOf(a.list()) == Family::kList || FamilyOf(a.list()) == Family::kTuple);
  if (!sequences) {
    return Fail("'{}' not supported between instances of '{}' and '{}'", Symbol(op), TypeName(a),
                TypeName(b));
  }
  const List& x = a.list();
  const List& y = b.list();
  KV_ASSIGN_OR_RETURN(const size_t i, FirstDifference(heap, x, y));
  if (i < x.items.size() && i < y.items.size()) {
    return Ordered(heap, op, x.items[i], y.items[i]);
  }
  return Holds(op, x.items.size(), y.items.size());
}

}  // namespace

Result<bool> Equal(Heap& heap, const Value& a, const Value& b) {
  KV_RETURN_IF_ERROR(heap.Step());
  if (a.is_number() && b.is_number()) return NumbersHold(CompareOp::kEq, a, b);
  if (a.is_string() && b.is_string()) {
    KV_RETURN_IF_ERROR(
        heap.Step(static_cast<int64_t>(std::min(a.str().size(), b.str().size())) >> 10));
    return a.str() == b.str();
  }
  if (a.id() != nullptr && a.id() == b.id()) return true;
  if (a.is_list() && b.is_list()) return ListsEqual(heap, a.list(), b.list());
  if (a.is_dict() && b.is_dict()) return DictsEqual(heap, a.dict(), b.dict());
  return (a.is_undefined() && b.is_undefined()) || (a.is_none() && b.is_none());
}

Result<bool> Compare(Heap& heap, CompareOp op, const Value& a, const Value& b) {
  switch (op) {
    case CompareOp::kEq:
      return Equal(heap, a, b);
    case CompareOp::kNe: {
      KV_ASSIGN_OR_RETURN(const bool equal, Equal(heap, a, b));
      return !equal;
    }
    case CompareOp::kIn:
      return Contains(heap, b, a);
    case CompareOp::kNotIn: {
      KV_ASSIGN_OR_RETURN(const bool contained, Contains(heap, b, a));
      return !contained;
    }
    default:
      return Ordered(heap, op, a, b);
  }
}

Result<bool> Contains(Heap& heap, const Value& container, const Value& item) {
  if (container.is_string()) {
    if (!item.is_string()) {
      return Fail("'in <string>' requires string as left operand, not {}", TypeName(item));
    }
    KV_RETURN_IF_ERROR(heap.Step(static_cast<int64_t>(container.str().size()) >> 10));
    return container.str().find(item.str()) != std::string_view::npos;
  }
  if (container.is_dict()) {
    KV_RETURN_IF_ERROR(CheckKey(item));
    return container.dict().Find(item) != nullptr;
  }
  if (auto* generator = container.As<Generator>()) {
    while (!generator->Done()) {
      KV_ASSIGN_OR_RETURN(const bool same, Equal(heap, generator->Next(), item));
      if (same) return true;
    }
    return false;
  }
  if (container.is_undefined()) return false;
  if (!container.is_list()) {
    return Fail("argument of type '{}' is not iterable", TypeName(container));
  }
  if (container.list().flavor == Flavor::kKeys) KV_RETURN_IF_ERROR(CheckKey(item));
  for (const Value& candidate : container.list().items) {
    KV_ASSIGN_OR_RETURN(const bool same, Equal(heap, candidate, item));
    if (same) return true;
  }
  return false;
}

}  // namespace kvasir::jinja
