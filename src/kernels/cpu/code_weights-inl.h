// Weights as integers, in the layout that a path's products take. Over the primitives of
// code_dot-inl.h. Included inside a target region and an anonymous namespace.

// The largest integer. 127 * 256 + 127, so that its halves are signed bytes.
constexpr float MostInteger(int bits) { return WeightsHave8Bits(bits) ? 127.0f : 32639.0f; }

// Weights that share their scales: x [query][n], rows apart as the others', times scales.
struct Block {
  const float* x;
  const Constants* constants = nullptr;  // null: weights are x itself
  int page = 0, part = 0;                // whose it is, for the caller
};

// Blocks whose weights are rounded together, before their products. Rounding is a chain of
// latencies: a maximum, a division, a sum of integers. Step by step for all blocks, they are
// hidden.
constexpr int kBlocksAtOnce = 8;

// Floats of a row of weights: n, a multiple of 8, filled up with zeros to one of 32.
HWY_INLINE int PaddedWeights(int n) { return (n + 31) / 32 * 32; }

// What rounding leaves between its steps, of blocks and up to four queries.
struct RoundScratch {
  alignas(64) float products[kBlocksAtOnce * kQueryTile * kMostChannels];
  alignas(16) float largest[kBlocksAtOnce][4], inverse[kBlocksAtOnce][4], total[kBlocksAtOnce][4];
  alignas(16) int32_t sum[kBlocksAtOnce][4];
};

// Products of one block; the largest of each query, and totals of x * min or of x. kCount: n, or 0.
template <class S, bool kScaled, int kQueries, int kCount>
HWY_NOINLINE void Multiply(const Block& block, int64_t stride, int count,
                           float* HWY_RESTRICT products, float* largest, float* total) {
  using Wide = typename S::Floats;
  const int n = kCount > 0 ? kCount : count, padded = PaddedWeights(n);
  const float* HWY_RESTRICT x = block.x;
  const float* HWY_RESTRICT scales = kScaled ? block.constants->scale : nullptr;
  const float* HWY_RESTRICT mins = kScaled ? block.constants->min : nullptr;
  typename Wide::V most[kQueries], sums[kQueries];  // sixteen lanes on every path: the same bits
  HWY_UNROLL(3)
  for (int q = 0; q < kQueries; ++q) most[q] = sums[q] = Wide::Set(0.0f);
  int i = 0;
  for (; i + Wide::kLanes <= n; i += Wide::kLanes) {
    HWY_UNROLL(3)
    for (int q = 0; q < kQueries; ++q) {
      typename Wide::V v = Wide::Load(x + q * stride + i);
      if constexpr (kScaled) {
        sums[q] = Wide::Fma(v, Wide::Load(mins + i), sums[q]);
        v = Wide::Mul(v, Wide::Load(scales + i));
      } else {
        sums[q] = Wide::Add(sums[q], v);
      }
      most[q] = Wide::MaxAbs(v, most[q]);
      Wide::Store(v, products + q * padded + i);
    }
  }
  Floats8::V most8[4], sums8[4];
  HWY_UNROLL(4)
  for (int q = 0; q < 4; ++q) {
    most8[q] = sums8[q] = Floats8::Set(0.0f);
    if (q >= kQueries) continue;
    most8[q] = _mm256_max_ps(Wide::Low(most[q]), Wide::High(most[q]));
    sums8[q] = Wide::Low(sums[q]);
    if (i < n) {
      Floats8::V v = Floats8::Load(x + q * stride + i);
      if constexpr (kScaled) {
        sums8[q] = Floats8::Fma(v, Floats8::Load(mins + i), sums8[q]);
        v = Floats8::Mul(v, Floats8::Load(scales + i));
      } else {
        sums8[q] = Floats8::Add(sums8[q], v);
      }
      most8[q] = Floats8::MaxAbs(v, most8[q]);
      Floats8::Store(v, products + q * padded + i);
    }
    sums8[q] = Floats8::Add(sums8[q], Wide::High(sums[q]));
  }
  for (int end = n; end < padded; end += Floats8::kLanes) {
    for (int q = 0; q < kQueries; ++q) {
      Floats8::Store(Floats8::Set(0.0f), products + q * padded + end);
    }
  }
  _mm_store_ps(largest, FoldEach<MaxOp>(most8));
  _mm_store_ps(total, FoldEach<AddOp>(sums8));
}

