// Python's str() and repr() of values.
#pragma once

#include <string>
#include <string_view>

#include "jinja/heap.h"
#include "jinja/value.h"

namespace kvasir::jinja {

Status AppendStr(Heap& heap, const Value& value, std::string& out);
Status AppendRepr(Heap& heap, const Value& value, std::string& out);
Result<std::string> Str(Heap& heap, const Value& value);
Result<std::string> Repr(Heap& heap, const Value& value);

// repr() of a string, with Python's choice of quotes.
std::string QuotedRepr(std::string_view text);
// repr() of a float: the shortest digits that read back, "1.0", "1e+16", "inf", "nan".
std::string FloatRepr(double value);
std::string IntText(Int value);

}  // namespace kvasir::jinja
