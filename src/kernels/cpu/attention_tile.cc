#include "kernels/cpu/attention_tile.h"

#include <limits>

#include "kernels/cpu/hwy_targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention_tile.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/cpu/float_read-inl.h"
#include "kernels/cpu/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace kvasir::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Register tiles of queries x 4 vectors: 6 x 4 of 32 registers, 3 x 4 of 16. Decoding in registers
// needs some for scales, and stays with few queries: many queries read expanded planes.
constexpr int kTileVectors = 4;
constexpr int kMaxQueries = kLanes == 16 ? 6 : 3;
constexpr int kMaxCodedQueries = kLanes == 16 ? 4 : 3;
constexpr int kVectorsPerPage = kPageEntries / kLanes;
constexpr float kInf = std::numeric_limits<float>::infinity();

// Into the second level: more lines can be on their way than the first level has buffers for
// (decode at twice the speed of PREFETCHT0 on Zen 4).
HWY_INLINE void PrefetchBytes(const std::byte* from, int64_t n) {
  for (int64_t i = 0; i < n; i += 64) __builtin_prefetch(from + i, 0, 2);
}

// Calls f with a codec of floats as a type.
template <CodecId kCodec>
struct CodecTag {
  static constexpr CodecId kId = kCodec;
};
template <class F>
HWY_INLINE void WithCodec(CodecId codec, const F& f) {
  switch (codec) {
    case CodecId::kF32:
      return f(CodecTag<CodecId::kF32>());
    case CodecId::kF16:
      return f(CodecTag<CodecId::kF16>());
    case CodecId::kBF16:
      return f(CodecTag<CodecId::kBF16>());
    default:
      HWY_ABORT("codec %d is not one of floats", static_cast<int>(codec));
  }
}

// To floats in the order of the plane: [dim][64] and [64][dim] alike. `next` is prefetched.
template <CodecId kCodec>
void ExpandOf(const std::byte* plane, int dim, const std::byte* next, float* out) {
  for (int i = 0; i < dim * kPageEntries; i += kPageEntries) {
    PrefetchBytes(next + i * kElementBytes<kCodec>, kPageEntries * kElementBytes<kCodec>);
    for (int v = 0; v < kVectorsPerPage; ++v) {
      hn::Store(LoadElements<kCodec>(plane, i + v * kLanes), D(), out + i + v * kLanes);
    }
  }
}

// Channel c of some vectors of keys and of the queries.
template <CodecId kCodec, int kQueries>
HWY_INLINE void LogitsChannel(const std::byte* plane, const float* HWY_RESTRICT q, int c, int slot,
                              V (&acc)[kQueries][kTileVectors]) {
  // Queries in registers, keys one at a time: 12 + 3 + 1 registers where there are 16.
  V qc[kQueries];
  for (int i = 0; i < kQueries; ++i) qc[i] = hn::Set(D(), q[c * kQueries + i]);
  for (int v = 0; v < kTileVectors; ++v) {
    const V key = LoadElements<kCodec>(plane, c * kPageEntries + slot + v * kLanes);
    for (int i = 0; i < kQueries; ++i) acc[i][v] = hn::MulAdd(qc[i], key, acc[i][v]);
  }
}

// kQueries x (kTileVectors vectors of slots): each logit is one chain of fused multiply-adds over
// the channels in turn. Prefetched is what the block of the next plane reads, line by line beside
// the arithmetic: in bursts, requests wait for each other.
template <CodecId kCodec, int kQueries>
HWY_INLINE void LogitsBlock(const std::byte* plane, int dim, const float* HWY_RESTRICT q, int slot,
                            const std::byte* next, float* HWY_RESTRICT logits) {
  const D d;
  constexpr int kBlockBytes = kTileVectors * kLanes * kElementBytes<kCodec>;
  V acc[kQueries][kTileVectors];
  for (int i = 0; i < kQueries; ++i) {
    for (int v = 0; v < kTileVectors; ++v) acc[i][v] = hn::Zero(d);
  }
  for (int c = 0; c < dim; ++c) {
    if (next != nullptr) {
      PrefetchBytes(next + slot * dim * kElementBytes<kCodec> + c * kBlockBytes, kBlockBytes);
    }
    LogitsChannel<kCodec, kQueries>(plane, q, c, slot, acc);
  }
  for (int i = 0; i < kQueries; ++i) {
    for (int v = 0; v < kTileVectors; ++v) {
      hn::Store(acc[i][v], d, logits + i * kLogitStride + slot + v * kLanes);
    }
  }
}

