// Weights as integers, in the layout that a path's products take. Over the primitives of
// code_dot-inl.h. Included inside a target region and an anonymous namespace.

// What sums of products with rounded weights stand for: weight = step * integer; offset: what is
// added to step * sum; total: of the floats.
struct Scaling {
  float step, offset, total;
};
// The same of up to four queries.
struct alignas(16) Rounded {
  float step[4], offset[4], total[4];
  Scaling Of(int query) const { return {step[query], offset[query], total[query]}; }
};

// Half of the codes' range: what they are counted from.
HWY_INLINE float MiddleOf(const Grid& grid) {
  return grid.has_min ? static_cast<float>((1 << grid.bits) - 1) / 2 : grid.zero;
}

// The largest integer. 127 * 256 + 127, so that its halves are signed bytes.
constexpr float MostInteger(int bits) { return WeightsHave8Bits(bits) ? 127.0f : 32639.0f; }

// Weights x [kQueries][n], rows `stride` apart, times scales if kScaled, as integers; n, a multiple
// of 8, is filled up with zeros to one of 32. Sums count codes from the middle of their range:
// where the scales are in the weights, so are the minima, in the offset; else the offset is of what
// the lanes' scales multiply. All queries at once: what one waits for, another one hides.
template <class S, bool kScaled, int kQueries>
HWY_NOINLINE Rounded RoundQueriesOf(const Grid& grid, const float* HWY_RESTRICT x, int64_t stride,
                                    const float* HWY_RESTRICT scales,
                                    const float* HWY_RESTRICT mins, int n,
                                    int32_t* HWY_RESTRICT out, int64_t out_stride) {
  using Wide = typename S::Floats;
  alignas(64) float products[kQueries][kMostChannels];
  typename Wide::V most[kQueries];
  Floats8::V most8[4], total[4];  // totals in eight lanes on every path: the same bits
  HWY_UNROLL(4)
  for (int q = 0; q < 4; ++q) most8[q] = total[q] = Floats8::Set(0.0f);
  HWY_UNROLL(3)
  for (int q = 0; q < kQueries; ++q) most[q] = Wide::Set(0.0f);
  for (int i = 0; i < n; i += Floats8::kLanes) {
    HWY_UNROLL(3)
    for (int q = 0; q < kQueries; ++q) {
      const Floats8::V v = Floats8::Load(x + q * stride + i);
      if constexpr (kScaled) {
        total[q] = Floats8::Fma(v, Floats8::Load(mins + i), total[q]);
      } else {
        total[q] = Floats8::Add(total[q], v);
      }
    }
  }
  OverLanes<S>(n, [&]<class L>(L, int i) {
    HWY_UNROLL(3)
    for (int q = 0; q < kQueries; ++q) {
      typename L::V v = L::Load(x + q * stride + i);
      if constexpr (kScaled) v = L::Mul(v, L::Load(scales + i));
      L::Store(v, products[q] + i);
      if constexpr (L::kLanes == Wide::kLanes) {
        most[q] = L::MaxAbs(v, most[q]);
      } else {
        most8[q] = L::MaxAbs(v, most8[q]);
      }
    }
  });
  HWY_UNROLL(3)
  for (int q = 0; q < kQueries; ++q) most8[q] = Wide::MaxOfHalves(most[q], most8[q]);
  int end = n;
  for (; end % 32 != 0; end += 8) {
    for (int q = 0; q < kQueries; ++q) Floats8::Store(Floats8::Set(0.0f), products[q] + end);
  }
  // Below 1e-30, and where the division would overflow, nothing is left of a weight.
  const __m128 largest = FoldEach<MaxOp>(most8);
  const __m128 some = _mm_cmp_ps(largest, _mm_set1_ps(1e-30f), _CMP_GT_OQ);
  const __m128 most_integer = _mm_set1_ps(MostInteger(grid.bits));
  alignas(16) float inverse[4];
  _mm_store_ps(inverse, _mm_and_ps(some, _mm_div_ps(most_integer, largest)));
  __m256 sums[4];
  HWY_UNROLL(4)
  for (int q = 0; q < 4; ++q) {
    sums[q] = _mm256_setzero_ps();
    if (q >= kQueries) continue;
    int32_t* const to = out + q * out_stride;
    sums[q] = _mm256_castsi256_ps(WeightsHave8Bits(grid.bits)
                                      ? S::PackBytes(products[q], inverse[q], end, to)
                                      : S::PackWide(products[q], inverse[q], end, to));
  }
  const __m128 sum = _mm_cvtepi32_ps(_mm_castps_si128(FoldEach<AddIntsOp>(sums)));
  const __m128 step = _mm_and_ps(some, _mm_div_ps(largest, most_integer));
  const __m128 middle = _mm_mul_ps(step, _mm_mul_ps(_mm_set1_ps(MiddleOf(grid)), sum));
  const __m128 all = FoldEach<AddOp>(total), none = _mm_setzero_ps();
  Rounded rounded;
  _mm_store_ps(rounded.step, step);
  _mm_store_ps(rounded.offset, _mm_sub_ps(kScaled ? all : none, middle));
  _mm_store_ps(rounded.total, kScaled ? none : all);
  return rounded;
}

template <class S, bool kScaled>
HWY_INLINE Rounded Round(const Grid& grid, const float* x, int64_t stride, int n_queries,
                         const float* scales, const float* mins, int n, int32_t* out,
                         int64_t out_stride) {
  const auto round = n_queries == 3   ? RoundQueriesOf<S, kScaled, 3>
                     : n_queries == 2 ? RoundQueriesOf<S, kScaled, 2>
                                      : RoundQueriesOf<S, kScaled, 1>;
  return round(grid, x, stride, scales, mins, n, out, out_stride);
}
