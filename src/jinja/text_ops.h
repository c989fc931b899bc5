// Operations on text that filters and string methods share, with Python's meaning.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "jinja/heap.h"
#include "jinja/value.h"

namespace kvasir::jinja {

// str.splitlines().
std::vector<std::string_view> SplitLines(std::string_view text, bool keep_ends = false);
// str.replace(); count < 0: all.
Result<std::string> ReplaceAll(Heap& heap, std::string_view text, std::string_view from,
                               std::string_view to, Int count);
// `text`, of `length` code points, with `fill` before and after it up to `width`.
enum class Align { kLeft, kCenter, kRight };
Result<std::string> Pad(Heap& heap, std::string_view text, int64_t length, Int width, Align align,
                        char32_t fill = ' ');
// Python's int(text, base) and float(text); nullopt where it raises ValueError.
Result<std::optional<Int>> ParseInt(std::string_view text, Int base);
std::optional<double> ParseFloat(std::string_view text);
// Python's textwrap.wrap() of one paragraph as Jinja's wordwrap calls it.
std::vector<std::string> WrapLine(std::string_view line, int64_t width, bool break_long_words,
                                  bool break_on_hyphens);

}  // namespace kvasir::jinja