template <CodecId kCodec, int kQueries>
void LogitsTile(const std::byte* plane, int dim, const float* q, const std::byte* next,
                float* logits) {
  for (int slot = 0; slot < kPageEntries; slot += kTileVectors * kLanes) {
    LogitsBlock<kCodec, kQueries>(plane, dim, q, slot, next, logits);
  }
}

// kQueries x (kVectors vectors of channels): each output is one chain over the live slots in turn.
template <CodecId kCodec, int kQueries, int kVectors>
HWY_INLINE void ValuesBlock(const std::byte* plane, int dim, uint64_t live,
                            const float* HWY_RESTRICT p, int channel, const std::byte* next,
                            float* HWY_RESTRICT acc_out) {
  const D d;
  const int stride = Padded16(dim);
  V acc[kQueries][kVectors];
  for (int i = 0; i < kQueries; ++i) {
    for (int v = 0; v < kVectors; ++v) {
      acc[i][v] = hn::Load(d, acc_out + i * stride + channel + v * kLanes);
    }
  }
  constexpr int kBlockBytes = kVectors * kLanes * kElementBytes<kCodec>;
  const auto add_slot = [&](int slot) HWY_ATTR {
    const int first = slot * dim + channel;
    if (next != nullptr) {
      PrefetchBytes(next + channel * kPageEntries * kElementBytes<kCodec> + slot * kBlockBytes,
                    kBlockBytes);
    }
    V ps[kQueries];
    for (int i = 0; i < kQueries; ++i) ps[i] = hn::Set(d, p[i * kLogitStride + slot]);
    for (int v = 0; v < kVectors; ++v) {
      const V value = LoadElements<kCodec>(plane, first + v * kLanes);
      for (int i = 0; i < kQueries; ++i) acc[i][v] = hn::MulAdd(ps[i], value, acc[i][v]);
    }
  };
  if (live == ~uint64_t{0}) {  // most pages: addresses cost next to nothing
    for (int slot = 0; slot < kPageEntries; ++slot) add_slot(slot);
  } else {
    for (; live != 0; live &= live - 1) add_slot(__builtin_ctzll(live));
  }
  for (int i = 0; i < kQueries; ++i) {
    for (int v = 0; v < kVectors; ++v) {
      hn::Store(acc[i][v], d, acc_out + i * stride + channel + v * kLanes);
    }
  }
}

template <CodecId kCodec, int kQueries>
void ValuesTile(const std::byte* plane, int dim, uint64_t live, const float* p,
                const std::byte* next, float* acc) {
  const int end = Padded16(dim);
  int channel = 0;
  for (; channel + 4 * kLanes <= end; channel += 4 * kLanes) {
    ValuesBlock<kCodec, kQueries, 4>(plane, dim, live, p, channel, next, acc);
  }
  if (channel + 2 * kLanes <= end) {
    ValuesBlock<kCodec, kQueries, 2>(plane, dim, live, p, channel, next, acc);
    channel += 2 * kLanes;
  }
  if constexpr (kLanes == 16) {
    if (channel < end) {
      ValuesBlock<kCodec, kQueries, 1>(plane, dim, live, p, channel, next, acc);
    }
  }
}

// Picks the instance for n queries: from kMax downwards.
template <CodecId kCodec, int kMax, class... Args>
HWY_INLINE void PickLogits(int n, Args... args) {
  if constexpr (kMax == 1) {
    LogitsTile<kCodec, 1>(args...);
  } else {
    if (n == kMax) return LogitsTile<kCodec, kMax>(args...);
    PickLogits<kCodec, kMax - 1>(n, args...);
  }
}
template <CodecId kCodec, int kMax, class... Args>
HWY_INLINE void PickValues(int n, Args... args) {
  if constexpr (kMax == 1) {
    ValuesTile<kCodec, 1>(args...);
  } else {
    if (n == kMax) return ValuesTile<kCodec, kMax>(args...);
    PickValues<kCodec, kMax - 1>(n, args...);
  }
}
template <CodecId kCodec>
constexpr int kMaxOf = kCodec == CodecId::kF32 ? kMaxQueries : kMaxCodedQueries;

template <CodecId kCodec>
void LogitsOf(const std::byte* plane, int head_dim, const float* packed_q, RegisterTiles tiles,
              const std::byte* next, float* logits) {
  for (int t = 0; t < tiles.n_tiles; ++t) {
    const int begin = tiles.Begin(t), n = tiles.Begin(t + 1) - begin;
    PickLogits<kCodec, kMaxOf<kCodec>>(n, plane, head_dim, packed_q + int64_t{begin} * head_dim,
                                       next, logits + begin * kLogitStride);
    next = nullptr;
  }
}

