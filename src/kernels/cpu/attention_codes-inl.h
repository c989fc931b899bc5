// Attention on low-bit planes (attention_codes.h), over the primitives of code_dot-inl.h. Included
// inside a target region and an anonymous namespace.

template <class S>
void RoundQueries(const Grid& grid, const CodedQueries& queries) {
  const int64_t group_weights = CodedQueries::GroupWeights(grid);
  const int n_groups = grid.n_groups();
  for (int query = 0; query < queries.n; query += kQueryTile) {
    const int n_queries = HWY_MIN(kQueryTile, queries.n - query);
    for (int g = 0; g < n_groups; ++g) {
      const int64_t at = int64_t{query} * n_groups + g;
      const int n = HWY_MIN((grid.group + 7) / 8 * 8, grid.padded_channels() - g * grid.group);
      const Rounded r = Round<S, false>(
          grid, queries.rows + query * queries.stride + g * grid.group, queries.stride, n_queries,
          nullptr, nullptr, n, queries.weights + at * group_weights, n_groups * group_weights);
      for (int i = 0; i < n_queries; ++i) {
        float* facts = queries.facts + (at + i * n_groups) * CodedQueries::kFacts;
        facts[0] = r.step[i], facts[1] = r.offset[i], facts[2] = r.total[i];
      }
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
  Rounded rounded[kHalves];
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
      const float* rows = queries.rows + query * queries.stride + RowBegin(grid);
      rounded[half] = Round<S, true>(grid, rows, queries.stride, n_queries, constants[half].scale,
                                     constants[half].min, n_weights, weights[half], kMostWeights);
    }
    for (int half = 0; half < kHalves; ++half) {
      if (!is_seen(half)) continue;
      const int slot = half * kGroupSlots;
      Dot<S>(grid.bits, WordsAt(grid, plane, next, 0, grid.n_channels, slot), weights[half],
             kMostWeights, n_queries, kGroupSlots, sums);
      for (int i = 0; i < n_queries; ++i) {
        AddSums<S>(sums + i * kMostChannels, kGroupSlots, rounded[half].Of(i), add,
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
  Rounded rounded[kBlocksAtOnce];
  for (int begin = 0; begin < grid.n_groups(); begin += kBlocksAtOnce) {
    const int n_blocks = HWY_MIN(kBlocksAtOnce, grid.n_groups() - begin);
    for (int b = 0; b < n_blocks; ++b) {
      ReadConstants<S>(grid, plane, int64_t{begin + b} * kPageEntries, kPageEntries, constants[b]);
      MaskConstants(seen, constants[b]);
    }
    for (int query = 0; query < n_queries; query += kQueryTile) {
      const int n = HWY_MIN(kQueryTile, n_queries - query);
      for (int b = 0; b < n_blocks; ++b) {
        rounded[b] = Round<S, true>(grid, p + int64_t{query} * kLogitStride, kLogitStride, n,
                                    constants[b].scale, constants[b].min, kPageEntries, weights[b],
                                    kWeights);
      }
      for (int b = 0; b < n_blocks; ++b) {
        const int first = (begin + b) * grid.group;
        const int n_lanes = HWY_MIN(grid.group, grid.n_channels - first);
        Dot<S>(grid.bits, WordsAt(grid, plane, query == 0 ? next : nullptr, 0, kPageEntries, first),
               weights[b], kWeights, n, n_lanes, sums);
        for (int i = 0; i < n; ++i) {
          AddSums<S>(sums + i * kMostChannels, n_lanes, rounded[b].Of(i), true,
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
  Rounded rounded[kHalves];
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
      const float* rows = p + int64_t{query} * kLogitStride + half * kGroupSlots;
      rounded[half] = Round<S, false>(grid, rows, kLogitStride, n, nullptr, nullptr, kGroupSlots,
                                      weights[half], kWeights);
    }
    for (int half = 0; half < kHalves; ++half) {
      if (!is_seen(half)) continue;
      Dot<S>(grid.bits, WordsAt(grid, plane, next, half, kGroupSlots, 0), weights[half], kWeights,
             n, grid.n_channels, sums);
      for (int i = 0; i < n; ++i) {
        AddScaledSums<S>(sums + i * kMostChannels, grid.n_channels, rounded[half].Of(i),
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