// Integers of one block, and their sums.
template <class S, bool kBytes, int kQueries, int kCount>
HWY_NOINLINE void Pack(const float* HWY_RESTRICT products, const float* inverse, int count,
                       int32_t* HWY_RESTRICT out, int64_t out_stride, int32_t* sum) {
  const int padded = PaddedWeights(kCount > 0 ? kCount : count);
  __m256 sums[4];
  HWY_UNROLL(4)
  for (int q = 0; q < 4; ++q) {
    sums[q] = _mm256_setzero_ps();
    if (q >= kQueries) continue;
    const float* from = products + q * padded;
    int32_t* const to = out + q * out_stride;
    sums[q] = _mm256_castsi256_ps(kBytes ? S::PackBytes(from, inverse[q], padded, to)
                                         : S::PackWide(from, inverse[q], padded, to));
  }
  _mm_store_ps(reinterpret_cast<float*>(sum), FoldEach<AddIntsOp>(sums));
}

// Weights of blocks as integers: those of block b and query q from
// out + (b * kQueryTile + q) * out_stride on. Sums count codes from the middle of their range:
// where the scales are in the weights, so are the minima, in the offset; else the offset is of what
// the lanes' scales multiply.
template <class S, bool kScaled, int kQueries, int kCount>
void RoundBlocksOf(const Grid& grid, const Block* blocks, int n_blocks, int64_t stride, int count,
                   int32_t* out, int64_t out_stride, Rounded* rounded) {
  RoundScratch scratch;
  const int64_t size = int64_t{PaddedWeights(count)} * kQueries;
  const bool bytes = WeightsHave8Bits(grid.bits);
  for (int b = 0; b < n_blocks; ++b) {
    Multiply<S, kScaled, kQueries, kCount>(blocks[b], stride, count, scratch.products + b * size,
                                           scratch.largest[b], scratch.total[b]);
  }
  // Below 1e-30, and where the division would overflow, nothing is left of a weight.
  const __m128 most_integer = _mm_set1_ps(MostInteger(grid.bits));
  for (int b = 0; b < n_blocks; ++b) {
    const __m128 largest = _mm_load_ps(scratch.largest[b]);
    const __m128 some = _mm_cmp_ps(largest, _mm_set1_ps(1e-30f), _CMP_GT_OQ);
    _mm_store_ps(scratch.inverse[b], _mm_and_ps(some, _mm_div_ps(most_integer, largest)));
    _mm_store_ps(rounded[b].step, _mm_and_ps(some, _mm_div_ps(largest, most_integer)));
  }
  const auto pack = bytes ? Pack<S, true, kQueries, kCount> : Pack<S, false, kQueries, kCount>;
  for (int b = 0; b < n_blocks; ++b) {
    pack(scratch.products + b * size, scratch.inverse[b], count,
         out + int64_t{b} * kQueryTile * out_stride, out_stride, scratch.sum[b]);
  }
  const __m128 middle_code = _mm_set1_ps(MiddleOf(grid)), none = _mm_setzero_ps();
  for (int b = 0; b < n_blocks; ++b) {
    const __m128 sum =
        _mm_cvtepi32_ps(_mm_load_si128(reinterpret_cast<const __m128i*>(scratch.sum[b])));
    const __m128 step = _mm_load_ps(rounded[b].step), total = _mm_load_ps(scratch.total[b]);
    const __m128 middle = _mm_mul_ps(step, _mm_mul_ps(middle_code, sum));
    _mm_store_ps(rounded[b].offset, _mm_sub_ps(kScaled ? total : none, middle));
    _mm_store_ps(rounded[b].total, kScaled ? none : total);
  }
}

template <class S, bool kScaled>
void RoundBlocks(const Grid& grid, const Block* blocks, int n_blocks, int64_t stride, int n_queries,
                 int n, int32_t* out, int64_t out_stride, Rounded* rounded) {
  const auto round =
      n_queries == 3 ? n == 64 ? RoundBlocksOf<S, kScaled, 3, 64> : RoundBlocksOf<S, kScaled, 3, 0>
      : n_queries == 2 ? RoundBlocksOf<S, kScaled, 2, 0>
                       : RoundBlocksOf<S, kScaled, 1, 0>;
  round(grid, blocks, n_blocks, stride, n, out, out_stride, rounded);
}
