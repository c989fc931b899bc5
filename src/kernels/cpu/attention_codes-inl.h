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
      Block block;
      block.x = queries.rows + query * queries.stride + g * grid.group;
      RoundBlocks<S, false>(grid, &block, 1, queries.stride, n_queries, n,
                            queries.weights + (int64_t{query} * n_groups + g) * group_weights,
                            n_groups * group_weights, rounded++);
    }
  }
}

// Where the parts of a plane are that become blocks: one half of the slots, or a group of channels.
struct Part {
  int64_t scales, mins, low, high, next;  // bytes from the plane's begin
  int x, out;                             // floats
  int n_lanes;
  uint64_t slots;  // that it has
};

// The part of a grid with the constants from `constant` on and the words of `n_inner` codes a lane
// from this lane of an inner group on.
inline Part PartOf(const Grid& grid, int constant, int inner_group, int n_inner, int lane,
                   int n_lanes) {
  const int bits = grid.bits == 3 ? 2 : grid.bits;
  const int64_t row = grid.n_lanes(), before = BlocksBefore(grid, inner_group, bits) * row;
  Part part{};
  part.scales = grid.scales + int64_t{constant} * grid.scale_bytes();
  part.mins = grid.mins + int64_t{constant} * grid.scale_bytes();
  part.low = grid.codes + (before + lane) * 4;
  part.high = grid.high_codes + (BlocksBefore(grid, inner_group, 1) * row + lane) * 4;
  part.next = grid.codes + (before + int64_t{lane} * WordsOf(n_inner, bits)) * 4;
  part.n_lanes = n_lanes;
  part.slots = ~uint64_t{0};
  return part;
}

inline SumShape ShapeOf(const Grid& grid, int n_inner) {
  return {.row = grid.n_lanes(),
          .n_words = WordsOf(n_inner, grid.bits == 3 ? 2 : grid.bits),
          .weight_stride = 0,
          .out_stride = 0,
          .add = true,
          .has_min = grid.has_min};
}

inline Block BlockOf(const CodedPages& pages, int page, const Part& part) {
  const std::byte* plane = pages.plane[page];
  Block block;
  block.low = reinterpret_cast<const uint32_t*>(plane + part.low);
  block.high = reinterpret_cast<const uint32_t*>(plane + part.high);
  block.next = reinterpret_cast<const uint32_t*>(pages.next[page] + part.next);
  block.scales = plane + part.scales;
  block.mins = plane + part.mins;
  block.seen = pages.seen[page];
  block.n_lanes = part.n_lanes;
  return block;
}

// The constants of the next plane into the first level; its codes follow while those of this plane
// are multiplied.
inline void PrefetchConstants(const Grid& grid, const std::byte* next) {
  for (int64_t i = grid.scales; i < grid.end; i += 64) __builtin_prefetch(next + i, 0, 3);
}

// Keys by entry: a sum for every group of channels, scaled slot by slot.
template <class S>
void LogitsByEntry(const Grid& grid, const CodedPages& pages, const CodedQueries& queries, bool add,
                   float* logits) {
  const int64_t group_weights = CodedQueries::GroupWeights(grid);
  const int n_groups = grid.n_groups();
  Constants constants[kPagesPerSplit];
  Block blocks[kPagesPerSplit];
  for (int g = 0; g < n_groups; ++g) {
    const int n = HWY_MIN(grid.group, grid.n_channels - g * grid.group);
    const Part part = PartOf(grid, g * kPageEntries, g, n, 0, kPageEntries);
    for (int page = 0; page < pages.n; ++page) {
      if (g == 0) PrefetchConstants(grid, pages.next[page]);
      blocks[page] = BlockOf(pages, page, part);
      blocks[page].constants = &constants[page];
    }
    ReadConstants<S>(grid, blocks, pages.n, kPageEntries);
    SumShape shape = ShapeOf(grid, n);
    shape.weight_stride = n_groups * group_weights;
    shape.out_stride = kLogitStride;
    shape.add = add || g > 0;
    const Rounded* rounded = queries.rounded + g;
    for (int query = 0; query < queries.n; query += kQueryTile, rounded += n_groups) {
      for (int page = 0; page < pages.n; ++page) {
        blocks[page].weights = queries.weights + (int64_t{query} * n_groups + g) * group_weights;
        blocks[page].rounded = rounded;
        blocks[page].out = logits + int64_t{query} * kLogitStride + page * kPageEntries;
      }
      SumBlocks<S, AddScaledTo>(grid.bits, HWY_MIN(kQueryTile, queries.n - query), blocks, pages.n,
                                shape);
    }
  }
}

// Weights that differ from page to page, and so are rounded with each: x [queries][...], rows
// x_stride and pages x_page floats apart, n_weights a part. Sums go to `out`, in the same way.
struct PageWeights {
  const float* x;
  int64_t x_stride;
  int x_page, n_weights;
  int n_queries;
  float* out;
  int out_page;
};

