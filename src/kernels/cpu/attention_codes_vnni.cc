#include <immintrin.h>

#include <algorithm>

#include "hwy/base.h"
#include "kernels/cpu/attention_codes.h"
#include "kernels/cpu/attention_tile.h"

#if HWY_COMPILER_GCC_ACTUAL  // of its own intrinsics, which start from undefined registers
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

HWY_PUSH_ATTRIBUTES("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512cd,avx512vnni")
namespace kvasir::cpu {
namespace {

#include "kernels/cpu/code_vectors-inl.h"
//
#include "kernels/cpu/code_dot-inl.h"
#include "kernels/cpu/code_weights-inl.h"
//
#include "kernels/cpu/code_sums-inl.h"
//
#include "kernels/cpu/attention_codes-inl.h"
#include "kernels/cpu/attention_codes_avx512-inl.h"

// Weights of 16 bits are two signed bytes, for each of which VNNI multiplies four codes at once:
// half of the instructions that products of 16 bits take.
struct Avx512Vnni : Avx512Codes {
  static constexpr bool kBytesAddTo16 = false, kHalves = true;

  // As a statement: from the intrinsic GCC 12 makes copies of all sums.
  static HWY_INLINE void AddBytes(I& sum, I codes, I weights) {
    asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(codes), "v"(weights));
  }
  static HWY_INLINE I Widen(I a) { return a; }
  static HWY_INLINE void AddWide0(I& sum, I codes, I low) { AddBytes(sum, codes, low); }
  static HWY_INLINE void AddWide1(I& sum, I codes, I high) { AddBytes(sum, codes, high); }
  static HWY_INLINE I AddHalves(I low, I high) { return Add32(low, _mm512_slli_epi32(high, 8)); }

  // Four low bytes, four high ones, which count in 256.
  static HWY_INLINE int32_t PackWide(const float* x, float inverse, int n, int32_t* out) {
    const __m512 factor = _mm512_set1_ps(inverse);
    const I half = Set(128);
    I sum = Zero();
    for (int i = 0; i < n; i += 16) {
      const I codes = Round(x + i, factor);
      sum = Add32(sum, codes);
      const __m128i low = _mm512_cvtepi32_epi8(codes);
      const __m128i high = _mm512_cvtepi32_epi8(_mm512_srai_epi32(Add32(codes, half), 8));
      auto* to = reinterpret_cast<__m128i*>(out + i / 2);
      _mm_storeu_si128(to, _mm_unpacklo_epi32(low, high));
      _mm_storeu_si128(to + 1, _mm_unpackhi_epi32(low, high));
    }
    return SumOf(sum);
  }
};

}  // namespace

const CodeTable kCodesAvx512Vnni = TableOf<Avx512Vnni>();

}  // namespace kvasir::cpu
HWY_POP_ATTRIBUTES
