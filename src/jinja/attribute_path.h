// What sequence filters share: looking up "a.b.0" in items, sorting by keys.
#pragma once

#include <vector>

#include "jinja/heap.h"
#include "jinja/value.h"

namespace kvasir::jinja {

class Interpreter;

// The `attribute` argument of filters: names and indices, looked up as items first.
class AttributePath {
 public:
  static Result<AttributePath> Parse(const Value& attribute);  // none: the item itself
  static Result<std::vector<AttributePath>> ParseList(const Value& attribute);  // "a.b,c"
  Result<Value> Get(Interpreter& in, const Value& item) const;

 private:
  std::vector<Value> parts_;
};

// A string in lower case unless case matters; other values as they are.
Result<Value> CaseKey(Heap& heap, const Value& value, bool case_sensitive);

struct Keyed {
  Value key, item;
};
// Python's sorted(): stable, also in reverse; an error if two keys cannot be compared.
Status StableSort(Heap& heap, std::vector<Keyed>& items, bool reverse);
std::vector<Value> ItemsOf(const std::vector<Keyed>& keyed);

}  // namespace kvasir::jinja
