#include "kernels/cpu/attention_codes.h"

#include "kernels/cpu/attention_tile.h"
#include "kernels/cpu/hwy_targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention_codes.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/cpu/code_dot-inl.h"
#include "kernels/cpu/code_weights-inl.h"

HWY_BEFORE_NAMESPACE();
namespace kvasir::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr int kQueryTile = 3;

// Half of the codes' range: what they are counted from.
HWY_INLINE float MiddleOf(const Grid& grid) {
  return grid.has_min ? static_cast<float>((1 << grid.bits) - 1) / 2 : grid.zero;
}

// Scales and minima of some lanes or weights as floats; the minima moved to the middle code.
struct Constants {
  HWY_ALIGN float scale[kMostChannels];
  HWY_ALIGN float min[kMostChannels];
};

HWY_INLINE VF LoadConstants(const Grid& grid, const std::byte* array, int64_t index) {
  if (grid.f32) return hn::LoadU(DF(), reinterpret_cast<const float*>(array) + index);
  const hn::Rebind<hwy::float16_t, DF> d16;
  return hn::PromoteTo(DF(),
                       hn::LoadU(d16, reinterpret_cast<const hwy::float16_t*>(array) + index));
}

// From element `index` of the arrays on; n is a multiple of 8. Minima are zeros where there are
// none.
void ReadConstants(const Grid& grid, const std::byte* plane, int64_t index, int n, Constants& to) {
  const VF factor = hn::Set(DF(), grid.factor), middle = hn::Set(DF(), MiddleOf(grid));
  for (int i = 0; i < n; i += kLanes) {
    const VF scale = hn::Mul(LoadConstants(grid, plane + grid.scales, index + i), factor);
    VF min = hn::Zero(DF());
    if (grid.has_min) {
      min = hn::MulAdd(middle, scale, LoadConstants(grid, plane + grid.mins, index + i));
    }
    hn::Store(scale, DF(), to.scale + i);
    hn::Store(min, DF(), to.min + i);
  }
}

// Zero for slots that are not seen: they may hold anything.
void MaskConstants(uint64_t seen, Constants& constants) {
  if (seen == ~uint64_t{0}) return;
  for (int slot = 0; slot < kPageEntries; ++slot) {
    if ((seen >> slot & 1) == 0) constants.scale[slot] = constants.min[slot] = 0;
  }
}

// Weights of a tile of queries, rounded.
struct Rounded {
  float step, offset, total;
};

// The words of `lane` and the lanes after it in one inner group.
Words WordsAt(const Grid& grid, const std::byte* plane, const std::byte* next, int inner_group,
              int n_inner, int lane) {
  const int bits = grid.bits == 3 ? 2 : grid.bits;
  const int64_t row = grid.n_lanes();
  const int64_t low = BlocksBefore(grid, inner_group, bits) * row + lane;
  const int64_t high = BlocksBefore(grid, inner_group, 1) * row + lane;
  const auto at = [](const std::byte* array, int64_t word) {
    return reinterpret_cast<const uint32_t*>(array) + word;
  };
  return {at(plane + grid.codes, low), at(plane + grid.high_codes, high),
          next == nullptr ? nullptr : at(next + grid.codes, low), row, WordsOf(n_inner, bits)};
}

template <class L, int kBits, int kQueries, int kVectors>
HWY_INLINE void DotVectors(const Words& words, const int32_t* weights, int64_t stride, int lane,
                           int32_t* sums) {
  typename L::V acc[kQueries][kVectors];
  const Words from = {words.low + lane, words.high + lane,
                      words.next == nullptr ? nullptr : words.next + lane, words.row, words.n};
  DotWords<L, kBits, kQueries, kVectors>(from, weights, stride, acc);
  for (int i = 0; i < kQueries; ++i) {
    for (int v = 0; v < kVectors; ++v) {
      L::Store(acc[i][v], sums + i * kMostChannels + lane + v * L::kLanes);
    }
  }
}

