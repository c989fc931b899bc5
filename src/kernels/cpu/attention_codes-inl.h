// Attention on low-bit planes (attention_codes.h), over the primitives of code_dot-inl.h. Included
// inside a target region and an anonymous namespace.

template <class S>
void RoundQueries(const Grid& grid, const CodedQueries& queries) {
  const int64_t group_weights = CodedQueries::GroupWeights(grid);
  const int n_groups = grid.n_groups();
  Shape shape = ShapeOf(grid, grid.group);
  shape.x_stride = queries.stride;
  shape.weight_stride = n_groups * group_weights;
  Rounded* rounded = queries.rounded;
  for (int query = 0; query < queries.n; query += kQueryTile) {
    for (int g = 0; g < n_groups; ++g) {
      shape.n_weights = HWY_MIN((grid.group + 7) / 8 * 8, grid.padded_channels() - g * grid.group);
      Block block{};
      block.x = queries.rows + query * queries.stride + g * grid.group;
      RoundBlocks<S, Scales::kNone>(
          grid.bits, HWY_MIN(kQueryTile, queries.n - query), &block, 1, shape,
          queries.weights + (int64_t{query} * n_groups + g) * group_weights, rounded++);
    }
  }
}

// Keys by entry: a sum for every group of channels, scaled slot by slot.
template <class S>
void LogitsByEntry(const Grid& grid, const CodedPages& pages, const CodedQueries& queries, bool add,
                   float* logits) {
  const int64_t group_weights = CodedQueries::GroupWeights(grid);
  const int n_groups = grid.n_groups();
  const auto sum = grid.f32 ? SumBlocks<S, AddScaledTo<true>> : SumBlocks<S, AddScaledTo<false>>;
  constexpr int kPagesAtOnce = 4;  // the first level holds them until their last group
  Block blocks[kPagesAtOnce];
  Rounded rounded[kPagesAtOnce];
  for (int begin = 0; begin < pages.n;
       begin += kPagesAtOnce, logits += kPagesAtOnce * kPageEntries) {
    const int n_pages = HWY_MIN(kPagesAtOnce, pages.n - begin);
    for (int g = 0; g < n_groups; ++g) {
      const int n = HWY_MIN(grid.group, grid.n_channels - g * grid.group);
      const Part part = PartOf(grid, g * kPageEntries, g, n, 0);
      for (int i = 0; i < n_pages; ++i) {
        blocks[i] = BlockOf(pages.plane[begin + i], pages.next[begin + i], part, nullptr,
                            logits + i * kPageEntries);
      }
      Shape shape = ShapeOf(grid, n);
      shape.n_lanes = kPageEntries;
      shape.weight_stride = n_groups * group_weights;
      shape.out_stride = kLogitStride;
      shape.add = add || g > 0;
      for (int query = 0; query < queries.n; query += kQueryTile) {
        std::fill_n(rounded, n_pages, queries.rounded[query / kQueryTile * n_groups + g]);
        sum(grid.bits, HWY_MIN(kQueryTile, queries.n - query), blocks, n_pages,
            queries.weights + (int64_t{query} * n_groups + g) * group_weights, rounded, shape);
        for (int i = 0; i < n_pages; ++i) blocks[i].out += kQueryTile * kLogitStride;
      }
    }
  }
}

// Blocks whose weights are rounded, for each page anew, and multiplied with their codes. kScales:
// of the weights; or else of the lanes.
template <class S, Scales kScales, class Out>
void SumRounded(const Grid& grid, int n_queries, Block* blocks, int n_blocks, const Shape& shape) {
  Rounded rounded[kBlocksAtOnce];
  alignas(64) int32_t weights[kBlocksAtOnce * kQueryTile * kMostWeights];
  for (int query = 0; query < n_queries; query += kQueryTile) {
    const int n = HWY_MIN(kQueryTile, n_queries - query);
    RoundBlocks<S, kScales>(grid.bits, n, blocks, n_blocks, shape, weights, rounded);
    SumBlocks<S, Out>(grid.bits, n, blocks, n_blocks, weights, rounded, shape);
    if (query + kQueryTile >= n_queries) break;
    for (int b = 0; b < n_blocks; ++b) {
      blocks[b].x += kQueryTile * shape.x_stride;
      blocks[b].out += kQueryTile * shape.out_stride;
    }
  }
}

