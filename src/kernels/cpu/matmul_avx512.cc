#include <immintrin.h>

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>

#include "hwy/base.h"
#include "kernels/cpu/matmul_layout.h"

#if HWY_COMPILER_GCC_ACTUAL  // of its own intrinsics, which start from undefined registers
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

HWY_PUSH_ATTRIBUTES("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512cd")
namespace kvasir::cpu {
namespace {

#include "kernels/cpu/matmul_avx512-inl.h"

struct Avx512 : Avx512Base {
  static constexpr int kCode8Offset = 0;
  static constexpr int kRowsADot = 4, kPanelsADot = 1, kCodeRows = 8, kFloatRows = 16;

  // Sums of pairs stay below 2 * 8 * 15 * 128 = 30720: no saturation in 16 bits.
  template <int n, int kRows>
  static HWY_INLINE void Dot4(const I (&quads)[1][8], int first, const int8_t* const (&x)[kRows],
                              I (&sums)[1][kRows]) {
    HWY_UNROLL(4)
    for (int t = 0; t < kRows; ++t) {
      I sum = _mm512_maddubs_epi16(quads[0][first], Quad(x[t]));
      HWY_UNROLL(8)
      for (int q = 1; q < n; ++q) {
        const I pairs = _mm512_maddubs_epi16(quads[0][first + q], Quad(x[t] + 4 * q));
        sum = _mm512_add_epi16(sum, pairs);
      }
      sums[0][t] = _mm512_add_epi32(sums[0][t], _mm512_madd_epi16(sum, _mm512_set1_epi16(1)));
    }
  }

  // |w| times x with w's sign; activations are in [-127, 127], so pairs stay below 2 * 128 * 127.
  template <int n, int kRows>
  static HWY_INLINE void Dot8(const I (&quads)[1][8], int first, const int8_t* const (&x)[kRows],
                              I (&sums)[1][kRows]) {
    HWY_UNROLL(8)
    for (int q = 0; q < n; ++q) {
      const I magnitudes = _mm512_abs_epi8(quads[0][first + q]);
      const __mmask64 negative = _mm512_movepi8_mask(quads[0][first + q]);
      HWY_UNROLL(4)
      for (int t = 0; t < kRows; ++t) {
        const I quad = Quad(x[t] + 4 * q);
        const I flipped = _mm512_mask_sub_epi8(quad, negative, _mm512_setzero_si512(), quad);
        const I pairs = _mm512_maddubs_epi16(magnitudes, flipped);
        sums[0][t] = _mm512_add_epi32(sums[0][t], _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
      }
    }
  }
};

#include "kernels/cpu/matmul_tile-inl.h"

constexpr MatMulKernels kKernels =
    MakeKernels<Avx512>(std::make_integer_sequence<int, kPackedKinds>());

}  // namespace

const MatMulKernels& MatMulAvx512() { return kKernels; }

}  // namespace kvasir::cpu
HWY_POP_ATTRIBUTES
