#include <immintrin.h>

#include <type_traits>

#include "hwy/base.h"
#include "kernels/cpu/attention_i16.h"
#include "kernels/cpu/attention_tile.h"
#include "kernels/cpu/i16_codes.h"

HWY_PUSH_ATTRIBUTES("avx2,fma")
namespace kvasir::cpu {
namespace {

#include "kernels/cpu/attention_i16-inl.h"

struct Avx2 {
  static constexpr int kLanes = 8;
  static constexpr int kQueries = 6, kVectors = 2;  // 12 sums, 2 vectors, a weight, a product
  using I = __m256i;
  using F = __m256;

  static HWY_INLINE I Zero() { return _mm256_setzero_si256(); }
  static HWY_INLINE I Set(int32_t x) { return _mm256_set1_epi32(x); }
  static HWY_INLINE I Load(const int32_t* at) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
  }
  // As a statement: from the intrinsic GCC 12 makes copies of all sums.
  static HWY_INLINE void AddPairs(I& sum, I x, I w) {
    asm("vpaddd %1, %0, %0" : "+x"(sum) : "x"(_mm256_madd_epi16(x, w)));
  }
  static HWY_INLINE F ToFloat(I x) { return _mm256_cvtepi32_ps(x); }
  static HWY_INLINE F SetF(float x) { return _mm256_set1_ps(x); }
  static HWY_INLINE F LoadF(const float* at) { return _mm256_loadu_ps(at); }
  static HWY_INLINE void StoreF(F x, float* at) { _mm256_storeu_ps(at, x); }
  static HWY_INLINE F Mul(F a, F b) { return _mm256_mul_ps(a, b); }
  static HWY_INLINE F Fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }

  // 64 probabilities times scales as integers; returns their step. Added up in 16 lanes, as where
  // vectors have so many.
  static HWY_INLINE float RoundPage(const float* p, const float* scales, int32_t* out) {
    F x[8];
    HWY_UNROLL(8)
    for (int i = 0; i < 8; ++i) x[i] = Mul(LoadF(p + 8 * i), LoadF(scales + 8 * i));
    F most = x[0], low = x[0], high = x[1];
    HWY_UNROLL(8)
    for (int i = 1; i < 8; ++i) most = _mm256_max_ps(most, x[i]);
    HWY_UNROLL(4)
    for (int i = 2; i < 8; i += 2) {
      low = _mm256_add_ps(low, x[i]);
      high = _mm256_add_ps(high, x[i + 1]);
    }
    const Step step(MaxOf(most), SumOf(_mm256_add_ps(low, high)));
    const F inverse = SetF(step.inverse);
    HWY_UNROLL(4)
    for (int i = 0; i < 8; i += 2) {
      const I a = _mm256_cvtps_epi32(Mul(x[i], inverse));
      const I b = _mm256_cvtps_epi32(Mul(x[i + 1], inverse));
      const I halves = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 4 * i), halves);
    }
    return step.step;
  }
};

}  // namespace

const I16Table kI16Avx2 = {Avx2::kQueries, &Logits<Avx2>, &Values<Avx2>};

}  // namespace kvasir::cpu
HWY_POP_ATTRIBUTES
