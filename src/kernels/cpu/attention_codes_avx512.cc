#include <immintrin.h>

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "hwy/base.h"
#include "kernels/cpu/attention_codes.h"
#include "kernels/cpu/attention_tile.h"

#if HWY_COMPILER_GCC_ACTUAL  // of its own intrinsics, which start from undefined registers
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

HWY_PUSH_ATTRIBUTES("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512cd")
namespace kvasir::cpu {
namespace {

#include "kernels/cpu/code_vectors-inl.h"
//
#include "kernels/cpu/code_blocks-inl.h"
//
#include "kernels/cpu/code_dot-inl.h"
//
#include "kernels/cpu/code_weights-inl.h"
//
#include "kernels/cpu/attention_codes-inl.h"
#include "kernels/cpu/attention_codes_avx512-inl.h"

struct Avx512 : Avx512Codes {
  static constexpr bool kBytesAddTo16 = true, kHalves = false;

  // Additions as statements: from the intrinsics GCC 12 makes copies of all sums.
  static HWY_INLINE void AddBytes(I& sum, I codes, I weights) {
    asm("vpaddw %1, %0, %0" : "+v"(sum) : "v"(_mm512_maddubs_epi16(codes, weights)));
  }
  static HWY_INLINE I Widen(I a) { return _mm512_madd_epi16(a, Set(0x00010001)); }
  // Of four neighbours 0 and 2, then 1 and 3.
  static HWY_INLINE void AddWide0(I& sum, I codes, I weights) {
    const I pairs = And(codes, Set(0x00ff00ff));
    asm("vpaddd %1, %0, %0" : "+v"(sum) : "v"(_mm512_madd_epi16(pairs, weights)));
  }
  static HWY_INLINE void AddWide1(I& sum, I codes, I weights) {
    const I pairs = _mm512_srli_epi16(codes, 8);
    asm("vpaddd %1, %0, %0" : "+v"(sum) : "v"(_mm512_madd_epi16(pairs, weights)));
  }

  static HWY_INLINE I PackWide(const float* x, float inverse, int n, int32_t* out) {
    const __m512 factor = _mm512_set1_ps(inverse);
    const __m256i pairs = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15));
    I sum = Zero();
    for (int i = 0; i < n; i += 16) {
      const I codes = Round(x + i, factor);
      sum = Add32(sum, codes);
      const __m256i in_turn = _mm512_cvtepi32_epi16(codes);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i / 2),
                          _mm256_shuffle_epi8(in_turn, pairs));
    }
    return sum;
  }
};

}  // namespace

const CodeTable kCodesAvx512 = TableOf<Avx512>();

}  // namespace kvasir::cpu
HWY_POP_ATTRIBUTES
