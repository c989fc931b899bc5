// Unicode's canonical decompositions and combining classes; Hangul, which is computed, is not here.
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

extern const Decomposition kDecompositions[];  // ascending by code
extern const size_t kDecompositionsSize;
extern const CombiningClass kCombiningClasses[];  // ascending
extern const size_t kCombiningClassesSize;

}  // namespace kvasir