template <CodecId kCodec>
void ValuesOf(const std::byte* plane, int dim, uint64_t live, const float* p, RegisterTiles tiles,
              const std::byte* next, float* acc) {
  for (int t = 0; t < tiles.n_tiles; ++t) {
    const int begin = tiles.Begin(t), n = tiles.Begin(t + 1) - begin;
    PickValues<kCodec, kMaxOf<kCodec>>(n, plane, dim, live, p + begin * kLogitStride, next,
                                       acc + int64_t{begin} * Padded16(dim));
    next = nullptr;
  }
}

void Expand(CodecId codec, const std::byte* plane, int dim, const std::byte* next, float* out) {
  WithCodec(codec, [=](auto tag) { ExpandOf<tag.kId>(plane, dim, next, out); });
}

void Logits(CodecId codec, const std::byte* plane, int head_dim, const float* packed_q,
            RegisterTiles tiles, const std::byte* next, float* logits) {
  WithCodec(codec,
            [=](auto tag) { LogitsOf<tag.kId>(plane, head_dim, packed_q, tiles, next, logits); });
}

void Values(CodecId codec, const std::byte* plane, int dim, uint64_t live, const float* p,
            RegisterTiles tiles, const std::byte* next, float* acc) {
  WithCodec(codec, [=](auto tag) { ValuesOf<tag.kId>(plane, dim, live, p, tiles, next, acc); });
}

void Finish(float* logits, float softcap, const float* bias, uint64_t visible) {
  const D d;
  uint8_t bits[8];
  __builtin_memcpy(bits, &visible, 8);
  for (int slot = 0; slot < kPageEntries; slot += kLanes) {
    V x = hn::Load(d, logits + slot);
    if (softcap != 0.0f) {
      x = hn::Mul(hn::Set(d, softcap), Tanh(hn::Mul(x, hn::Set(d, 1.0f / softcap))));
    }
    if (bias != nullptr) x = hn::Add(x, hn::LoadU(d, bias + slot));
    const auto mask = hn::LoadMaskBits(d, bits + slot / 8);
    hn::Store(hn::IfThenElse(mask, x, hn::Set(d, -kInf)), d, logits + slot);
  }
}

uint64_t OrderMask(const int32_t* order, int32_t after, int32_t upto) {
  const hn::RebindToSigned<D> d;
  const auto lowest = hn::Set(d, after), highest = hn::Set(d, upto);
  uint8_t bits[8] = {};
  for (int slot = 0; slot < kPageEntries; slot += kLanes) {
    const auto o = hn::LoadU(d, order + slot);
    hn::StoreMaskBits(d, hn::AndNot(hn::Gt(o, highest), hn::Gt(o, lowest)), bits + slot / 8);
  }
  uint64_t mask;
  __builtin_memcpy(&mask, bits, 8);
  return mask;
}

// Lanes are added pairwise, halves first: one order for every vector length.
template <class DF, class VF>
HWY_INLINE float SumHalves(DF d, VF x) {
  if constexpr (hn::MaxLanes(d) == 1) {
    return hn::GetLane(x);
  } else {
    const hn::Half<DF> half;
    return SumHalves(half, hn::Add(hn::LowerHalf(half, x), hn::UpperHalf(half, x)));
  }
}
HWY_INLINE float SumPage(const V (&x)[kVectorsPerPage]) {
  V sum[kVectorsPerPage];
  for (int v = 0; v < kVectorsPerPage; ++v) sum[v] = x[v];
  HWY_UNROLL(8)
  for (int half = kVectorsPerPage / 2; half > 0; half /= 2) {
    for (int v = 0; v < half; ++v) sum[v] = hn::Add(sum[v], sum[v + half]);
  }
  return SumHalves(D(), sum[0]);
}

HWY_INLINE V MaxOf(const float* HWY_RESTRICT logits, int n_pages) {
  const D d;
  V max[kTileVectors];
  for (int v = 0; v < kTileVectors; ++v) max[v] = hn::Set(d, -kInf);
  for (int i = 0; i < n_pages * kPageEntries; i += kTileVectors * kLanes) {
    for (int v = 0; v < kTileVectors; ++v) {
      max[v] = hn::Max(max[v], hn::Load(d, logits + i + v * kLanes));
    }
  }
  return hn::MaxOfLanes(d, hn::Max(hn::Max(max[0], max[1]), hn::Max(max[2], max[3])));
}

