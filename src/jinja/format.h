// Python's formatting: "..." % values and "...".format(...).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "jinja/heap.h"
#include "jinja/value.h"

namespace kvasir::jinja {

class Interpreter;

// format % values, where values is a tuple, a dict for named fields, or one value.
Result<Value> PercentFormat(Heap& heap, const Text& format, const Value& values);

Result<Value> StrFormat(Interpreter& in, const Text& format, const std::vector<Value>& positional,
                        const std::vector<std::pair<std::string, Value>>& named);

}  // namespace kvasir::jinja
