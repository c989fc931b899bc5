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
  static constexpr int kRowsADot = 4, kPanelsADot = 2, kCodeRows = 4, kFloatRows = 8;
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
  static HWY_INLINE I Widen(I pairs) { return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)); }
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

  // Quad after quad, for all rows and panels: a broadcast serves both panels, a load of weights all
  // rows. Sums of pairs stay below 2 * 8 * 15 * 128 = 30720: no saturation in 16 bits.
  template <int n, int M, int kRows>
  static HWY_INLINE void Dot4(const I (&quads)[M][8], int first, const int8_t* const (&x)[kRows],
                              I (&sums)[M][kRows]) {
    I pairs[M][kRows];
    HWY_UNROLL(8)
    for (int q = 0; q < n; ++q) {
      HWY_UNROLL(4)
      for (int t = 0; t < kRows; ++t) {
        const I quad = Quad(x[t] + 4 * q);
        HWY_UNROLL(2)
        for (int m = 0; m < M; ++m) {
          const I product = _mm256_maddubs_epi16(quads[m][first + q], quad);
          if (q == 0) {
            pairs[m][t] = product;
          } else {  // as a statement: from the intrinsic GCC 12 makes all products before it adds
            asm("vpaddw %1, %0, %0" : "+x"(pairs[m][t]) : "x"(product));
          }
        }
      }
    }
    HWY_UNROLL(4)
    for (int t = 0; t < kRows; ++t) {
      HWY_UNROLL(2)
      for (int m = 0; m < M; ++m) sums[m][t] = _mm256_add_epi32(sums[m][t], Widen(pairs[m][t]));
    }
  }

  // |w| times x with w's sign; activations are in [-127, 127], so pairs stay below 2 * 128 * 127.
  template <int n, int M, int kRows>
  static HWY_INLINE void Dot8(const I (&quads)[M][8], int first, const int8_t* const (&x)[kRows],
                              I (&sums)[M][kRows]) {
    HWY_UNROLL(8)
    for (int q = 0; q < n; ++q) {
      I magnitude[M];
      HWY_UNROLL(2)
      for (int m = 0; m < M; ++m) magnitude[m] = _mm256_abs_epi8(quads[m][first + q]);
      HWY_UNROLL(4)
      for (int t = 0; t < kRows; ++t) {
        const I quad = Quad(x[t] + 4 * q);
        HWY_UNROLL(2)
        for (int m = 0; m < M; ++m) {
          const I flipped = _mm256_sign_epi8(quad, quads[m][first + q]);
          const I pairs = _mm256_maddubs_epi16(magnitude[m], flipped);
          asm("vpaddd %1, %0, %0" : "+x"(sums[m][t]) : "x"(Widen(pairs)));
        }
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
