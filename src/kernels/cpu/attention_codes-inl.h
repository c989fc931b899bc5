// Attention on low-bit planes (attention_codes.h), over the primitives of code_dot-inl.h. Included
// inside a target region and an anonymous namespace.

// Half of the codes' range: what they are counted from.
HWY_INLINE float MiddleOf(const Grid& grid) {
  return grid.has_min ? static_cast<float>((1 << grid.bits) - 1) / 2 : grid.zero;
}

// Scales and minima of some lanes or weights as floats; the minima moved to the middle code.
struct Constants {
  alignas(64) float scale[kMostChannels];
  alignas(64) float min[kMostChannels];
};

template <class L>
HWY_INLINE typename L::V LoadConstants(const Grid& grid, const std::byte* array, int64_t index) {
  if (grid.f32) return L::Load(reinterpret_cast<const float*>(array) + index);
  return L::LoadF16(reinterpret_cast<const uint16_t*>(array) + index);
}

// From element `index` of the arrays on; n is a multiple of 8. Minima are zeros where there are
// none.
template <class S>
void ReadConstants(const Grid& grid, const std::byte* plane, int64_t index, int n, Constants& to) {
  const float middle = MiddleOf(grid);
  OverLanes<S>(n, [&]<class L>(L, int i) {
    const auto scale =
        L::Mul(LoadConstants<L>(grid, plane + grid.scales, index + i), L::Set(grid.factor));
    auto min = L::Set(0.0f);
    if (grid.has_min) {
      min = L::Fma(L::Set(middle), scale, LoadConstants<L>(grid, plane + grid.mins, index + i));
    }
    L::Store(scale, to.scale + i);
    L::Store(min, to.min + i);
  });
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

// out = step * sum + (out + offset)
template <class S>
HWY_INLINE void AddSums(const int32_t* sums, int n, const Rounded& r, bool add, float* out) {
  OverLanes<S>(n, [&]<class L>(L, int i) {
    const auto offset = L::Set(r.offset);
    const auto before = add ? L::Add(L::Load(out + i), offset) : offset;
    L::Store(L::Fma(L::Set(r.step), L::LoadInts(sums + i), before), out + i);
  });
}

// out = total * min + (scale * (step * sum + offset) + out), min and scale being the lane's.
template <class S>
HWY_INLINE void AddScaledSums(const int32_t* sums, int n, const Rounded& r,
                              const Constants& constants, bool has_min, bool add, float* out) {
  OverLanes<S>(n, [&]<class L>(L, int i) {
    const auto before = add ? L::Load(out + i) : L::Set(0.0f);
    const auto product = L::Fma(L::Set(r.step), L::LoadInts(sums + i), L::Set(r.offset));
    auto x = L::Fma(L::Load(constants.scale + i), product, before);
    if (has_min) x = L::Fma(L::Set(r.total), L::Load(constants.min + i), x);
    L::Store(x, out + i);
  });
}

// Weights that carry no scales: the sums are of what the lanes' scales multiply.
template <class S>
HWY_INLINE Rounded RoundPlain(const Grid& grid, const float* x, int n, int32_t* weights) {
  const RoundedWeights r = RoundWeights<S, false>(grid.bits, x, nullptr, nullptr, n, weights);
  return {r.step, -r.step * (MiddleOf(grid) * static_cast<float>(r.sum)), r.total};
}

// Weights times scales; what minima and the middle code add is in the offset.
template <class S>
HWY_INLINE Rounded RoundScaled(const Grid& grid, const float* x, const Constants& constants, int n,
                               int32_t* weights) {
  const RoundedWeights r =
      RoundWeights<S, true>(grid.bits, x, constants.scale, constants.min, n, weights);
  return {r.step, r.total - r.step * (MiddleOf(grid) * static_cast<float>(r.sum)), 0.0f};
}

template <class S>
void RoundQueries(const Grid& grid, const CodedQueries& queries) {
  const int64_t group_weights = CodedQueries::GroupWeights(grid);
  const int n_groups = grid.n_groups();
  for (int query = 0; query < queries.n; ++query) {
    const float* row = queries.rows + query * queries.stride;
    for (int g = 0; g < n_groups; ++g) {
      const int64_t at = int64_t{query} * n_groups + g;
      const int n = HWY_MIN((grid.group + 7) / 8 * 8, grid.padded_channels() - g * grid.group);
      const Rounded r =
          RoundPlain<S>(grid, row + g * grid.group, n, queries.weights + at * group_weights);
      float* facts = queries.facts + at * CodedQueries::kFacts;
      facts[0] = r.step, facts[1] = r.offset, facts[2] = r.total;
    }
  }
}

// Keys by entry: a sum for every group of channels, scaled slot by slot.
template <class S>
void LogitsByEntry(const Grid& grid, const std::byte* plane, const std::byte* next,
                   const CodedQueries& queries, bool add, float* logits) {
  const int64_t group_weights = CodedQueries::GroupWeights(grid);
  const int n_groups = grid.n_groups();
  Constants constants;
  alignas(64) int32_t sums[kQueryTile * kMostChannels];
  for (int g = 0; g < n_groups; ++g) {
    const int n = HWY_MIN(grid.group, grid.n_channels - g * grid.group);
    ReadConstants<S>(grid, plane, int64_t{g} * kPageEntries, kPageEntries, constants);
    Words words = WordsAt(grid, plane, next, g, n, 0);
    for (int query = 0; query < queries.n; query += kQueryTile) {
      const int n_queries = HWY_MIN(kQueryTile, queries.n - query);
      const int64_t at = int64_t{query} * n_groups + g;
      Dot<S>(grid.bits, words, queries.weights + at * group_weights, n_groups * group_weights,
             n_queries, kPageEntries, sums);
      words.next = nullptr;  // once is enough
      for (int i = 0; i < n_queries; ++i) {
        const float* facts = queries.facts + (at + i * n_groups) * CodedQueries::kFacts;
        AddScaledSums<S>(sums + i * kMostChannels, kPageEntries, {facts[0], facts[1], facts[2]},
                         constants, grid.has_min, add || g > 0,
                         logits + int64_t{query + i} * kLogitStride);
      }
    }
  }
}

// Blocks of one plane whose weights are rounded together, before their products: rounding is a
// chain of latencies, and so are several at once.
constexpr int kBlocksAtOnce = 4;
static_assert(kPageEntries / kGroupSlots <= kBlocksAtOnce);

// Keys by channel: the scales of 32 slots go into the queries.
template <class S>
void LogitsByChannel(const Grid& grid, const std::byte* plane, const std::byte* next,
                     const CodedQueries& queries, uint64_t seen, bool add, float* logits) {
  constexpr int kHalves = kPageEntries / kGroupSlots;
  Constants constants[kHalves];
  alignas(64) int32_t sums[kQueryTile * kMostChannels];
  alignas(64) int32_t weights[kHalves][kQueryTile * kMostWeights];
  Rounded rounded[kHalves][kQueryTile];
  const int n_weights = grid.padded_channels();
  // Those with no slot that is seen are not encoded, perhaps.
  const auto is_seen = [&](int half) { return (seen >> half * kGroupSlots & 0xffffffffu) != 0; };
  for (int half = 0; half < kHalves; ++half) {
    if (!is_seen(half)) continue;
    ReadConstants<S>(grid, plane, grid.ScaleIndex(0, half * kGroupSlots), n_weights,
                     constants[half]);
  }
  for (int query = 0; query < queries.n; query += kQueryTile) {
    const int n_queries = HWY_MIN(kQueryTile, queries.n - query);
    for (int half = 0; half < kHalves; ++half) {
      if (!is_seen(half)) continue;
      for (int i = 0; i < n_queries; ++i) {
        const float* row = queries.rows + (query + i) * queries.stride + RowBegin(grid);
        rounded[half][i] =
            RoundScaled<S>(grid, row, constants[half], n_weights, weights[half] + i * kMostWeights);
      }
    }
    for (int half = 0; half < kHalves; ++half) {
      if (!is_seen(half)) continue;
      const int slot = half * kGroupSlots;
      Dot<S>(grid.bits, WordsAt(grid, plane, next, 0, grid.n_channels, slot), weights[half],
             kMostWeights, n_queries, kGroupSlots, sums);
      for (int i = 0; i < n_queries; ++i) {
        AddSums<S>(sums + i * kMostChannels, kGroupSlots, rounded[half][i], add,
                   logits + int64_t{query + i} * kLogitStride + slot);
      }
    }
    next = nullptr;  // once is enough
  }
}

template <class S>
void Logits(const Grid& grid, const std::byte* plane, const std::byte* next,
            const CodedQueries& queries, uint64_t seen, bool add, float* logits) {
  if (grid.by_channel) return LogitsByChannel<S>(grid, plane, next, queries, seen, add, logits);
  LogitsByEntry<S>(grid, plane, next, queries, add, logits);
}

// Values by entry: for every group of channels the scales go into the probabilities.
template <class S>
void ValuesByEntry(const Grid& grid, const std::byte* plane, const std::byte* next, int n_queries,
                   uint64_t seen, const float* p, float* acc) {
  constexpr int kWeights = kPageEntries / 2;  // words
  Constants constants[kBlocksAtOnce];
  alignas(64) int32_t sums[kQueryTile * kMostChannels];
  alignas(64) int32_t weights[kBlocksAtOnce][kQueryTile * kWeights];
  Rounded rounded[kBlocksAtOnce][kQueryTile];
  for (int begin = 0; begin < grid.n_groups(); begin += kBlocksAtOnce) {
    const int n_blocks = HWY_MIN(kBlocksAtOnce, grid.n_groups() - begin);
    for (int b = 0; b < n_blocks; ++b) {
      ReadConstants<S>(grid, plane, int64_t{begin + b} * kPageEntries, kPageEntries, constants[b]);
      MaskConstants(seen, constants[b]);
    }
    for (int query = 0; query < n_queries; query += kQueryTile) {
      const int n = HWY_MIN(kQueryTile, n_queries - query);
      for (int b = 0; b < n_blocks; ++b) {
        for (int i = 0; i < n; ++i) {
          rounded[b][i] = RoundScaled<S>(grid, p + int64_t{query + i} * kLogitStride, constants[b],
                                         kPageEntries, weights[b] + i * kWeights);
        }
      }
      for (int b = 0; b < n_blocks; ++b) {
        const int first = (begin + b) * grid.group;
        const int n_lanes = HWY_MIN(grid.group, grid.n_channels - first);
        Dot<S>(grid.bits, WordsAt(grid, plane, query == 0 ? next : nullptr, 0, kPageEntries, first),
               weights[b], kWeights, n, n_lanes, sums);
        for (int i = 0; i < n; ++i) {
          AddSums<S>(sums + i * kMostChannels, n_lanes, rounded[b][i], true,
                     acc + int64_t{query + i} * grid.n_channels + first);
        }
      }
    }
  }
}

// Values by channel: a sum for each 32 slots, scaled channel by channel.
template <class S>
void ValuesByChannel(const Grid& grid, const std::byte* plane, const std::byte* next, int n_queries,
                     uint64_t seen, const float* p, float* acc) {
  constexpr int kHalves = kPageEntries / kGroupSlots, kWeights = kGroupSlots / 2;
  Constants constants[kHalves];
  alignas(64) int32_t sums[kQueryTile * kMostChannels];
  alignas(64) int32_t weights[kHalves][kQueryTile * kWeights];
  Rounded rounded[kHalves][kQueryTile];
  const auto is_seen = [&](int half) { return (seen >> half * kGroupSlots & 0xffffffffu) != 0; };
  for (int half = 0; half < kHalves; ++half) {
    if (!is_seen(half)) continue;
    ReadConstants<S>(grid, plane, grid.ScaleIndex(0, half * kGroupSlots), grid.n_channels,
                     constants[half]);
  }
  for (int query = 0; query < n_queries; query += kQueryTile) {
    const int n = HWY_MIN(kQueryTile, n_queries - query);
    for (int half = 0; half < kHalves; ++half) {
      if (!is_seen(half)) continue;
      for (int i = 0; i < n; ++i) {
        const float* row = p + int64_t{query + i} * kLogitStride + half * kGroupSlots;
        rounded[half][i] = RoundPlain<S>(grid, row, kGroupSlots, weights[half] + i * kWeights);
      }
    }
    for (int half = 0; half < kHalves; ++half) {
      if (!is_seen(half)) continue;
      Dot<S>(grid.bits, WordsAt(grid, plane, next, half, kGroupSlots, 0), weights[half], kWeights,
             n, grid.n_channels, sums);
      for (int i = 0; i < n; ++i) {
        AddScaledSums<S>(sums + i * kMostChannels, grid.n_channels, rounded[half][i],
                         constants[half], grid.has_min, true,
                         acc + int64_t{query + i} * grid.n_channels);
      }
    }
    next = nullptr;  // once is enough
  }
}

template <class S>
void Values(const Grid& grid, const std::byte* plane, const std::byte* next, int n_queries,
            uint64_t seen, const float* p, float* acc) {
  const auto values = grid.by_channel ? ValuesByChannel<S> : ValuesByEntry<S>;
  values(grid, plane, next, n_queries, seen, p, acc);
}

template <class S>
constexpr CodeTable TableOf() {
  return {RoundQueries<S>, Logits<S>, Values<S>};
}
