// Unicode's decompositions and combining classes; Hangul, which is computed, is not here.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kvasir {

struct Decomposition {
  char32_t code;
  char32_t first, second;  // second 0: a single character
  uint32_t composes = 1;   // 1: NFC puts the two together again
};
struct CombiningClass {
  char32_t begin, end;  // both inside
  uint32_t value;       // 1 to 254; all other characters are starters, 0
};

// A compatibility decomposition, as far as it goes: characters of the pool from `begin` to that of
// the next. The last one is no character.
struct Compatibility {
  char32_t code;
  uint16_t begin;
};

extern const Compatibility kCompatibilities[];  // ascending by code; where it is no canonical one
extern const size_t kCompatibilitiesSize;
extern const char32_t kCompatibilityPool[];

extern const Decomposition kDecompositions[];  // ascending by code
extern const size_t kDecompositionsSize;
extern const CombiningClass kCombiningClasses[];  // ascending
extern const size_t kCombiningClassesSize;

}  // namespace kvasir
