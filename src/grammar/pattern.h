// Regular expressions of JSON schemas ("pattern", and behind "format") as grammars of strings.
#pragma once

#include <optional>
#include <string_view>

#include "grammar/json_rules.h"

namespace kvasir::grammar {

// min to max characters of a string.
struct LengthBounds {
  int32_t min = 0, max = kUnbounded;
  bool any() const { return min == 0 && max == kUnbounded; }
};

// What stands between the quotes of a string that the ECMAScript pattern finds itself in: literals,
// classes, \d \w \s and their negations, ., groups, |, ? * + {m,n} (lazy ones too), ^ at the start
// and $ at the end. An error names what is outside of that: look-around, back references, word
// boundaries, anchors elsewhere, and length bounds that cannot be joined with the pattern.
Result<ExprId> PatternChars(std::string_view pattern, LengthBounds length, JsonRules& rules);

// The pattern of a format ("date-time", "uuid", …); nullopt: not one that is known.
std::optional<std::string_view> PatternOfFormat(std::string_view format);
// "date, time, …"
std::string KnownFormats();

}  // namespace kvasir::grammar