// Maxima of a few queries first: each is a chain of latencies, and one alone would be waited for.
void Softmax(float* logits, int n_queries, int n_pages, float* max_out, float* sum_out) {
  const D d;
  constexpr int kAtOnce = 4;
  for (int first = 0; first < n_queries; first += kAtOnce) {
    const int n = HWY_MIN(kAtOnce, n_queries - first);
    for (int i = 0; i < n; ++i) {
      const V max = MaxOf(logits + int64_t{first + i} * kLogitStride, n_pages);
      max_out[first + i] = hn::GetLane(max);
    }
    for (int i = 0; i < n; ++i) {
      float* at = logits + int64_t{first + i} * kLogitStride;
      const float max = max_out[first + i];
      const V offset = hn::Set(d, max == -kInf ? 0.0f : max);
      V sum[kVectorsPerPage];
      for (int v = 0; v < kVectorsPerPage; ++v) sum[v] = hn::Zero(d);
      for (int page = 0; page < n_pages; ++page, at += kPageEntries) {
        for (int v = 0; v < kVectorsPerPage; ++v) {
          const V p = ExpUncapped(hn::Sub(hn::Load(d, at + v * kLanes), offset));
          sum[v] = hn::Add(sum[v], p);
          hn::Store(p, d, at + v * kLanes);
        }
      }
      sum_out[first + i] = SumPage(sum);
    }
  }
}

// The factors of as many queries as a vector has lanes are found together.
void Merge(int n_queries, int head_dim, const float* HWY_RESTRICT part_max,
           const float* HWY_RESTRICT part_sum, const float* HWY_RESTRICT part_acc,
           float* HWY_RESTRICT max, float* HWY_RESTRICT sum, float* HWY_RESTRICT acc) {
  const D d;
  for (int first = 0; first < n_queries; first += kLanes) {
    const int n = HWY_MIN(kLanes, n_queries - first);
    // Behind the last one are sums, whose factors nobody reads.
    const V old_max = hn::LoadU(d, max + first), new_max = hn::LoadU(d, part_max + first);
    const V highest = hn::Max(old_max, new_max);
    const V keep = Exp(hn::Sub(old_max, highest)), absorb = Exp(hn::Sub(new_max, highest));
    HWY_ALIGN float keep_of[kLanes], absorb_of[kLanes], highest_of[kLanes];
    hn::Store(keep, d, keep_of);
    hn::Store(absorb, d, absorb_of);
    hn::Store(highest, d, highest_of);
    for (int i = 0, query = first; i < n; ++i, ++query) {
      if (part_max[query] == -kInf) continue;  // nothing visible
      const V keep_v = hn::Set(d, keep_of[i]), absorb_v = hn::Set(d, absorb_of[i]);
      float* to = acc + query * head_dim;
      for (int c = 0; c < head_dim; c += kLanes) {
        const V part = hn::Mul(hn::Load(d, part_acc + query * head_dim + c), absorb_v);
        hn::Store(hn::MulAdd(hn::Load(d, to + c), keep_v, part), d, to + c);
      }
      sum[query] = sum[query] * keep_of[i] + part_sum[query] * absorb_of[i];
      max[query] = highest_of[i];
    }
  }
}

void Normalise(int head_dim, float sum, const float* acc, float* out) {
  const D d;
  const V factor = hn::Set(d, sum > 0.0f ? 1.0f / sum : 0.0f);
  for (int c = 0; c < head_dim; c += kLanes) {
    // Adding zero makes -0, which depends on skipped pages, +0.
    hn::StoreU(hn::MulAdd(hn::Load(d, acc + c), factor, hn::Zero(d)), d, out + c);
  }
}

void AddMass(const float* logits, float lse, float weight, float* mass) {
  const D d;
  const V offset = hn::Set(d, lse), w = hn::Set(d, weight);
  for (int slot = 0; slot < kPageEntries; slot += kLanes) {
    const V p = ExpUncapped(hn::Sub(hn::Load(d, logits + slot), offset));
    hn::Store(hn::MulAdd(w, p, hn::Load(d, mass + slot)), d, mass + slot);
  }
}

#if HWY_TARGET == HWY_AVX2
constexpr const CodeTable* kCodes = &kCodesAvx2;
constexpr const I16Table* kI16 = &kI16Avx2;
#else
constexpr const CodeTable* kCodes = &kCodesAvx512;
constexpr const I16Table* kI16 = &kI16Avx512;
#endif
extern const AttentionTable kAttention;
const AttentionTable kAttention = {kCodes, kI16,      kMaxQueries, kMaxCodedQueries, Expand,
                                   Logits, Finish,    OrderMask,   Softmax,          Values,
                                   Merge,  Normalise, AddMass};

}  // namespace kvasir::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
