// Weights as integers, in the layout that a path's products take. Over the primitives of
// code_dot-inl.h. Included inside a target region and an anonymous namespace.

// The largest integer. 127 * 256 + 127, so that its halves are signed bytes.
constexpr float MostInteger(bool bytes) { return bytes ? 127.0f : 32639.0f; }

// Blocks whose weights are rounded together, before their products. Rounding is a chain of
// latencies: a maximum, a division, a sum of integers. Step by step for all blocks, they are
// hidden.
constexpr int kBlocksAtOnce = 8;

// Floats of a row of weights: n, a multiple of 8, filled up with zeros to one of 32.
HWY_INLINE constexpr int PaddedWeights(int n) { return (n + 31) / 32 * 32; }

// What rounding leaves between its steps, of blocks and up to four queries.
struct RoundScratch {
  alignas(64) float products[kBlocksAtOnce * kQueryTile * kMostChannels];
  alignas(64) float largest[kBlocksAtOnce * 4], inverse[kBlocksAtOnce * 4];
  alignas(64) float total[kBlocksAtOnce * 4];
  alignas(64) int32_t sum[kBlocksAtOnce * 4];
};

enum class Scales : uint8_t { kNone, kF16, kF32 };  // that weights are multiplied with

// Products of sixteen weights from the i-th on; L: of eight that are left over, perhaps.
template <class L, Scales kScales, int kQueries>
HWY_INLINE void MultiplyAt(const Block& block, const Shape& shape, int i, float* products,
                           int padded, typename L::V (&most)[kQueries],
                           typename L::V (&sums)[kQueries]) {
  using C = Constants<L, kScales == Scales::kF32>;
  C c{};
  if constexpr (kScales != Scales::kNone) c = C::At(block, shape, i);
  HWY_UNROLL(3)
  for (int q = 0; q < kQueries; ++q) {
    typename L::V v = L::Load(block.x + q * shape.x_stride + i);
    if constexpr (kScales != Scales::kNone) {
      sums[q] = L::Fma(v, c.min, sums[q]);
      v = L::Mul(v, c.scale);
    } else {
      sums[q] = L::Add(sums[q], v);
    }
    most[q] = L::MaxAbs(v, most[q]);
    L::Store(v, products + q * padded + i);
  }
}

// Products of blocks; the largest of each query, and totals of x * min or of x. kCount: of weights,
// or 0.
template <class S, Scales kScales, int kQueries, int kCount>
HWY_NOINLINE void Multiply(const Block* blocks, int n_blocks, const Shape& shape_of,
                           RoundScratch& scratch) {
  using Wide = typename S::Floats;
  const Shape shape = shape_of;  // where no store can change it
  const int n = kCount > 0 ? kCount : shape.n_weights, padded = PaddedWeights(n);
  float* products = scratch.products;
  for (int b = 0; b < n_blocks; ++b, products += kQueries * padded) {
    const Block block = blocks[b];
    typename Wide::V most[kQueries], sums[kQueries];  // sixteen lanes on every path: the same bits
    HWY_UNROLL(3)
    for (int q = 0; q < kQueries; ++q) most[q] = sums[q] = Wide::Set(0.0f);
    int i = 0;
    HWY_UNROLL(4)
    for (; i + Wide::kLanes <= n; i += Wide::kLanes) {
      if constexpr (kScales != Scales::kNone) __builtin_prefetch(block.next_scales + i * 4, 0, 2);
      MultiplyAt<Wide, kScales, kQueries>(block, shape, i, products, padded, most, sums);
    }
    if (i < n) {
      using Half = typename S::HalfFloats;
      MultiplyAt<Half, kScales, kQueries>(block, shape, i, products, padded, most, sums);
      i += Wide::kLanes;
    }
    for (; i < padded; i += Wide::kLanes) {
      for (int q = 0; q < kQueries; ++q) Wide::Store(Wide::Set(0.0f), products + q * padded + i);
    }
    typename Wide::V most4[4], sums4[4];
    HWY_UNROLL(4)
    for (int q = 0; q < 4; ++q) {
      most4[q] = q < kQueries ? most[q] : Wide::Set(0.0f);
      sums4[q] = q < kQueries ? sums[q] : Wide::Set(0.0f);
    }
    _mm_store_ps(scratch.largest + b * 4, Wide::template Fold<MaxOp>(most4));
    _mm_store_ps(scratch.total + b * 4, Wide::template Fold<AddOp>(sums4));
  }
}

