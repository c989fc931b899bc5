// Attention on low-bit planes (attention_codes.h), over the primitives of code_dot-inl.h. Included
// inside a target region and an anonymous namespace.

template <class S>
void RoundQueries(const Grid& grid, const CodedQueries& queries) {
  const int64_t group_weights = CodedQueries::GroupWeights(grid);
  const int n_groups = grid.n_groups();
  Rounded* rounded = queries.rounded;
  for (int query = 0; query < queries.n; query += kQueryTile) {
    const int n_queries = HWY_MIN(kQueryTile, queries.n - query);
    for (int g = 0; g < n_groups; ++g) {
      const int n = HWY_MIN((grid.group + 7) / 8 * 8, grid.padded_channels() - g * grid.group);
      const Block block = {queries.rows + query * queries.stride + g * grid.group};
      RoundBlocks<S, false>(grid, &block, 1, queries.stride, n_queries, n,
                            queries.weights + (int64_t{query} * n_groups + g) * group_weights,
                            n_groups * group_weights, rounded++);
    }
  }
}

// Keys by entry: a sum for every group of channels, scaled slot by slot.
template <class S>
void LogitsByEntry(const Grid& grid, const CodedPages& pages, const CodedQueries& queries, bool add,
                   float* logits) {
  const int64_t group_weights = CodedQueries::GroupWeights(grid);
  const int n_groups = grid.n_groups();
  Constants constants;
  for (int page = 0; page < pages.n; ++page, logits += kPageEntries) {
    PrefetchConstants(grid, pages.next[page]);
    for (int g = 0; g < n_groups; ++g) {
      const int n = HWY_MIN(grid.group, grid.n_channels - g * grid.group);
      ReadConstants<S>(grid, pages.plane[page], int64_t{g} * kPageEntries, kPageEntries, constants);
      Words words = WordsAt(grid, pages.plane[page], pages.next[page], g, n, 0);
      const Rounded* rounded = queries.rounded + g;
      for (int query = 0; query < queries.n; query += kQueryTile, rounded += n_groups) {
        const auto sums = SumsOf<S, AddScaledTo>(grid.bits, queries.n - query);
        sums(words, queries.weights + (int64_t{query} * n_groups + g) * group_weights,
             n_groups * group_weights, kPageEntries,
             {*rounded, logits + int64_t{query} * kLogitStride, kLogitStride, add || g > 0,
              constants, grid.has_min});
        words.next = nullptr;  // once is enough
      }
    }
  }
}

// The blocks of pages, `parts` a page, from `at` on, some at a time: with their constants, and only
// those that have a slot that is seen (others are not encoded, perhaps). halves: a part is one half
// of a page's slots. Returns how many.
template <class ReadPart>
int NextBlocks(const CodedPages& pages, int parts, bool halves, int& at, Block* blocks,
               Constants* constants, const ReadPart& read) {
  int n = 0;
  for (; n < kBlocksAtOnce && at < pages.n * parts; ++at) {
    const int page = at / parts, part = at % parts;
    if (halves && (pages.seen[page] >> part * kGroupSlots & 0xffffffffu) == 0) continue;
    read(page, part, constants[n]);
    blocks[n] = {.x = nullptr, .constants = &constants[n], .page = page, .part = part};
    ++n;
  }
  return n;
}

// Keys by channel: the scales of 32 slots go into the queries.
template <class S>
void LogitsByChannel(const Grid& grid, const CodedPages& pages, const CodedQueries& queries,
                     bool add, float* logits) {
  constexpr int kHalves = kPageEntries / kGroupSlots;
  Constants constants[kBlocksAtOnce];
  Block blocks[kBlocksAtOnce];
  Rounded rounded[kBlocksAtOnce];
  alignas(64) int32_t weights[kBlocksAtOnce * kQueryTile * kMostWeights];
  const int n_weights = grid.padded_channels(), stride = PaddedWeights(n_weights) / 2;
  const auto read = [&](int page, int half, Constants& to) {
    ReadConstants<S>(grid, pages.plane[page], grid.ScaleIndex(0, half * kGroupSlots), n_weights,
                     to);
  };
  for (int at = 0; at < pages.n * kHalves;) {
    const int n_blocks = NextBlocks(pages, kHalves, true, at, blocks, constants, read);
    for (int query = 0; query < queries.n; query += kQueryTile) {
      const int n_queries = HWY_MIN(kQueryTile, queries.n - query);
      const float* rows = queries.rows + query * queries.stride + RowBegin(grid);
      for (int b = 0; b < n_blocks; ++b) blocks[b].x = rows;
      RoundBlocks<S, true>(grid, blocks, n_blocks, queries.stride, n_queries, n_weights, weights,
                           stride, rounded);
      const auto sums = SumsOf<S, AddTo>(grid.bits, n_queries);
      float* to = logits + int64_t{query} * kLogitStride;
      for (int b = 0; b < n_blocks; ++b) {
        const int page = blocks[b].page, slot = blocks[b].part * kGroupSlots;
        const std::byte* next = query == 0 ? pages.next[page] : nullptr;
        if (blocks[b].part == 0) PrefetchConstants(grid, next);
        sums(WordsAt(grid, pages.plane[page], next, 0, grid.n_channels, slot),
             weights + b * kQueryTile * stride, stride, kGroupSlots,
             {rounded[b], to + page * kPageEntries + slot, kLogitStride, add});
      }
    }
  }
}