// All parts of pages, some blocks at a time. kScaled: the constants belong to what is summed over,
// and so to the weights; else to the lanes. x and out: of the first page, the others' so many
// floats apart.
template <class S, bool kScaled>
void SumParts(const Grid& grid, const CodedPages& pages, const Part* parts, int n_parts,
              int n_queries, const float* x, int x_page, float* out, int out_page, Shape& shape) {
  const auto sum = !kScaled   ? grid.f32 ? SumRounded<S, Scales::kNone, AddScaledTo<true>>
                                         : SumRounded<S, Scales::kNone, AddScaledTo<false>>
                     : grid.f32 ? SumRounded<S, Scales::kF32, AddTo>
                              : SumRounded<S, Scales::kF16, AddTo>;
  Block blocks[kBlocksAtOnce];
  Masked masked[kBlocksAtOnce];
  shape.weight_stride = PaddedWeights(shape.n_weights) / 2;
  shape.block_stride = kQueryTile * shape.weight_stride;
  int n = 0;
  for (int page = 0; page < pages.n; ++page, x += x_page, out += out_page) {
    const uint64_t seen = pages.seen[page];
    for (int part = 0; part < n_parts; ++part) {
      // Those with no slot that is seen are not encoded, perhaps.
      if ((seen & parts[part].slots) == 0) continue;
      blocks[n] = BlockOf(pages.plane[page], pages.next[page], parts[part], x, out);
      if (kScaled && !grid.keys && seen != ~uint64_t{0}) Mask(grid, seen, blocks[n], masked[n]);
      if (++n < kBlocksAtOnce) continue;
      sum(grid, n_queries, blocks, n, shape);
      n = 0;
    }
  }
  if (n > 0) sum(grid, n_queries, blocks, n, shape);
}

// The slots of a page that share scales: a part each.
constexpr int kMostSlotGroups = kPageEntries / kGroupSlots;
constexpr uint64_t SlotsOf(int first, int n) { return ~uint64_t{0} >> (kPageEntries - n) << first; }

// Keys by channel: the scales of a group of slots go into the queries.
template <class S>
void LogitsByChannel(const Grid& grid, const CodedPages& pages, const CodedQueries& queries,
                     bool add, float* logits) {
  Part parts[kMostSlotGroups];
  for (int g = 0; g < grid.n_groups(); ++g) {
    const int slot = g * grid.group;
    parts[g] = PartOf(grid, grid.ScaleIndex(0, slot), 0, grid.n_channels, slot);
    parts[g].out = slot;
    parts[g].slots = SlotsOf(slot, grid.group);
  }
  Shape shape = ShapeOf(grid, grid.n_channels);
  shape.n_lanes = grid.group;
  shape.x_stride = queries.stride;
  shape.n_weights = grid.padded_channels();
  shape.out_stride = kLogitStride;
  shape.add = add;
  SumParts<S, true>(grid, pages, parts, grid.n_groups(), queries.n, queries.rows + RowBegin(grid),
                    0, logits, kPageEntries, shape);
}

template <class S>
void Logits(const Grid& grid, const CodedPages& pages, const CodedQueries& queries, bool add,
            float* logits) {
  const auto of = grid.by_channel ? LogitsByChannel<S> : LogitsByEntry<S>;
  of(grid, pages, queries, add, logits);
}

// Values by entry: for every group of channels the scales go into the probabilities. Groups of as
// many channels together: the last one may have fewer.
template <class S>
void ValuesByEntry(const Grid& grid, const CodedPages& pages, int n_queries, const float* p,
                   float* acc) {
  Part parts[kMostChannels];
  const int n_groups = grid.n_groups(), n_whole = grid.n_channels / grid.group;
  for (int g = 0; g < n_groups; ++g) {
    parts[g] = PartOf(grid, g * kPageEntries, 0, kPageEntries, g * grid.group);
    parts[g].out = g * grid.group;
  }
  Shape shape = ShapeOf(grid, kPageEntries);
  shape.x_stride = kLogitStride;
  shape.n_weights = kPageEntries;
  shape.out_stride = grid.n_channels;
  const auto sum = [&](int begin, int end, int n_lanes) {
    shape.n_lanes = n_lanes;
    SumParts<S, true>(grid, pages, parts + begin, end - begin, n_queries, p, kPageEntries, acc, 0,
                      shape);
  };
  if (n_whole > 0) sum(0, n_whole, grid.group);
  if (n_whole < n_groups) sum(n_whole, n_groups, grid.n_channels % grid.group);
}

// Values by channel: a sum for each group of slots, scaled channel by channel.
template <class S>
void ValuesByChannel(const Grid& grid, const CodedPages& pages, int n_queries, const float* p,
                     float* acc) {
  Part parts[kMostSlotGroups];
  for (int g = 0; g < grid.n_groups(); ++g) {
    const int slot = g * grid.group;
    parts[g] = PartOf(grid, grid.ScaleIndex(0, slot), g, grid.group, 0);
    parts[g].x = slot;
    parts[g].slots = SlotsOf(slot, grid.group);
  }
  Shape shape = ShapeOf(grid, grid.group);
  shape.n_lanes = grid.n_channels;
  shape.x_stride = kLogitStride;
  shape.n_weights = grid.group;
  shape.out_stride = grid.n_channels;
  SumParts<S, false>(grid, pages, parts, grid.n_groups(), n_queries, p, kPageEntries, acc, 0,
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
