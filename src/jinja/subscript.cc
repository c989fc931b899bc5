#include <algorithm>
#include <optional>

#include "jinja/operators.h"
#include "jinja/unicode.h"

namespace kvasir::jinja {
namespace {

// REQUIRES: none or an integer, each. Python's slice.indices(): the elements start, start + step,
// ... of n_picked.
struct Picked {
  int64_t start = 0, step = 1, n_picked = 0;
};

Int SliceIndex(const Value& value, Int otherwise) {
  return value.is_none() ? otherwise : value.integer();
}

Result<Picked> Pick(int64_t length, const Value& start, const Value& stop, const Value& step) {
  Int by = SliceIndex(step, 1);
  if (by == 0) return Fail("slice step cannot be zero");
  by = std::clamp<Int>(by, -(Int{1} << 60), Int{1} << 60);
  const Int low = by < 0 ? -1 : 0, high = by < 0 ? length - 1 : length;
  const auto clamp = [&](Int i) { return std::clamp<Int>(i < 0 ? i + length : i, low, high); };
  Int first = SliceIndex(start, 0);
  Int last = SliceIndex(stop, 0);
  first = start.is_none() ? (by < 0 ? high : low) : clamp(std::max(first, kMinInt / 2));
  last = stop.is_none() ? (by < 0 ? low : high) : clamp(std::max(last, kMinInt / 2));
  const Int span = by > 0 ? last - first : first - last;
  const Int size = by > 0 ? by : -by;
  const Int n = span > 0 ? (span + size - 1) / size : 0;
  return Picked{static_cast<int64_t>(first), static_cast<int64_t>(by), static_cast<int64_t>(n)};
}

bool IsAscii(const Text& text) { return text.length == static_cast<int64_t>(text.bytes.size()); }

Result<Value> SliceText(Heap& heap, const Text& text, const Picked& picked) {
  KV_RETURN_IF_ERROR(heap.Step(static_cast<int64_t>(text.bytes.size()) >> 10));
  if (picked.step == 1) {
    const std::string_view bytes = text.bytes;
    if (IsAscii(text)) {
      return heap.MakeText(std::string(bytes.substr(static_cast<size_t>(picked.start),
                                                    static_cast<size_t>(picked.n_picked))),
                           text.markup);
    }
    const size_t first = ByteOffset(bytes, picked.start);
    const size_t n_bytes = ByteOffset(bytes.substr(first), picked.n_picked);
    return heap.MakeText(std::string(bytes.substr(first, n_bytes)), text.markup);
  }
  KV_RETURN_IF_ERROR(heap.Fits(static_cast<Int>(text.bytes.size()) * 8));
  const std::u32string chars = Decode(text.bytes);
  std::string out;
  for (int64_t i = 0; i < picked.n_picked; ++i) {
    AppendChar(out, chars[static_cast<size_t>(picked.start + i * picked.step)]);
  }
  return heap.MakeText(std::move(out), text.markup);
}

Result<Value> SliceList(Heap& heap, const List& list, const Picked& picked) {
  if (list.flavor == Flavor::kKeys || list.flavor == Flavor::kValues ||
      list.flavor == Flavor::kItems) {
    return Fail("a view of a dict cannot be sliced: add | list");
  }
  std::vector<Value> items;
  items.reserve(static_cast<size_t>(picked.n_picked));
  for (int64_t i = 0; i < picked.n_picked; ++i) {
    items.push_back(list.items[static_cast<size_t>(picked.start + i * picked.step)]);
  }
  if (list.flavor == Flavor::kRange) {
    // Only printing would show its bounds, which Python derives from the old ones.
    return heap.MakeRange(std::move(items), "");
  }
  return heap.MakeList(std::move(items),
                       list.flavor == Flavor::kGroup ? Flavor::kTuple : list.flavor);
}

}  // namespace

Result<ListRef> Iterate(Heap& heap, const Value& value) {
  if (value.is_list()) return value.list_ref();
  std::vector<Value> items;
  if (value.is_string()) {
    const std::string_view bytes = value.str();
    KV_RETURN_IF_ERROR(heap.Fits(static_cast<Int>(value.text().length) * 160));
    for (size_t at = 0; at < bytes.size();) {
      const size_t start = at;
      NextChar(bytes, at);
      KV_ASSIGN_OR_RETURN(Value one, heap.MakeText(std::string(bytes.substr(start, at - start))));
      items.push_back(std::move(one));
    }
  } else if (value.is_dict()) {
    for (const auto& [key, unused] : value.dict().entries()) items.push_back(key);
  } else if (auto* generator = value.As<Generator>()) {
    while (!generator->Done()) items.push_back(generator->Next());
  } else if (!value.is_undefined()) {
    return Fail("'{}' object is not iterable", TypeName(value));
  }
  KV_ASSIGN_OR_RETURN(const Value list, heap.MakeList(std::move(items)));
  return list.list_ref();
}

Result<std::optional<Value>> Subscript(Heap& heap, const Value& object, const Value& index) {
  if (object.is_dict()) {
    if (!CheckKey(index)) return std::nullopt;
    const Value* found = object.dict().Find(index);
    return found == nullptr ? std::nullopt : std::optional<Value>(*found);
  }
  if (!index.is_integral()) return std::nullopt;
  const bool is_view = object.is_list() && (object.list().flavor == Flavor::kKeys ||
                                            object.list().flavor == Flavor::kValues ||
                                            object.list().flavor == Flavor::kItems);
  if (is_view || !(object.is_list() || object.is_string())) return std::nullopt;
  const int64_t length =
      object.is_list() ? static_cast<int64_t>(object.list().items.size()) : object.text().length;
  Int at = index.integer();
  if (at < -Int{length} || at >= length) return std::nullopt;
  if (at < 0) at += length;
  if (object.is_list()) return object.list().items[static_cast<size_t>(at)];
  KV_ASSIGN_OR_RETURN(Value one, SliceText(heap, object.text(), {static_cast<int64_t>(at), 1, 1}));
  return one;
}

Result<Value> Slice(Heap& heap, const Value& object, const Value& start, const Value& stop,
                    const Value& step) {
  if (object.is_undefined()) return FailUndefined(object);
  for (const Value* index : {&start, &stop, &step}) {
    if (index->is_none() || index->is_integral()) continue;
    return Fail("slice indices must be integers or None or have an __index__ method");
  }
  if (!object.is_string() && !object.is_list()) {
    return Fail("'{}' object cannot be sliced", TypeName(object));
  }
  const int64_t length =
      object.is_list() ? static_cast<int64_t>(object.list().items.size()) : object.text().length;
  KV_ASSIGN_OR_RETURN(const Picked picked, Pick(length, start, stop, step));
  return object.is_string() ? SliceText(heap, object.text(), picked)
                            : SliceList(heap, object.list(), picked);
}

}  // namespace kvasir::jinja
