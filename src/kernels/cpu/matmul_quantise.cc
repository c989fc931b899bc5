// Activations to int8 blocks, once for all instruction sets: AVX2 keeps up with the products, and
// equal blocks make equal results on all of them.
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "hwy/base.h"
#include "kernels/cpu/matmul_layout.h"

HWY_PUSH_ATTRIBUTES("avx2,fma,f16c")
namespace kvasir::cpu {
namespace {

// Below this, 127 / (largest value) overflows; such a block counts as zero.
constexpr float kTiny = 1e-36f;

// The largest |x| of 32 values, by their bits: order of magnitudes, with NaN above all.
HWY_INLINE float LargestMagnitude(const __m256 (&x)[4]) {
  const __m256i mask = _mm256_set1_epi32(0x7fffffff);
  __m256i most = _mm256_and_si256(_mm256_castps_si256(x[0]), mask);
  for (int i = 1; i < 4; ++i) {
    most = _mm256_max_epi32(most, _mm256_and_si256(_mm256_castps_si256(x[i]), mask));
  }
  __m128i m = _mm_max_epi32(_mm256_castsi256_si128(most), _mm256_extracti128_si256(most, 1));
  m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4e));
  m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0xb1));
  return _mm_cvtss_f32(_mm_castsi128_ps(m));
}

template <class T>
HWY_INLINE void Put(std::byte* at, T value) {
  std::memcpy(at, &value, sizeof value);
}

// One block of one row of a tile of n_rows, to where CodeBlock<n_rows> has it. v becomes what the
// codes leave.
HWY_INLINE void QuantiseBlock(__m256 (&v)[4], int row, int n_rows, std::byte* out) {
  const float most = LargestMagnitude(v);
  const bool zero = most < kTiny;  // false for NaN, which becomes the scale
  const float scale = zero ? 0.0f : most / 127.0f;
  const __m256 inverse = _mm256_set1_ps(zero ? 0.0f : 127.0f / most);
  __m256i q[4];
  for (int i = 0; i < 4; ++i) q[i] = _mm256_cvtps_epi32(_mm256_mul_ps(v[i], inverse));
  for (int i = 0; i < 4; ++i) {
    v[i] = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(q[i]), _mm256_set1_ps(scale), v[i]);
  }
  // Packing works in 128-bit halves: dwords come out as 0, 4, 1, 5, ...
  const __m256i packed =
      _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  const __m256i codes = _mm256_permutevar8x32_epi32(packed, order);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + row * 32), codes);
  // Sums of quads, then of the four quads of each 128-bit half: of values 0..15 and 16..31.
  const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), codes);
  __m256i sums = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
  sums = _mm256_add_epi32(sums, _mm256_shuffle_epi32(sums, 0x4e));
  sums = _mm256_add_epi32(sums, _mm256_shuffle_epi32(sums, 0xb1));
  const int32_t half[2] = {_mm256_cvtsi256_si32(sums),
                           _mm_cvtsi128_si32(_mm256_extracti128_si256(sums, 1))};
  std::byte* at = out + n_rows * 32 + row * 4;
  Put(at, scale);
  Put(at + n_rows * 4, scale * static_cast<float>(half[0] + half[1]));
  Put(at + n_rows * 8, -128 * (half[0] + half[1]));
  at += n_rows * 12 + row * 4;
  Put(at, -128 * half[0]);
  Put(at + 4, -128 * half[1]);
}

}  // namespace

void QuantiseTile(MatView<const float> x, int64_t row, int n_rows, std::byte* out,
                  std::byte* residual) {
  const int64_t n_blocks = x.shape[1] / 32;
  for (int t = 0; t < n_rows; ++t) {
    const float* from = x.row(row + t);
    for (int64_t b = 0; b < n_blocks; ++b) {
      const int64_t at = b * n_rows * kCodeBlockBytes;
      __m256 v[4];
      for (int i = 0; i < 4; ++i) v[i] = _mm256_loadu_ps(from + 32 * b + 8 * i);
      QuantiseBlock(v, t, n_rows, out + at);
      if (residual != nullptr) QuantiseBlock(v, t, n_rows, residual + at);
    }
  }
}

void CopyTile(MatView<const float> x, int64_t row, int n_rows, std::byte* out) {
  const int64_t n_in = x.shape[1];
  for (int t = 0; t < n_rows; ++t) {
    const float* from = x.row(row + t);
    for (int64_t k = 0; k < n_in; k += 8) {
      std::byte* to = out + (k / 8 * n_rows + t) * kFloatBlockBytes;
      const int64_t n = std::min<int64_t>(8, n_in - k);
      if (n < 8) std::memset(to, 0, kFloatBlockBytes);
      std::memcpy(to, from + k, static_cast<size_t>(n) * sizeof(float));
    }
  }
}

}  // namespace kvasir::cpu
HWY_POP_ATTRIBUTES
