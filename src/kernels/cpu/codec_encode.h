// Encoding of one vector into codes, vectorised; placing the codes in a plane is
// kernels/codec.cc's. The same bits on every target.
#pragma once

#include <cstdint>

namespace kvasir::cpu {

struct EncodeTable {
  void (*to_f16)(const float* x, int n, uint16_t* out);   // finite values saturate at +-65504
  void (*to_bf16)(const float* x, int n, uint16_t* out);  // nearest even; NaN stays NaN
  void (*from_f16)(const uint16_t* x, int n, float* out);
  // One group of n (16 or 32) channels. Codes are one a byte.
  void (*to_q8)(const float* x, int n, int8_t* codes, uint16_t* scale);
  void (*to_q4)(const float* x, int n, uint8_t* codes, uint16_t* scale, uint16_t* min);
};

namespace N_AVX2 {
extern const EncodeTable kEncode;
}
namespace N_AVX3 {
extern const EncodeTable kEncode;
}

}  // namespace kvasir::cpu
