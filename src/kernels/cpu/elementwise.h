// The vector code behind kernels/elementwise.h, one table of functions a Highway target.
#pragma once

#include <cstdint>

namespace kvasir::cpu {

struct ElementwiseTable {
  float (*sum_squares)(const float* x, int64_t n);
  void (*scale_weight)(const float* x, float factor, const float* weight, int64_t n, float* out);
  void (*rotate_pairs)(const float* cos, const float* sin, int64_t n_pairs, float* x);
  void (*rotate_halves)(const float* cos, const float* sin, int64_t n_pairs, float* x);
  void (*swiglu)(const float* gate, const float* up, int64_t n, float* out);
  void (*geglu)(const float* gate, const float* up, int64_t n, float* out);
  void (*add)(const float* a, const float* b, int64_t n, float* out);
  void (*scale)(float* x, float factor, int64_t n);
  void (*softcap)(float* x, float cap, int64_t n);
  float (*max)(const float* x, int64_t n);  // NaN is skipped; -inf for none
  double (*sum_exp)(const float* x, float max, int64_t n);
  void (*exp_minus)(const float* x, float offset, int64_t n, float* out);  // exp(x - offset)
};

namespace N_AVX2 {
extern const ElementwiseTable kElementwise;
}
namespace N_AVX3 {
extern const ElementwiseTable kElementwise;
}

}  // namespace kvasir::cpu