template <int kBits, int kQueries>
void DotLanes(const Words& words, const int32_t* weights, int64_t stride, int n_lanes,
              int32_t* sums) {
  constexpr int kWidest = Widest::kLanes;
  int lane = 0;
  for (; lane + 4 * kWidest <= n_lanes; lane += 4 * kWidest) {
    DotVectors<Widest, kBits, kQueries, 4>(words, weights, stride, lane, sums);
  }
  for (; lane + 2 * kWidest <= n_lanes; lane += 2 * kWidest) {
    DotVectors<Widest, kBits, kQueries, 2>(words, weights, stride, lane, sums);
  }
  for (; lane + kLanes <= n_lanes; lane += kLanes) {
    DotVectors<Lanes8, kBits, kQueries, 1>(words, weights, stride, lane, sums);
  }
}

template <int kBits>
void DotQueries(const Words& words, const int32_t* weights, int64_t stride, int n_queries,
                int n_lanes, int32_t* sums) {
  if (n_queries == 3) return DotLanes<kBits, 3>(words, weights, stride, n_lanes, sums);
  if (n_queries == 2) return DotLanes<kBits, 2>(words, weights, stride, n_lanes, sums);
  DotLanes<kBits, 1>(words, weights, stride, n_lanes, sums);
}

// sums[query][lane], rows kMostChannels apart, of up to kQueryTile queries.
void Dot(int bits, const Words& words, const int32_t* weights, int64_t stride, int n_queries,
         int n_lanes, int32_t* sums) {
  switch (bits) {
    case 1:
      return DotQueries<1>(words, weights, stride, n_queries, n_lanes, sums);
    case 2:
      return DotQueries<2>(words, weights, stride, n_queries, n_lanes, sums);
    case 3:
      return DotQueries<3>(words, weights, stride, n_queries, n_lanes, sums);
    case 4:
      return DotQueries<4>(words, weights, stride, n_queries, n_lanes, sums);
    default:
      return DotQueries<8>(words, weights, stride, n_queries, n_lanes, sums);
  }
}

// out = step * sum + (out + offset)
HWY_INLINE void AddSums(const int32_t* sums, int n, const Rounded& r, bool add, float* out) {
  const VF step = hn::Set(DF(), r.step), offset = hn::Set(DF(), r.offset);
  for (int i = 0; i < n; i += kLanes) {
    const VF sum = hn::ConvertTo(DF(), hn::Load(DI(), sums + i));
    const VF before = add ? hn::Add(hn::LoadU(DF(), out + i), offset) : offset;
    hn::StoreU(hn::MulAdd(step, sum, before), DF(), out + i);
  }
}

// out = total * min + (scale * (step * sum + offset) + out), min and scale being the lane's.
HWY_INLINE void AddScaledSums(const int32_t* sums, int n, const Rounded& r, const float* scales,
                              const float* mins, bool has_min, bool add, float* out) {
  const VF step = hn::Set(DF(), r.step), offset = hn::Set(DF(), r.offset);
  const VF total = hn::Set(DF(), r.total);
  for (int i = 0; i < n; i += kLanes) {
    const VF sum = hn::ConvertTo(DF(), hn::Load(DI(), sums + i));
    const VF before = add ? hn::LoadU(DF(), out + i) : hn::Zero(DF());
    VF x = hn::MulAdd(hn::LoadU(DF(), scales + i), hn::MulAdd(step, sum, offset), before);
    if (has_min) x = hn::MulAdd(total, hn::LoadU(DF(), mins + i), x);
    hn::StoreU(x, DF(), out + i);
  }
}

// Weights that carry no scales: the sums are of what the lanes' scales multiply.
HWY_INLINE Rounded RoundPlain(const Grid& grid, const float* x, int n, int32_t* weights) {
  const RoundedWeights r = RoundWeights<false>(grid.bits, x, nullptr, nullptr, n, weights);
  return {r.step, -r.step * (MiddleOf(grid) * static_cast<float>(r.sum)), r.total};
}