template <class S>
void Logits(const Grid& grid, const CodedPages& pages, const CodedQueries& queries, bool add,
            float* logits) {
  const auto of = grid.by_channel ? LogitsByChannel<S> : LogitsByEntry<S>;
  of(grid, pages, queries, add, logits);
}

// Values by entry: for every group of channels the scales go into the probabilities.
template <class S>
void ValuesByEntry(const Grid& grid, const CodedPages& pages, int n_queries, const float* p,
                   float* acc) {
  constexpr int kStride = kPageEntries / 2;  // words of 64 weights
  Constants constants[kBlocksAtOnce];
  Block blocks[kBlocksAtOnce];
  Rounded rounded[kBlocksAtOnce];
  alignas(64) int32_t weights[kBlocksAtOnce * kQueryTile * kStride];
  const int n_groups = grid.n_groups();
  const auto read = [&](int page, int group, Constants& to) {
    ReadConstants<S>(grid, pages.plane[page], int64_t{group} * kPageEntries, kPageEntries, to);
    MaskConstants(pages.seen[page], to);
  };
  for (int at = 0; at < pages.n * n_groups;) {
    const int n_blocks = NextBlocks(pages, n_groups, false, at, blocks, constants, read);
    for (int query = 0; query < n_queries; query += kQueryTile) {
      const int n = HWY_MIN(kQueryTile, n_queries - query);
      for (int b = 0; b < n_blocks; ++b) {
        blocks[b].x = p + int64_t{query} * kLogitStride + blocks[b].page * kPageEntries;
      }
      RoundBlocks<S, true>(grid, blocks, n_blocks, kLogitStride, n, kPageEntries, weights, kStride,
                           rounded);
      const auto sums = SumsOf<S, AddTo>(grid.bits, n);
      float* to = acc + int64_t{query} * grid.n_channels;
      for (int b = 0; b < n_blocks; ++b) {
        const int page = blocks[b].page, first = blocks[b].part * grid.group;
        const int n_lanes = HWY_MIN(grid.group, grid.n_channels - first);
        const std::byte* next = query == 0 ? pages.next[page] : nullptr;
        if (first == 0) PrefetchConstants(grid, next);
        sums(WordsAt(grid, pages.plane[page], next, 0, kPageEntries, first),
             weights + b * kQueryTile * kStride, kStride, n_lanes,
             {rounded[b], to + first, grid.n_channels, true});
      }
    }
  }
}

// Values by channel: a sum for each 32 slots, scaled channel by channel.
template <class S>
void ValuesByChannel(const Grid& grid, const CodedPages& pages, int n_queries, const float* p,
                     float* acc) {
  constexpr int kHalves = kPageEntries / kGroupSlots, kStride = kGroupSlots / 2;
  Constants constants[kBlocksAtOnce];
  Block blocks[kBlocksAtOnce];
  Rounded rounded[kBlocksAtOnce];
  alignas(64) int32_t weights[kBlocksAtOnce * kQueryTile * kStride];
  const auto read = [&](int page, int half, Constants& to) {
    ReadConstants<S>(grid, pages.plane[page], grid.ScaleIndex(0, half * kGroupSlots),
                     grid.n_channels, to);
  };
  for (int at = 0; at < pages.n * kHalves;) {
    const int n_blocks = NextBlocks(pages, kHalves, true, at, blocks, constants, read);
    for (int query = 0; query < n_queries; query += kQueryTile) {
      const int n = HWY_MIN(kQueryTile, n_queries - query);
      for (int b = 0; b < n_blocks; ++b) {
        blocks[b].x = p + int64_t{query} * kLogitStride + blocks[b].page * kPageEntries +
                      blocks[b].part * kGroupSlots;
      }
      RoundBlocks<S, false>(grid, blocks, n_blocks, kLogitStride, n, kGroupSlots, weights, kStride,
                            rounded);
      const auto sums = SumsOf<S, AddScaledTo>(grid.bits, n);
      float* to = acc + int64_t{query} * grid.n_channels;
      for (int b = 0; b < n_blocks; ++b) {
        const int page = blocks[b].page, half = blocks[b].part;
        const std::byte* next = query == 0 ? pages.next[page] : nullptr;
        if (half == 0) PrefetchConstants(grid, next);
        sums(WordsAt(grid, pages.plane[page], next, half, kGroupSlots, 0),
             weights + b * kQueryTile * kStride, kStride, grid.n_channels,
             {rounded[b], to, grid.n_channels, true, *blocks[b].constants, grid.has_min});
      }
    }
  }
}

template <class S>
void Values(const Grid& grid, const CodedPages& pages, int n_queries, const float* p, float* acc) {
  const auto of = grid.by_channel ? ValuesByChannel<S> : ValuesByEntry<S>;
  of(grid, pages, n_queries, p, acc);
}

template <class S>
constexpr CodeTable TableOf() {
  return {RoundQueries<S>, Logits<S>, Values<S>};
}
