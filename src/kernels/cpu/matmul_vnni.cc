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

HWY_PUSH_ATTRIBUTES("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512cd,avx512vnni")
namespace kvasir::cpu {
namespace {

#include "kernels/cpu/matmul_avx512-inl.h"

struct Avx512Vnni : Avx512Base {
  // vpdpbusd multiplies unsigned weights with signed activations.
  static constexpr int kCode8Offset = 128;
  static constexpr int kRowsADot = 4, kPanelsADot = 1, kCodeRows = 16, kFloatRows = 16;

  template <int n, int kRows>
  static HWY_INLINE void Dot8(const I (&quads)[1][8], int first, const int8_t* const (&x)[kRows],
                              I (&sums)[1][kRows]) {
    HWY_UNROLL(8)
    for (int q = 0; q < n; ++q) {
      HWY_UNROLL(4)
      for (int t = 0; t < kRows; ++t) {
        sums[0][t] = _mm512_dpbusd_epi32(sums[0][t], quads[0][first + q], Quad(x[t] + 4 * q));
      }
    }
  }
  template <int n, int kRows>
  static HWY_INLINE void Dot4(const I (&quads)[1][8], int first, const int8_t* const (&x)[kRows],
                              I (&sums)[1][kRows]) {
    Dot8<n>(quads, first, x, sums);
  }
};

#include "kernels/cpu/matmul_tile-inl.h"

constexpr MatMulKernels kKernels =
    MakeKernels<Avx512Vnni>(std::make_integer_sequence<int, kPackedKinds>());

}  // namespace

const MatMulKernels& MatMulAvx512Vnni() { return kKernels; }

}  // namespace kvasir::cpu
HWY_POP_ATTRIBUTES
