// The vectors in which products of codes and weights are computed: of 256 bits on every target,
// and as wide as there are.
#if defined(KVASIR_KERNELS_CPU_CODE_VECTORS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef KVASIR_KERNELS_CPU_CODE_VECTORS_INL_H_
#undef KVASIR_KERNELS_CPU_CODE_VECTORS_INL_H_
#else
#define KVASIR_KERNELS_CPU_CODE_VECTORS_INL_H_
#endif

#include <immintrin.h>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace kvasir::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::CappedTag<float, 8>;
using DI = hn::CappedTag<int32_t, 8>;
using VF = hn::Vec<DF>;
using VI = hn::Vec<DI>;
constexpr int kLanes = 8;

// The integer vectors of the products.
struct Lanes8 {
  static constexpr int kLanes = 8;
  using V = __m256i;
  static HWY_INLINE V Set(int32_t x) { return _mm256_set1_epi32(x); }
  static HWY_INLINE V Load(const uint32_t* at) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
  }
  static HWY_INLINE void Store(V x, int32_t* at) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(at), x);
  }
  static HWY_INLINE V And(V a, V b) { return _mm256_and_si256(a, b); }
  static HWY_INLINE V Or(V a, V b) { return _mm256_or_si256(a, b); }
  static HWY_INLINE V ShiftRight(V a, int n) { return _mm256_srli_epi32(a, n); }
  static HWY_INLINE V ShiftLeft2(V a) { return _mm256_slli_epi32(a, 2); }
  static HWY_INLINE V Add32(V a, V b) { return _mm256_add_epi32(a, b); }
  static HWY_INLINE V Add16(V a, V b) { return _mm256_add_epi16(a, b); }
  static HWY_INLINE V Pairs16(V a, V b) { return _mm256_madd_epi16(a, b); }
  static HWY_INLINE V Pairs8(V a, V b) { return _mm256_maddubs_epi16(a, b); }
};
#if HWY_TARGET == HWY_AVX3
struct Lanes16 {
  static constexpr int kLanes = 16;
  using V = __m512i;
  static HWY_INLINE V Set(int32_t x) { return _mm512_set1_epi32(x); }
  static HWY_INLINE V Load(const uint32_t* at) { return _mm512_loadu_si512(at); }
  static HWY_INLINE void Store(V x, int32_t* at) { _mm512_storeu_si512(at, x); }
  static HWY_INLINE V And(V a, V b) { return _mm512_and_si512(a, b); }
  static HWY_INLINE V Or(V a, V b) { return _mm512_or_si512(a, b); }
  static HWY_INLINE V ShiftRight(V a, int n) {
    return _mm512_srli_epi32(a, static_cast<unsigned>(n));
  }
  static HWY_INLINE V ShiftLeft2(V a) { return _mm512_slli_epi32(a, 2); }
  static HWY_INLINE V Add32(V a, V b) { return _mm512_add_epi32(a, b); }
  static HWY_INLINE V Add16(V a, V b) { return _mm512_add_epi16(a, b); }
  static HWY_INLINE V Pairs16(V a, V b) { return _mm512_madd_epi16(a, b); }
  static HWY_INLINE V Pairs8(V a, V b) { return _mm512_maddubs_epi16(a, b); }
};
using Widest = Lanes16;
#else
using Widest = Lanes8;
#endif

// Weights of codes of so many bits have 8 bits, four in a word, or 16, two in a word.
constexpr bool WeightsHave8Bits(int bits) { return bits <= 2; }

}  // namespace kvasir::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
