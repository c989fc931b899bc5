// Filters on sequences: order, parts, aggregates.
#include <algorithm>
#include <cmath>

#include "jinja/attribute_path.h"
#include "jinja/builtin.h"
#include "jinja/callables.h"
#include "jinja/escape.h"
#include "jinja/interpreter.h"
#include "jinja/operators.h"
#include "jinja/print.h"
#include "jinja/unicode.h"

namespace kvasir::jinja {
namespace {

Result<Value> Length(Call& call) {
  const Value& value = call[0];
  if (value.is_string()) return Value::Integer(value.text().length);
  if (value.is_list()) return Value::Integer(static_cast<int64_t>(value.list().items.size()));
  if (value.is_dict()) return Value::Integer(static_cast<int64_t>(value.dict().size()));
  if (value.is_undefined()) return Value::Integer(0);
  if (value.As<Loop>() != nullptr) return call.in.GetAttribute(value, "length");
  return Fail("object of type '{}' has no len()", TypeName(value));
}

Result<Value> First(Call& call) {
  const Value& value = call[0];
  if (auto* generator = value.As<Generator>()) {
    if (!generator->Done()) return generator->Next();
    return call.heap.MakeUndefined("No first item, sequence was empty.");
  }
  if (value.is_string()) {
    if (value.str().empty()) return call.heap.MakeUndefined("No first item, sequence was empty.");
    KV_ASSIGN_OR_RETURN(std::optional<Value> c, Subscript(call.heap, value, Value::Integer(0)));
    return *c;
  }
  KV_ASSIGN_OR_RETURN(const ListRef list, Iterate(call.heap, value));
  if (list->items.empty()) return call.heap.MakeUndefined("No first item, sequence was empty.");
  return list->items.front();
}

Result<Value> Last(Call& call) {
  const Value& value = call[0];
  if (value.is_object()) return Fail("'{}' object is not reversible", TypeName(value));
  if (value.is_string() && !value.str().empty()) {
    KV_ASSIGN_OR_RETURN(std::optional<Value> c, Subscript(call.heap, value, Value::Integer(-1)));
    return *c;
  }
  KV_ASSIGN_OR_RETURN(const ListRef list, Iterate(call.heap, value));
  if (list->items.empty()) return call.heap.MakeUndefined("No last item, sequence was empty.");
  return list->items.back();
}

Result<Value> ToList(Call& call) {
  KV_ASSIGN_OR_RETURN(const ListRef list, Iterate(call.heap, call[0]));
  return call.heap.MakeList(list->items);
}

Result<Value> Items(Call& call) {
  if (call[0].is_undefined()) return call.heap.MakeGenerator({});
  if (!call[0].is_dict()) return Fail("Can only get item pairs from a mapping.");
  std::vector<Value> pairs;
  for (const auto& [key, value] : call[0].dict().entries()) {
    KV_ASSIGN_OR_RETURN(Value pair, call.heap.MakeList({key, value}, Flavor::kTuple));
    pairs.push_back(std::move(pair));
  }
  return call.heap.MakeGenerator(std::move(pairs));
}

Result<Value> Reverse(Call& call) {
  if (call[0].is_string()) {
    return Slice(call.heap, call[0], Value::MakeNone(), Value::MakeNone(), Value::Integer(-1));
  }
  KV_ASSIGN_OR_RETURN(const ListRef list, Iterate(call.heap, call[0]));
  std::vector<Value> items(list->items.rbegin(), list->items.rend());
  // Python's reversed() refuses generators, and Jinja makes a list of them.
  if (call[0].is_object()) return call.heap.MakeList(std::move(items));
  return call.heap.MakeGenerator(std::move(items));
}

Result<Value> Join(Call& call) {
  KV_ASSIGN_OR_RETURN(const ListRef list, Iterate(call.heap, call[0]));
  std::string separator;
  if (call.has(1)) {
    KV_ASSIGN_OR_RETURN(separator, call.Str(1));
  }
  std::string out;
  for (size_t i = 0; i < list->items.size(); ++i) {
    if (i > 0) out += separator;
    Value item = list->items[i];
    if (call.given(2)) {
      KV_ASSIGN_OR_RETURN(const AttributePath path, AttributePath::Parse(call[2]));
      KV_ASSIGN_OR_RETURN(item, path.Get(call.in, item));
    }
    KV_RETURN_IF_ERROR(AppendStr(call.heap, item, out));
    KV_RETURN_IF_ERROR(call.heap.Fits(static_cast<Int>(out.size())));
  }
  return call.heap.MakeText(std::move(out));
}

Result<Value> Sort(Call& call) {
  KV_ASSIGN_OR_RETURN(const Int reverse, call.has(1) ? call.Integer(1) : Result<Int>(0));
  KV_ASSIGN_OR_RETURN(const ListRef list, Iterate(call.heap, call[0]));
  KV_ASSIGN_OR_RETURN(const std::vector<AttributePath> paths,
                      AttributePath::ParseList(call.given(3) ? call[3] : Value::MakeNone()));
  std::vector<Keyed> keyed;
  for (const Value& item : list->items) {
    std::vector<Value> keys;
    for (const AttributePath& path : paths) {
      KV_ASSIGN_OR_RETURN(const Value found, path.Get(call.in, item));
      KV_ASSIGN_OR_RETURN(Value key, CaseKey(call.heap, found, call.Flag(2)));
      keys.push_back(std::move(key));
    }
    KV_ASSIGN_OR_RETURN(Value key, call.heap.MakeList(std::move(keys)));
    keyed.push_back({std::move(key), item});
  }
  KV_RETURN_IF_ERROR(StableSort(call.heap, keyed, reverse != 0));
  return call.heap.MakeList(ItemsOf(keyed));
}

Result<Value> DictSort(Call& call) {
  if (call[0].is_undefined()) return FailUndefined(call[0]);
  if (!call[0].is_dict()) return Fail("dictsort() needs a dict, not '{}'", TypeName(call[0]));
  KV_ASSIGN_OR_RETURN(const Int reverse, call.has(3) ? call.Integer(3) : Result<Int>(0));
  KV_ASSIGN_OR_RETURN(const std::string_view by, call.String(2, "key"));
  if (by != "key" && by != "value") return Fail("You can only sort by either \"key\" or \"value\"");
  std::vector<Keyed> keyed;
  for (const auto& [name, value] : call[0].dict().entries()) {
    KV_ASSIGN_OR_RETURN(Value pair, call.heap.MakeList({name, value}, Flavor::kTuple));
    KV_ASSIGN_OR_RETURN(Value key, CaseKey(call.heap, by == "key" ? name : value, call.Flag(1)));
    keyed.push_back({std::move(key), std::move(pair)});
  }
  KV_RETURN_IF_ERROR(StableSort(call.heap, keyed, reverse != 0));
  return call.heap.MakeList(ItemsOf(keyed));
}

Result<Value> Unique(Call& call) {
  KV_ASSIGN_OR_RETURN(const ListRef list, Iterate(call.heap, call[0]));
  KV_ASSIGN_OR_RETURN(const AttributePath path,
                      AttributePath::Parse(call.given(2) ? call[2] : Value::MakeNone()));
  Dict seen;
  std::vector<Value> items;
  for (const Value& item : list->items) {
    KV_ASSIGN_OR_RETURN(const Value found, path.Get(call.in, item));
    KV_ASSIGN_OR_RETURN(const Value key, CaseKey(call.heap, found, call.Flag(1)));
    KV_RETURN_IF_ERROR(CheckKey(key));
    if (seen.Find(key) != nullptr) continue;
    seen.Set(key, Value::MakeNone());
    items.push_back(item);
  }
  return call.heap.MakeGenerator(std::move(items));
}

Result<Value> Extreme(Call& call, CompareOp better) {
  KV_ASSIGN_OR_RETURN(const ListRef list, Iterate(call.heap, call[0]));
  KV_ASSIGN_OR_RETURN(const AttributePath path,
                      AttributePath::Parse(call.given(2) ? call[2] : Value::MakeNone()));
  if (list->items.empty()) {
    return call.heap.MakeUndefined("No aggregated item, sequence was empty.");
  }
  Value best, best_key;
  for (size_t i = 0; i < list->items.size(); ++i) {
    KV_ASSIGN_OR_RETURN(const Value found, path.Get(call.in, list->items[i]));
    KV_ASSIGN_OR_RETURN(const Value key, CaseKey(call.heap, found, call.Flag(1)));
    bool replaces = i == 0;
    if (i > 0) {
      KV_ASSIGN_OR_RETURN(replaces, Compare(call.heap, better, key, best_key));
    }
    if (!replaces) continue;
    best = list->items[i];
    best_key = key;
  }
  return best;
}

Result<Value> Min(Call& call) { return Extreme(call, CompareOp::kLt); }
Result<Value> Max(Call& call) { return Extreme(call, CompareOp::kGt); }

Result<Value> Sum(Call& call) {
  KV_ASSIGN_OR_RETURN(const ListRef list, Iterate(call.heap, call[0]));
  KV_ASSIGN_OR_RETURN(const AttributePath path,
                      AttributePath::Parse(call.given(1) ? call[1] : Value::MakeNone()));
  Value sum = call.has(2) ? call[2] : Value::Integer(0);
  if (sum.is_string()) return Fail("sum() can't sum strings [use ''.join(seq) instead]");
  for (const Value& item : list->items) {
    KV_ASSIGN_OR_RETURN(const Value value, path.Get(call.in, item));
    KV_ASSIGN_OR_RETURN(sum, Arithmetic(call.heap, BinaryOp::kAdd, sum, value));
  }
  return sum;
}

Result<Value> Batch(Call& call) {
  KV_ASSIGN_OR_RETURN(const ListRef list, Iterate(call.heap, call[0]));
  KV_ASSIGN_OR_RETURN(const Int n_columns, call.Integer(1));
  std::vector<Value> rows, row;
  const auto flush = [&]() -> Status {
    KV_ASSIGN_OR_RETURN(Value made, call.heap.MakeList(std::exchange(row, {})));
    rows.push_back(std::move(made));
    return {};
  };
  for (size_t i = 0; i < list->items.size(); ++i) {
    // With less than one column Jinja starts with an empty row.
    if (static_cast<Int>(row.size()) == n_columns) KV_RETURN_IF_ERROR(flush());
    row.push_back(list->items[i]);
  }
  if (row.empty()) return call.heap.MakeGenerator(std::move(rows));
  const Int n_missing = n_columns - static_cast<Int>(row.size());
  if (call.given(2) && n_missing > 0) {
    KV_RETURN_IF_ERROR(
        call.heap.Fits(std::min(n_missing, kMaxInt / 64) * static_cast<Int>(sizeof(Value))));
    row.insert(row.end(), static_cast<size_t>(n_missing), call[2]);
  }
  KV_RETURN_IF_ERROR(flush());
  return call.heap.MakeGenerator(std::move(rows));
}

Result<Value> SliceFilter(Call& call) {
  KV_ASSIGN_OR_RETURN(const ListRef list, Iterate(call.heap, call[0]));
  KV_ASSIGN_OR_RETURN(const Int n_slices, call.Integer(1));
  if (n_slices == 0) return Fail("integer division or modulo by zero");
  if (n_slices > kMaxRange) return Fail("limit exceeded: more than {} slices", kMaxRange);
  std::vector<Value> slices;
  const auto length = static_cast<Int>(list->items.size());
  const Int n_each = n_slices > 0 ? length / n_slices : 0;
  const Int n_longer = n_slices > 0 ? length % n_slices : 0;
  auto at = list->items.begin();
  for (Int i = 0; i < n_slices; ++i) {
    const auto end = at + static_cast<int64_t>(n_each + (i < n_longer ? 1 : 0));
    std::vector<Value> slice(at, end);
    if (call.given(2) && i >= n_longer) slice.push_back(call[2]);
    at = end;
    KV_ASSIGN_OR_RETURN(Value made, call.heap.MakeList(std::move(slice)));
    slices.push_back(std::move(made));
  }
  return call.heap.MakeGenerator(std::move(slices));
}

Result<Value> GroupBy(Call& call) {
  KV_ASSIGN_OR_RETURN(const ListRef list, Iterate(call.heap, call[0]));
  KV_ASSIGN_OR_RETURN(const AttributePath path, AttributePath::Parse(call[1]));
  std::vector<Keyed> keyed;
  const auto key_of = [&](const Value& item) -> Result<Value> {
    KV_ASSIGN_OR_RETURN(Value key, path.Get(call.in, item));
    if (key.is_undefined() && call.given(2)) key = call[2];
    return key;
  };
  for (const Value& item : list->items) {
    KV_ASSIGN_OR_RETURN(const Value found, key_of(item));
    KV_ASSIGN_OR_RETURN(Value key, CaseKey(call.heap, found, call.Flag(3)));
    keyed.push_back({std::move(key), item});
  }
  KV_RETURN_IF_ERROR(StableSort(call.heap, keyed, false));
  std::vector<Value> groups;
  for (size_t i = 0; i < keyed.size();) {
    std::vector<Value> members;
    const size_t first = i;
    for (bool same = true; same;) {
      members.push_back(keyed[i++].item);
      if (i == keyed.size()) break;
      KV_ASSIGN_OR_RETURN(same, Equal(call.heap, keyed[first].key, keyed[i].key));
    }
    KV_ASSIGN_OR_RETURN(Value key, key_of(members[0]));
    KV_ASSIGN_OR_RETURN(Value values, call.heap.MakeList(std::move(members)));
    KV_ASSIGN_OR_RETURN(Value group, call.heap.MakeList({key, values}, Flavor::kGroup));
    groups.push_back(std::move(group));
  }
  return call.heap.MakeList(std::move(groups));
}

constexpr Builtin kSequenceFilters[] = {
    {"batch", "value linecount fill_with?", Batch},
    {"count", "obj", Length},
    {"dictsort", "value case_sensitive? by? reverse?", DictSort},
    {"first", "seq", First},
    {"groupby", "value attribute default? case_sensitive?", GroupBy},
    {"items", "value", Items},
    {"join", "value d? attribute?", Join},
    {"last", "seq", Last},
    {"length", "obj", Length},
    {"list", "value", ToList},
    {"max", "value case_sensitive? attribute?", Max},
    {"min", "value case_sensitive? attribute?", Min},
    {"reverse", "value", Reverse},
    {"slice", "value slices fill_with?", SliceFilter},
    {"sort", "value reverse? case_sensitive? attribute?", Sort},
    {"sum", "iterable attribute? start?", Sum},
    {"unique", "value case_sensitive? attribute?", Unique},
};

}  // namespace

std::span<const Builtin> SequenceFilters() { return kSequenceFilters; }

}  // namespace kvasir::jinja