// For all pages and parts of them. kScaled: the constants belong to the weights, else to the lanes.
template <class S, bool kScaled>
void SumParts(const Grid& grid, const CodedPages& pages, const Part* parts, int n_parts,
              const PageWeights& weights, SumShape shape) {
  using Out = std::conditional_t<kScaled, AddTo, AddScaledTo>;
  Constants constants[kBlocksAtOnce];
  Block blocks[kBlocksAtOnce];
  Rounded rounded[kBlocksAtOnce];
  alignas(64) int32_t integers[kBlocksAtOnce * kQueryTile * kMostWeights];
  shape.weight_stride = PaddedWeights(weights.n_weights) / 2;
  int page_of[kBlocksAtOnce];
  const Part* part_of[kBlocksAtOnce];
  for (int at = 0, n_all = pages.n * n_parts; at < n_all;) {
    int n = 0;
    for (; n < kBlocksAtOnce && at < n_all; ++at) {
      const int page = at / n_parts;
      const Part& part = parts[at % n_parts];
      // Those with no slot that is seen are not encoded, perhaps.
      if ((pages.seen[page] & part.slots) == 0) continue;
      if (&part == parts) PrefetchConstants(grid, pages.next[page]);
      page_of[n] = page;
      part_of[n] = &part;
      blocks[n] = BlockOf(pages, page, part);
      blocks[n].constants = &constants[n];
      blocks[n].weights = integers + n * kQueryTile * shape.weight_stride;
      blocks[n].rounded = &rounded[n];
      ++n;
    }
    ReadConstants<S>(grid, blocks, n, kScaled ? weights.n_weights : grid.padded_channels());
    if (kScaled && !grid.keys) MaskConstants(blocks, n);
    for (int query = 0; query < weights.n_queries; query += kQueryTile) {
      const int n_queries = HWY_MIN(kQueryTile, weights.n_queries - query);
      for (int b = 0; b < n; ++b) {
        blocks[b].x =
            weights.x + query * weights.x_stride + page_of[b] * weights.x_page + part_of[b]->x;
        blocks[b].out = weights.out + query * shape.out_stride + page_of[b] * weights.out_page +
                        part_of[b]->out;
      }
      RoundBlocks<S, kScaled>(grid, blocks, n, weights.x_stride, n_queries, weights.n_weights,
                              integers, shape.weight_stride, rounded);
      SumBlocks<S, Out>(grid.bits, n_queries, blocks, n, shape);
    }
  }
}

constexpr int kHalves = kPageEntries / kGroupSlots;
constexpr uint64_t SlotsOf(int half) { return uint64_t{0xffffffff} << half * kGroupSlots; }

// Keys by channel: the scales of 32 slots go into the queries.
template <class S>
void LogitsByChannel(const Grid& grid, const CodedPages& pages, const CodedQueries& queries,
                     bool add, float* logits) {
  Part parts[kHalves];
  for (int half = 0; half < kHalves; ++half) {
    const int slot = half * kGroupSlots;
    parts[half] = PartOf(grid, grid.ScaleIndex(0, slot), 0, grid.n_channels, slot, kGroupSlots);
    parts[half].out = slot;
    parts[half].slots = SlotsOf(half);
  }
  SumShape shape = ShapeOf(grid, grid.n_channels);
  shape.out_stride = kLogitStride;
  shape.add = add;
  SumParts<S, true>(grid, pages, parts, kHalves,
                    {.x = queries.rows + RowBegin(grid),
                     .x_stride = queries.stride,
                     .x_page = 0,
                     .n_weights = grid.padded_channels(),
                     .n_queries = queries.n,
                     .out = logits,
                     .out_page = kPageEntries},
                    shape);
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
  Part parts[kMostChannels];
  for (int g = 0; g < grid.n_groups(); ++g) {
    const int first = g * grid.group, n_lanes = HWY_MIN(grid.group, grid.n_channels - first);
    parts[g] = PartOf(grid, g * kPageEntries, 0, kPageEntries, first, n_lanes);
    parts[g].out = first;
  }
  SumShape shape = ShapeOf(grid, kPageEntries);
  shape.out_stride = grid.n_channels;
  SumParts<S, true>(grid, pages, parts, grid.n_groups(),
                    {.x = p,
                     .x_stride = kLogitStride,
                     .x_page = kPageEntries,
                     .n_weights = kPageEntries,
                     .n_queries = n_queries,
                     .out = acc,
                     .out_page = 0},
                    shape);
}

// Values by channel: a sum for each 32 slots, scaled channel by channel.
template <class S>
void ValuesByChannel(const Grid& grid, const CodedPages& pages, int n_queries, const float* p,
                     float* acc) {
  Part parts[kHalves];
  for (int half = 0; half < kHalves; ++half) {
    const int slot = half * kGroupSlots;
    parts[half] = PartOf(grid, grid.ScaleIndex(0, slot), half, kGroupSlots, 0, grid.n_channels);
    parts[half].x = slot;
    parts[half].slots = SlotsOf(half);
  }
  SumShape shape = ShapeOf(grid, kGroupSlots);
  shape.out_stride = grid.n_channels;
  SumParts<S, false>(grid, pages, parts, kHalves,
                     {.x = p,
                      .x_stride = kLogitStride,
                      .x_page = kPageEntries,
                      .n_weights = kGroupSlots,
                      .n_queries = n_queries,
                      .out = acc,
                      .out_page = 0},
                     shape);
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
