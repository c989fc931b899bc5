// Encoding of vectors into codes, vectorised; placing the codes in a plane is
// grid_codes.cc's. The same bits on every target. n is a multiple of 8.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/plane_format.h"

namespace kvasir::cpu {

constexpr int RoundUp8(int n) { return (n + 7) / 8 * 8; }

// A row of a caller, with zeros up to a multiple of 8.
struct PaddedRow {
  float x[kMostChannels];
  PaddedRow(const float* from, int n) {
    std::copy_n(from, n, x);
    std::fill(x + n, x + RoundUp8(n), 0.0f);
  }
};

// code = clamp(rint((x - min) / scale) + zero, lowest, highest); `zero` where the scale is 0.
struct CodeRange {
  int zero, lowest, highest;
};

struct EncodeTable {
  void (*to_f16)(const float* x, int n, uint16_t* out);   // finite values saturate at +-65504
  void (*to_bf16)(const float* x, int n, uint16_t* out);  // nearest even; NaN stays NaN
  void (*from_f16)(const uint16_t* x, int n, float* out);
  // low and high absorb x, channel by channel.
  void (*absorb)(const float* x, int n, float* low, float* high);
  void (*to_codes)(const float* x, int n, const float* min, const float* scale, CodeRange range,
                   uint8_t* codes);
};

namespace N_AVX2 {
extern const EncodeTable kEncode;
}
namespace N_AVX3 {
extern const EncodeTable kEncode;
}

}  // namespace kvasir::cpu
