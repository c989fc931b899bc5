// Python's operators on values. Errors are TypeErrors and the like in Python's words; none gives a
// wrong value where Python's would be larger than ours can hold.
#pragma once

#include "jinja/ast.h"
#include "jinja/heap.h"
#include "jinja/value.h"

namespace kvasir::jinja {

Result<Value> Arithmetic(Heap& heap, BinaryOp op, const Value& a, const Value& b);
Result<Value> Negate(const Value& a);

Result<bool> Equal(Heap& heap, const Value& a, const Value& b);
Result<bool> Compare(Heap& heap, CompareOp op, const Value& a, const Value& b);
// Whether `item` is in `container`.
Result<bool> Contains(Heap& heap, const Value& container, const Value& item);

// What a for loop or list() sees: items, keys of a dict, characters of a string. Uses up a
// generator.
Result<ListRef> Iterate(Heap& heap, const Value& value);

// object[index] for strings, sequences and dicts; nullopt where Python raises LookupError or
// TypeError.
Result<std::optional<Value>> Subscript(Heap& heap, const Value& object, const Value& index);
// object[start:stop:step]; absent parts are none.
Result<Value> Slice(Heap& heap, const Value& object, const Value& start, const Value& stop,
                    const Value& step);

// text * n, with the limits asked before anything is built.
Result<Value> RepeatText(Heap& heap, const Text& text, Int n);
// range(start, stop, step) with Python's printing.
Result<Value> MakeRange(Heap& heap, Int start, Int stop, Int step);

}  // namespace kvasir::jinja
