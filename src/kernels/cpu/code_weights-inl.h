// Weights as integers, in vectors of 256 bits on every target.
#if defined(KVASIR_KERNELS_CPU_CODE_WEIGHTS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef KVASIR_KERNELS_CPU_CODE_WEIGHTS_INL_H_
#undef KVASIR_KERNELS_CPU_CODE_WEIGHTS_INL_H_
#else
#define KVASIR_KERNELS_CPU_CODE_WEIGHTS_INL_H_
#endif

#include "kernels/cpu/code_vectors-inl.h"
#include "kernels/plane_format.h"

HWY_BEFORE_NAMESPACE();
namespace kvasir::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

struct RoundedWeights {
  float step, total;  // weight = step * integer; total: of the floats (times minima, if any)
  int32_t sum;        // of the integers
};

// 32 floats times `inverse` as 8 words of 8-bit integers; their sum by lanes.
HWY_INLINE void Pack8(const float* x, VF inverse, VI& sum, int32_t* out) {
  VI a[4];
  for (int k = 0; k < 4; ++k) {
    a[k] = hn::NearestInt(hn::Mul(hn::Load(DF(), x + k * kLanes), inverse));
    sum = hn::Add(sum, a[k]);
  }
  const __m256i low = _mm256_packs_epi32(a[0].raw, a[1].raw);
  const __m256i high = _mm256_packs_epi32(a[2].raw, a[3].raw);
  // Packing works in halves: words 0 2 4 6 1 3 5 7.
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  const __m256i packed = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order);
  hn::StoreU(VI{packed}, DI(), out);
}

// 16 floats as 8 words: of four neighbours first 0 and 2, then 1 and 3.
HWY_INLINE void Pack16(const float* x, VF inverse, VI& sum, int32_t* out) {
  const VI a = hn::NearestInt(hn::Mul(hn::Load(DF(), x), inverse));
  const VI b = hn::NearestInt(hn::Mul(hn::Load(DF(), x + kLanes), inverse));
  sum = hn::Add(sum, hn::Add(a, b));
  const __m256i halves = _mm256_packs_epi32(a.raw, b.raw);
  const __m256i in_turn = _mm256_permute4x64_epi64(halves, 0xd8);
  const __m256i pairs = _mm256_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15, 0, 1,
                                         4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15);
  hn::StoreU(VI{_mm256_shuffle_epi8(in_turn, pairs)}, DI(), out);
}

// Weights x, times scales if kScaled, as integers; n, a multiple of 8, is filled up with zeros to
// one of 32. Their total: of x, or of x * mins.
template <bool kScaled>
RoundedWeights RoundWeights(int bits, const float* x, const float* scales, const float* mins, int n,
                            int32_t* out) {
  HWY_ALIGN float products[kMostChannels];
  VF most = hn::Zero(DF()), total = hn::Zero(DF());
  int i = 0;
  for (; i < n; i += kLanes) {
    VF v = hn::LoadU(DF(), x + i);
    if constexpr (kScaled) {
      total = hn::MulAdd(v, hn::Load(DF(), mins + i), total);
      v = hn::Mul(v, hn::Load(DF(), scales + i));
    } else {
      total = hn::Add(total, v);
    }
    most = hn::Max(hn::Abs(v), most);
    hn::Store(v, DF(), products + i);
  }
  for (; i % 32 != 0; i += kLanes) hn::Store(hn::Zero(DF()), DF(), products + i);
  const float largest = hn::GetLane(hn::MaxOfLanes(DF(), most));
  const float most_integer = WeightsHave8Bits(bits) ? 127.0f : 32767.0f;
  // Below 1e-30, and where the division would overflow, nothing is left of a weight.
  const VF inverse = hn::Set(DF(), largest > 1e-30f ? most_integer / largest : 0.0f);
  VI sum = hn::Zero(DI());
  if (WeightsHave8Bits(bits)) {
    for (int k = 0; k < i; k += 32) Pack8(products + k, inverse, sum, out + k / 4);
  } else {
    for (int k = 0; k < i; k += 16) Pack16(products + k, inverse, sum, out + k / 2);
  }
  return {largest > 1e-30f ? largest / most_integer : 0.0f,
          hn::GetLane(hn::SumOfLanes(DF(), total)), hn::GetLane(hn::SumOfLanes(DI(), sum))};
}

}  // namespace kvasir::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
