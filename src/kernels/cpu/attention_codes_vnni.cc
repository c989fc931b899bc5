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

HWY_PUSH_ATTRIBUTES("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512cd,avx512vnni")
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
  static HWY_INLINE I AddOdd(I even, I odd, unsigned bits) {
    return Add32(even, _mm512_srai_epi32(odd, bits));
  }
  static HWY_INLINE I AddHalves(I low, I high) { return Add32(low, _mm512_slli_epi32(high, 8)); }

  static HWY_INLINE I PackBytes(const float* x, float inverse, int n, int32_t* out) {
    const __m512 factor = _mm512_set1_ps(inverse);
    const I ones = _mm512_set1_epi8(1);
    // Packing works in quarters: a word of each vector in turn.
    const I order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    I sum = Zero();
    int i = 0;
    for (; i + 64 <= n; i += 64) {
      const I a = Round(x + i, factor), b = Round(x + i + 16, factor);
      const I c = Round(x + i + 32, factor), d = Round(x + i + 48, factor);
      const I packed = _mm512_packs_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
      const I bytes = _mm512_permutexvar_epi32(order, packed);
      Store(bytes, out + i / 4);
      AddBytes(sum, ones, bytes);
    }
    for (; i < n; i += 16) {
      const I codes = Round(x + i, factor);
      sum = Add32(sum, codes);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i / 4), _mm512_cvtepi32_epi8(codes));
    }
    return sum;
  }

  // Four low bytes, four high ones, which count in 256.
  static HWY_INLINE I PackWide(const float* x, float inverse, int n, int32_t* out) {
    const __m512 factor = _mm512_set1_ps(inverse);
    const I half = _mm512_set1_epi16(128);
    // Packing works in quarters: fours of the first vector and of the second in turn.
    const I order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
    const I fours =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15));
    I sum = Zero();
    for (int i = 0; i < n; i += 32) {
      const I a = Round(x + i, factor), b = Round(x + i + 16, factor);
      sum = Add32(sum, Add32(a, b));
      const I words = _mm512_permutexvar_epi64(order, _mm512_packs_epi32(a, b));
      // The low byte is signed, so that the high one is that of the word and a half.
      const I bytes =
          _mm512_mask_blend_epi8(0xaaaaaaaaaaaaaaaa, words, _mm512_add_epi16(words, half));
      Store(_mm512_shuffle_epi8(bytes, fours), out + i / 2);
    }
    return sum;
  }
};

}  // namespace

const CodeTable kCodesAvx512Vnni = TableOf<Avx512Vnni>();

}  // namespace kvasir::cpu
HWY_POP_ATTRIBUTES