// The integers of blocks, and their sums.
template <class S, bool kBytes, int kQueries, int kCount>
HWY_NOINLINE void Pack(int n_blocks, const Shape& shape, int32_t* HWY_RESTRICT out,
                       RoundScratch& scratch) {
  const int padded = PaddedWeights(kCount > 0 ? kCount : shape.n_weights);
  const int64_t query_stride = shape.weight_stride, block_stride = shape.block_stride;
  const float* HWY_RESTRICT products = scratch.products;
  for (int b = 0; b < n_blocks; ++b, products += kQueries * padded, out += block_stride) {
    typename S::Lanes::V sums[4];
    HWY_UNROLL(4)
    for (int q = 0; q < 4; ++q) {
      sums[q] = S::Lanes::Set(0.0f);
      if (q >= kQueries) continue;
      const float* from = products + q * padded;
      const float inverse = scratch.inverse[b * 4 + q];
      int32_t* const to = out + q * query_stride;
      sums[q] = S::AsFloats(kBytes ? S::PackBytes(from, inverse, padded, to)
                                   : S::PackWide(from, inverse, padded, to));
    }
    _mm_store_ps(reinterpret_cast<float*>(scratch.sum + b * 4),
                 S::Lanes::template Fold<AddIntsOp>(sums));
  }
}

// Weights of blocks as integers to `out`. Sums count codes from the middle of their range: where
// the scales are in the weights, so are the minima, in the offset; else the offset is of what the
// lanes' scales multiply.
template <class S, Scales kScales, int kQueries, int kCount>
void RoundBlocksOf(int bits, const Block* blocks, int n_blocks, const Shape& shape, int32_t* out,
                   Rounded* rounded) {
  constexpr bool kScaled = kScales != Scales::kNone;
  RoundScratch scratch;
  Multiply<S, kScales, kQueries, kCount>(blocks, n_blocks, shape, scratch);
  const bool bytes = WeightsHave8Bits(bits);
  // Two blocks at once. Below 1e-30, and where the division would overflow, nothing is left of a
  // weight.
  const __m256 most_integer = _mm256_set1_ps(MostInteger(bytes)), least = _mm256_set1_ps(1e-30f);
  for (int i = 0; i < n_blocks * 4; i += 8) {
    // As they were stored, or the load would wait until both are in the cache.
    const __m256 largest = _mm256_loadu2_m128(scratch.largest + i + 4, scratch.largest + i);
    const __m256 some = _mm256_cmp_ps(largest, least, _CMP_GT_OQ);
    const __m256 step = _mm256_and_ps(some, _mm256_div_ps(largest, most_integer));
    _mm256_store_ps(scratch.inverse + i, _mm256_and_ps(some, _mm256_div_ps(most_integer, largest)));
    _mm256_store_ps(scratch.largest + i, step);
  }
  const auto pack = bytes ? Pack<S, true, kQueries, kCount> : Pack<S, false, kQueries, kCount>;
  pack(n_blocks, shape, out, scratch);
  const __m128 middle_code = _mm_set1_ps(shape.middle), none = _mm_setzero_ps();
  for (int b = 0; b < n_blocks; ++b) {
    const __m128 sum =
        _mm_cvtepi32_ps(_mm_load_si128(reinterpret_cast<const __m128i*>(scratch.sum + b * 4)));
    const __m128 step = _mm_load_ps(scratch.largest + b * 4);
    const __m128 total = _mm_load_ps(scratch.total + b * 4);
    const __m128 middle = _mm_mul_ps(middle_code, sum);
    _mm_store_ps(rounded[b].step, step);
    _mm_store_ps(rounded[b].offset, _mm_fnmadd_ps(step, middle, kScaled ? total : none));
    _mm_store_ps(rounded[b].total, kScaled ? none : total);
  }
}

template <class S, Scales kScales>
void RoundBlocks(int bits, int n_queries, const Block* blocks, int n_blocks, const Shape& shape,
                 int32_t* out, Rounded* rounded) {
  const auto round = n_queries == 3   ? shape.n_weights == 64 ? RoundBlocksOf<S, kScales, 3, 64>
                                                              : RoundBlocksOf<S, kScales, 3, 0>
                       : n_queries == 2 ? RoundBlocksOf<S, kScales, 2, 0>
                                      : RoundBlocksOf<S, kScales, 1, 0>;
  round(bits, blocks, n_blocks, shape, out, rounded);
}
