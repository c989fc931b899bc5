// Weights as integers, in vectors of 256 bits on every target; and their products with codes, in
// vectors as wide as there are: integer sums are the same in any.
#if defined(KVASIR_KERNELS_CPU_CODE_DOT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef KVASIR_KERNELS_CPU_CODE_DOT_INL_H_
#undef KVASIR_KERNELS_CPU_CODE_DOT_INL_H_
#else
#define KVASIR_KERNELS_CPU_CODE_DOT_INL_H_
#endif

#include <immintrin.h>

#include "hwy/highway.h"
#include "kernels/plane_format.h"

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
// Words of a query's weights, of up to 256 codes.
constexpr int kMostWeights = kMostChannels / 2;

// The codes of a word from bit `shift` on, in fields of 32 / kCodes bits.
template <class L, int kBits, uint32_t kFields>
HWY_INLINE typename L::V Extract(typename L::V words, int shift) {
  constexpr uint32_t kMask = ((1u << kBits) - 1) * kFields;
  return L::And(L::ShiftRight(words, shift), L::Set(static_cast<int32_t>(kMask)));
}

// The words that a product reads next, while it multiplies: at once they would wait for each other.
HWY_INLINE void PrefetchWords(const uint32_t* at, int n_lanes) {
  for (int i = 0; i < n_lanes; i += 16) __builtin_prefetch(at + i, 0, 2);
}

// Words of `kVectors` vectors of lanes, and what belongs to them.
struct Words {
  const uint32_t* low;
  const uint32_t* high;  // of three bits
  const uint32_t* next;  // like low, of the next plane: to prefetch; or null
  int64_t row;           // words from a block to the next
  int n;                 // blocks
};

// sums[query][vector of lanes] = codes x weights over the words of a lane. The weights of the
// queries are `stride` apart.
template <class L, int kBits, int kQueries, int kVectors>
HWY_INLINE void Dot8(const Words& words, const int32_t* weights, int64_t stride,
                     typename L::V (&sums)[kQueries][kVectors]) {
  // 16 bits hold 32767 / (2 * 127 * code) sums of pairs: of words 8 and 16, of 16 and 32 codes.
  constexpr int kWordsAtOnce = kBits == 1 ? 16 : 8;
  constexpr int kQuads = 8 / kBits;  // of codes a word
  for (auto& of_query : sums) {
    for (typename L::V& sum : of_query) sum = L::Set(0);
  }
  for (int first = 0; first < words.n; first += kWordsAtOnce) {
    const int end = HWY_MIN(first + kWordsAtOnce, words.n);
    typename L::V acc[kQueries][kVectors];
    for (auto& of_query : acc) {
      for (typename L::V& sum : of_query) sum = L::Set(0);
    }
    for (int w = first; w < end; ++w) {
      const uint32_t* at = words.low + w * words.row;
      if (words.next != nullptr) PrefetchWords(words.next + w * words.row, kVectors * L::kLanes);
      const int32_t* quads = weights + w * kQuads;
      HWY_UNROLL(8)
      for (int j = 0; j < kQuads; ++j) {
        typename L::V weight[kQueries];
        for (int i = 0; i < kQueries; ++i) weight[i] = L::Set(quads[i * stride + j]);
        for (int v = 0; v < kVectors; ++v) {
          const typename L::V codes =
              Extract<L, kBits, 0x01010101u>(L::Load(at + v * L::kLanes), j * kBits);
          for (int i = 0; i < kQueries; ++i) {
            acc[i][v] = L::Add16(acc[i][v], L::Pairs8(codes, weight[i]));
          }
        }
      }
    }
    const typename L::V ones = L::Set(0x00010001);
    for (int i = 0; i < kQueries; ++i) {
      for (int v = 0; v < kVectors; ++v) {
        sums[i][v] = L::Add32(sums[i][v], L::Pairs16(acc[i][v], ones));
      }
    }
  }
}

// Sums fit: 256 codes of 255 times 32767 are below 2^31.
template <class L, int kBits, int kQueries, int kVectors>
HWY_INLINE void Dot16(const Words& words, const int32_t* weights, int64_t stride,
                      typename L::V (&sums)[kQueries][kVectors]) {
  constexpr int kLowBits = kBits == 3 ? 2 : kBits;
  constexpr int kQuads = 8 / kLowBits;
  for (auto& of_query : sums) {
    for (typename L::V& sum : of_query) sum = L::Set(0);
  }
  for (int w = 0; w < words.n; ++w) {
    const uint32_t* at = words.low + w * words.row;
    const uint32_t* high_at = words.high + w / 2 * words.row;  // two words of low bits share one
    if (words.next != nullptr) PrefetchWords(words.next + w * words.row, kVectors * L::kLanes);
    const int high_shift = w % 2 * 4;
    const int32_t* pairs = weights + w * kQuads * 2;
    HWY_UNROLL(8)
    for (int j = 0; j < kQuads * 2; ++j) {  // bytes 0 and 2, then 1 and 3, of each quad
      const int byte = j % 2 * 8, quad = j / 2;
      typename L::V weight[kQueries];
      for (int i = 0; i < kQueries; ++i) weight[i] = L::Set(pairs[i * stride + j]);
      for (int v = 0; v < kVectors; ++v) {
        typename L::V codes =
            Extract<L, kLowBits, 0x00010001u>(L::Load(at + v * L::kLanes), byte + quad * kLowBits);
        if constexpr (kBits == 3) {
          const typename L::V more = Extract<L, 1, 0x00010001u>(L::Load(high_at + v * L::kLanes),
                                                                byte + quad + high_shift);
          codes = L::Or(codes, L::ShiftLeft2(more));
        }
        for (int i = 0; i < kQueries; ++i) {
          sums[i][v] = L::Add32(sums[i][v], L::Pairs16(codes, weight[i]));
        }
      }
    }
  }
}

template <class L, int kBits, int kQueries, int kVectors>
HWY_INLINE void DotWords(const Words& words, const int32_t* weights, int64_t stride,
                         typename L::V (&sums)[kQueries][kVectors]) {
  if constexpr (WeightsHave8Bits(kBits)) {
    Dot8<L, kBits, kQueries, kVectors>(words, weights, stride, sums);
  } else {
    Dot16<L, kBits, kQueries, kVectors>(words, weights, stride, sums);
  }
}

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
