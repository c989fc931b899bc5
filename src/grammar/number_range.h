// Numbers between bounds as grammars of their digits.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "grammar/json_rules.h"

namespace kvasir::grammar {

// A decimal number without exponent: (-)whole.fraction, fraction without zeros at its end.
struct Decimal {
  bool negative = false;
  uint64_t whole = 0;  // below 2^63
  std::string fraction = {};

  bool zero() const { return whole == 0 && fraction.empty(); }
};

struct Bound {
  Decimal value;
  bool exclusive = false;
};

struct NumberBounds {
  std::optional<Bound> least, most;
};

// nullopt: not finite, or too large or too small to be written out.
std::optional<Decimal> DecimalOf(const Json& number);
// -1, 0, 1.
int Compare(const Decimal& a, const Decimal& b);

// Numbers within the bounds, written without exponent, with at most kMaxDigits digits of a fraction
// (more where a bound has more).
ExprId NumberBetween(const NumberBounds& bounds, JsonRules& rules);
ExprId IntegerBetween(const NumberBounds& bounds, JsonRules& rules);

}  // namespace kvasir::grammar