// Weights times scales; what minima and the middle code add is in the offset.
HWY_INLINE Rounded RoundScaled(const Grid& grid, const float* x, const Constants& constants, int n,
                               int32_t* weights) {
  const RoundedWeights r =
      RoundWeights<true>(grid.bits, x, constants.scale, constants.min, n, weights);
  return {r.step, r.total - r.step * (MiddleOf(grid) * static_cast<float>(r.sum)), 0.0f};
}

void RoundQueries(const Grid& grid, const CodedQueries& queries) {
  const int64_t group_weights = CodedQueries::GroupWeights(grid);
  const int n_groups = grid.n_groups();
  for (int query = 0; query < queries.n; ++query) {
    const float* row = queries.rows + query * queries.stride;
    for (int g = 0; g < n_groups; ++g) {
      const int64_t at = int64_t{query} * n_groups + g;
      const int n = HWY_MIN((grid.group + 7) / 8 * 8, grid.padded_channels() - g * grid.group);
      const Rounded r =
          RoundPlain(grid, row + g * grid.group, n, queries.weights + at * group_weights);
      float* facts = queries.facts + at * CodedQueries::kFacts;
      facts[0] = r.step, facts[1] = r.offset, facts[2] = r.total;
    }
  }
}

// Keys by entry: a sum for every group of channels, scaled slot by slot.
void LogitsByEntry(const Grid& grid, const std::byte* plane, const std::byte* next,
                   const CodedQueries& queries, bool add, float* logits) {
  const int64_t group_weights = CodedQueries::GroupWeights(grid);
  const int n_groups = grid.n_groups();
  Constants constants;
  HWY_ALIGN int32_t sums[kQueryTile * kMostChannels];
  for (int g = 0; g < n_groups; ++g) {
    const int n = HWY_MIN(grid.group, grid.n_channels - g * grid.group);
    ReadConstants(grid, plane, int64_t{g} * kPageEntries, kPageEntries, constants);
    Words words = WordsAt(grid, plane, next, g, n, 0);
    for (int query = 0; query < queries.n; query += kQueryTile) {
      const int n_queries = HWY_MIN(kQueryTile, queries.n - query);
      const int64_t at = int64_t{query} * n_groups + g;
      Dot(grid.bits, words, queries.weights + at * group_weights, n_groups * group_weights,
          n_queries, kPageEntries, sums);
      words.next = nullptr;  // once is enough
      for (int i = 0; i < n_queries; ++i) {
        const float* facts = queries.facts + (at + i * n_groups) * CodedQueries::kFacts;
        AddScaledSums(sums + i * kMostChannels, kPageEntries, {facts[0], facts[1], facts[2]},
                      constants.scale, constants.min, grid.has_min, add || g > 0,
                      logits + int64_t{query + i} * kLogitStride);
      }
    }
  }
}

// Keys by channel: the scales of 32 slots go into the queries.
void LogitsByChannel(const Grid& grid, const std::byte* plane, const std::byte* next,
                     const CodedQueries& queries, uint64_t seen, bool add, float* logits) {
  Constants constants;
  HWY_ALIGN int32_t sums[kQueryTile * kMostChannels];
  HWY_ALIGN int32_t weights[kQueryTile * kMostWeights];
  for (int slot = 0; slot < kPageEntries; slot += kGroupSlots) {
    if ((seen >> slot & 0xffffffffu) == 0) continue;  // not encoded, perhaps
    ReadConstants(grid, plane, grid.ScaleIndex(0, slot), grid.padded_channels(), constants);
    Words words = WordsAt(grid, plane, next, 0, grid.n_channels, slot);
    for (int query = 0; query < queries.n; query += kQueryTile) {
      const int n_queries = HWY_MIN(kQueryTile, queries.n - query);
      Rounded rounded[kQueryTile];
      for (int i = 0; i < n_queries; ++i) {
        const float* row = queries.rows + (query + i) * queries.stride + RowBegin(grid);
        rounded[i] =
            RoundScaled(grid, row, constants, grid.padded_channels(), weights + i * kMostWeights);
      }
      Dot(grid.bits, words, weights, kMostWeights, n_queries, kGroupSlots, sums);
      words.next = nullptr;  // once is enough
      for (int i = 0; i < n_queries; ++i) {
        AddSums(sums + i * kMostChannels, kGroupSlots, rounded[i], add,
                logits + int64_t{query + i} * kLogitStride + slot);
      }
    }
  }
}

