#include <immintrin.h>

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>

#include "hwy/base.h"
#include "kernels/cpu/matmul_layout.h"

HWY_PUSH_ATTRIBUTES("avx2,fma,f16c")
namespace kvasir::cpu {
namespace {

struct Avx2 {
  static constexpr int kLanes = 8;
  static constexpr int kCode8Offset = 0;
  static constexpr int kRowsADot = 1, kCodeRows = 16, kFloatRows = 8;
  using F = __m256;
  using I = __m256i;

  static HWY_INLINE F Zero() { return _mm256_setzero_ps(); }
  static HWY_INLINE F Set(float x) { return _mm256_set1_ps(x); }
  static HWY_INLINE F Load(const float* at) { return _mm256_loadu_ps(at); }
  static HWY_INLINE F LoadF16(const uint16_t* at) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
  }
  static HWY_INLINE F LoadBF16(const uint16_t* at) {
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
  }
  static HWY_INLINE void Store(F x, float* at) { _mm256_storeu_ps(at, x); }
  static HWY_INLINE F Add(F a, F b) { return _mm256_add_ps(a, b); }
  static HWY_INLINE F Mul(F a, F b) { return _mm256_mul_ps(a, b); }
  static HWY_INLINE F Fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  static HWY_INLINE F ToFloat(I a) { return _mm256_cvtepi32_ps(a); }

  static HWY_INLINE I SetInt(int32_t x) { return _mm256_set1_epi32(x); }
  template <int n>
  static HWY_INLINE I ShiftRight(I a) {
    return _mm256_srai_epi32(a, n);
  }
  static HWY_INLINE I LoadInts(const uint8_t* at) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
  }
  static HWY_INLINE I LowHalves(I a) { return _mm256_and_si256(a, _mm256_set1_epi8(15)); }
  static HWY_INLINE I HighHalves(I a) { return LowHalves(_mm256_srli_epi16(a, 4)); }
  static HWY_INLINE I Quad(const int8_t* x) {
    int32_t quad;
    std::memcpy(&quad, x, sizeof quad);
    return _mm256_set1_epi32(quad);
  }

  // Sums of pairs stay below 2 * 8 * 15 * 128 = 30720: no saturation in 16 bits.
  template <int n, int kRows>
  static HWY_INLINE void Dot4(const I* quads, const int8_t* const (&x)[kRows], I (&sums)[kRows]) {
    HWY_UNROLL(4)
    for (int t = 0; t < kRows; ++t) {
      I sum = _mm256_maddubs_epi16(quads[0], Quad(x[t]));
      HWY_UNROLL(8)
      for (int q = 1; q < n; ++q) {
        sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(quads[q], Quad(x[t] + 4 * q)));
      }
      sums[t] = _mm256_add_epi32(sums[t], _mm256_madd_epi16(sum, _mm256_set1_epi16(1)));
    }
  }

  // |w| times x with w's sign; activations are in [-127, 127], so pairs stay below 2 * 128 * 127.
  template <int n, int kRows>
  static HWY_INLINE void Dot8(const I* quads, const int8_t* const (&x)[kRows], I (&sums)[kRows]) {
    HWY_UNROLL(8)
    for (int q = 0; q < n; ++q) {
      const I magnitudes = _mm256_abs_epi8(quads[q]);
      HWY_UNROLL(4)
      for (int t = 0; t < kRows; ++t) {
        const I flipped = _mm256_sign_epi8(Quad(x[t] + 4 * q), quads[q]);
        const I pairs = _mm256_maddubs_epi16(magnitudes, flipped);
        sums[t] = _mm256_add_epi32(sums[t], _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
      }
    }
  }
};

#include "kernels/cpu/matmul_tile-inl.h"

constexpr MatMulKernels kKernels =
    MakeKernels<Avx2>(std::make_integer_sequence<int, kPackedKinds>());

}  // namespace

const MatMulKernels& MatMulAvx2() { return kKernels; }

}  // namespace kvasir::cpu
HWY_POP_ATTRIBUTES
