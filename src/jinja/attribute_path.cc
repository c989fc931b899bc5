#include "jinja/attribute_path.h"

#include <algorithm>

#include "jinja/interpreter.h"
#include "jinja/operators.h"
#include "jinja/text_ops.h"
#include "jinja/unicode.h"

namespace kvasir::jinja {

Result<AttributePath> AttributePath::Parse(const Value& attribute) {
  AttributePath path;
  if (attribute.is_none()) return path;
  if (!attribute.is_string()) {
    path.parts_.push_back(attribute);
    return path;
  }
  std::string_view rest = attribute.str();
  while (true) {
    const size_t dot = std::min(rest.find('.'), rest.size());
    const std::string_view part = rest.substr(0, dot);
    const bool digits = !part.empty() && std::all_of(part.begin(), part.end(),
                                                     [](char c) { return c >= '0' && c <= '9'; });
    if (digits) {
      KV_ASSIGN_OR_RETURN(const std::optional<Int> index, ParseInt(part, 10));
      path.parts_.push_back(Value::Integer(index.value_or(0)));
    } else {
      path.parts_.push_back(Value::String(std::string(part)));
    }
    if (dot == rest.size()) return path;
    rest.remove_prefix(dot + 1);
  }
}

Result<std::vector<AttributePath>> AttributePath::ParseList(const Value& attribute) {
  std::vector<AttributePath> paths;
  std::string_view rest = attribute.is_string() ? attribute.str() : std::string_view();
  while (attribute.is_string()) {
    const size_t comma = std::min(rest.find(','), rest.size());
    KV_ASSIGN_OR_RETURN(AttributePath path,
                        Parse(Value::String(std::string(rest.substr(0, comma)))));
    paths.push_back(std::move(path));
    if (comma == rest.size()) return paths;
    rest.remove_prefix(comma + 1);
  }
  KV_ASSIGN_OR_RETURN(AttributePath path, Parse(attribute));
  paths.push_back(std::move(path));
  return paths;
}

Result<Value> AttributePath::Get(Interpreter& in, const Value& item) const {
  Value value = item;
  for (const Value& part : parts_) {
    KV_ASSIGN_OR_RETURN(value, in.GetItem(value, part));
  }
  return value;
}

Result<Value> CaseKey(Heap& heap, const Value& value, bool case_sensitive) {
  if (case_sensitive || !value.is_string()) return value;
  return heap.MakeText(Lower(value.str()));
}

namespace {

Status MergeSort(Heap& heap, std::vector<Keyed>& items, std::vector<Keyed>& scratch, size_t first,
                 size_t last, CompareOp before) {
  if (last - first < 2) return {};
  const size_t middle = first + (last - first) / 2;
  KV_RETURN_IF_ERROR(MergeSort(heap, items, scratch, first, middle, before));
  KV_RETURN_IF_ERROR(MergeSort(heap, items, scratch, middle, last, before));
  size_t left = first, right = middle;
  for (size_t out = first; out < last; ++out) {
    bool take_right = left == middle;
    if (!take_right && right < last) {
      KV_ASSIGN_OR_RETURN(take_right, Compare(heap, before, items[right].key, items[left].key));
    }
    scratch[out] = items[take_right ? right++ : left++];
  }
  std::copy(scratch.begin() + int64_t(first), scratch.begin() + int64_t(last),
            items.begin() + int64_t(first));
  return {};
}

}  // namespace

Status StableSort(Heap& heap, std::vector<Keyed>& items, bool reverse) {
  std::vector<Keyed> scratch(items.size());
  return MergeSort(heap, items, scratch, 0, items.size(),
                   reverse ? CompareOp::kGt : CompareOp::kLt);
}

std::vector<Value> ItemsOf(const std::vector<Keyed>& keyed) {
  std::vector<Value> items;
  items.reserve(keyed.size());
  for (const Keyed& k : keyed) items.push_back(k.item);
  return items;
}

}  // namespace kvasir::jinja
