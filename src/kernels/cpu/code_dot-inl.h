// Products of codes with weights as integers, in vectors as wide as there are: integer sums are the
// same in any.
#if defined(KVASIR_KERNELS_CPU_CODE_DOT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef KVASIR_KERNELS_CPU_CODE_DOT_INL_H_
#undef KVASIR_KERNELS_CPU_CODE_DOT_INL_H_
#else
#define KVASIR_KERNELS_CPU_CODE_DOT_INL_H_
#endif

#include "kernels/cpu/code_vectors-inl.h"
#include "kernels/plane_format.h"

HWY_BEFORE_NAMESPACE();
namespace kvasir::cpu::HWY_NAMESPACE {
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

}  // namespace kvasir::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