void Logits(const Grid& grid, const std::byte* plane, const std::byte* next,
            const CodedQueries& queries, uint64_t seen, bool add, float* logits) {
  if (grid.by_channel) return LogitsByChannel(grid, plane, next, queries, seen, add, logits);
  LogitsByEntry(grid, plane, next, queries, add, logits);
}

// Values by entry: for every group of channels the scales go into the probabilities.
void ValuesByEntry(const Grid& grid, const std::byte* plane, const std::byte* next, int n_queries,
                   uint64_t seen, const float* p, float* acc) {
  Constants constants;
  HWY_ALIGN int32_t sums[kQueryTile * kMostChannels];
  HWY_ALIGN int32_t weights[kQueryTile * kMostWeights];
  for (int g = 0; g < grid.n_groups(); ++g) {
    const int first = g * grid.group, n_lanes = HWY_MIN(grid.group, grid.n_channels - first);
    ReadConstants(grid, plane, int64_t{g} * kPageEntries, kPageEntries, constants);
    MaskConstants(seen, constants);
    Words words = WordsAt(grid, plane, next, 0, kPageEntries, first);
    for (int query = 0; query < n_queries; query += kQueryTile) {
      const int n = HWY_MIN(kQueryTile, n_queries - query);
      Rounded rounded[kQueryTile];
      for (int i = 0; i < n; ++i) {
        rounded[i] = RoundScaled(grid, p + int64_t{query + i} * kLogitStride, constants,
                                 kPageEntries, weights + i * kMostWeights);
      }
      Dot(grid.bits, words, weights, kMostWeights, n, n_lanes, sums);
      words.next = nullptr;  // once is enough
      for (int i = 0; i < n; ++i) {
        AddSums(sums + i * kMostChannels, n_lanes, rounded[i], true,
                acc + int64_t{query + i} * grid.n_channels + first);
      }
    }
  }
}

// Values by channel: a sum for each 32 slots, scaled channel by channel.
void ValuesByChannel(const Grid& grid, const std::byte* plane, const std::byte* next, int n_queries,
                     uint64_t seen, const float* p, float* acc) {
  Constants constants;
  HWY_ALIGN int32_t sums[kQueryTile * kMostChannels];
  HWY_ALIGN int32_t weights[kQueryTile * kMostWeights];
  for (int slot = 0; slot < kPageEntries; slot += kGroupSlots) {
    if ((seen >> slot & 0xffffffffu) == 0) continue;
    ReadConstants(grid, plane, grid.ScaleIndex(0, slot), grid.n_channels, constants);
    Words words = WordsAt(grid, plane, next, slot / kGroupSlots, kGroupSlots, 0);
    for (int query = 0; query < n_queries; query += kQueryTile) {
      const int n = HWY_MIN(kQueryTile, n_queries - query);
      Rounded rounded[kQueryTile];
      for (int i = 0; i < n; ++i) {
        rounded[i] = RoundPlain(grid, p + int64_t{query + i} * kLogitStride + slot, kGroupSlots,
                                weights + i * kMostWeights);
      }
      Dot(grid.bits, words, weights, kMostWeights, n, grid.n_channels, sums);
      words.next = nullptr;  // once is enough
      for (int i = 0; i < n; ++i) {
        AddScaledSums(sums + i * kMostChannels, grid.n_channels, rounded[i], constants.scale,
                      constants.min, grid.has_min, true,
                      acc + int64_t{query + i} * grid.n_channels);
      }
    }
  }
}

void Values(const Grid& grid, const std::byte* plane, const std::byte* next, int n_queries,
            uint64_t seen, const float* p, float* acc) {
  const auto values = grid.by_channel ? ValuesByChannel : ValuesByEntry;
  values(grid, plane, next, n_queries, seen, p, acc);
}

extern const CodeTable kCodes;
const CodeTable kCodes = {RoundQueries, Logits, Values};

}  // namespace kvasir::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
