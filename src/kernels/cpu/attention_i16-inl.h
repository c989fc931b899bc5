// Attention on planes of 16-bit integers, over the primitives of an instruction set:
//   kLanes; I: a vector of int32, F: of f32; kQueries, kVectors: a register tile; Zero, Set, Load,
//   AddPairs(sum, x, w): sum += the products of pairs; ToFloat; SetF, LoadF, StoreF, Mul, Fma(a, b,
//   c) = a b + c; RoundPage(p, scales, out): 64 probabilities times scales as integers (below), two
//   in 32 bits; returns their step.
// Included inside a target region and an anonymous namespace.

// sum[i][v] = over pairs of weights[i] and of some vectors of lanes. `next` is prefetched: as many
// bytes as are read here, line by line beside the arithmetic and in the order of their addresses.
template <class S, int kQueries, int kVectors>
HWY_INLINE void SumPairs(const int32_t* at, int64_t row, int n_pairs,
                         const int32_t* HWY_RESTRICT weights, const int32_t* next,
                         typename S::I (&sum_out)[kQueries][kVectors]) {
  typename S::I sum[kQueries][kVectors];
  HWY_UNROLL(8)
  for (int i = 0; i < kQueries; ++i) {
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) sum[i][v] = S::Zero();
  }
  for (int pair = 0; pair < n_pairs; ++pair, at += row) {
    if (next != nullptr) {
      for (int i = 0; i < kVectors * S::kLanes; i += 16) {
        __builtin_prefetch(next + pair * kVectors * S::kLanes + i, 0, 2);
      }
    }
    typename S::I x[kVectors];
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) x[v] = S::Load(at + v * S::kLanes);
    HWY_UNROLL(8)
    for (int i = 0; i < kQueries; ++i) {
      typename S::I w = S::Set(weights[int64_t{i} * n_pairs + pair]);
      asm volatile("" : "+v"(w));  // stays here: GCC 12 would load all of them first, and spill
      HWY_UNROLL(4)
      for (int v = 0; v < kVectors; ++v) S::AddPairs(sum[i][v], x[v], w);
    }
  }
  HWY_UNROLL(8)
  for (int i = 0; i < kQueries; ++i) {
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) sum_out[i][v] = sum[i][v];
  }
}

HWY_INLINE const int32_t* Ints(const std::byte* plane) {
  return reinterpret_cast<const int32_t*>(plane);
}

template <class S, int kQueries>
HWY_NOINLINE void LogitsTile(const std::byte* plane, const int32_t* pairs, const float* steps,
                             int n_pairs, const std::byte* next, float* logits) {
  constexpr int kLanes = S::kLanes, kVectors = S::kVectors;
  const auto* scales =
      reinterpret_cast<const float*>(plane + int64_t{n_pairs} * kPageEntries * sizeof(int32_t));
  for (int slot = 0; slot < kPageEntries; slot += kVectors * kLanes) {
    typename S::I sum[kQueries][kVectors];
    SumPairs<S, kQueries, kVectors>(Ints(plane) + slot, kPageEntries, n_pairs, pairs,
                                    next == nullptr ? nullptr : Ints(next) + slot * n_pairs, sum);
    HWY_UNROLL(8)
    for (int i = 0; i < kQueries; ++i) {
      const typename S::F step = S::SetF(steps[i]);
      HWY_UNROLL(4)
      for (int v = 0; v < kVectors; ++v) {
        const int lane = slot + v * kLanes;
        const typename S::F product = S::Mul(S::ToFloat(sum[i][v]), step);
        S::StoreF(S::Mul(product, S::LoadF(scales + lane)), logits + i * kLogitStride + lane);
      }
    }
  }
}

// Weights of a page (RoundPage): integers below 2^15 whose sum is below 64256, so that sums of
// their products with values fit 32 bits.
inline constexpr float kLargestWeight = 32767.0f, kSumInLargest = 1.96f;

// The largest of 8 and their sum, halves first.
HWY_INLINE float MaxOf(__m256 x) {
  __m128 m = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  m = _mm_max_ps(m, _mm_movehl_ps(m, m));
  return _mm_cvtss_f32(_mm_max_ss(m, _mm_shuffle_ps(m, m, 1)));
}
HWY_INLINE float SumOf(__m256 x) {
  __m128 m = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  m = _mm_add_ps(m, _mm_movehl_ps(m, m));
  return _mm_cvtss_f32(_mm_add_ss(m, _mm_shuffle_ps(m, m, 1)));
}

// weight = step * integer. Below 1e-30 nothing is left of a weight; a NaN among them shows in the
// step.
struct Step {
  float step, inverse;
  HWY_INLINE Step(float largest, float sum) {
    const float of_sum = sum * (1.0f / kSumInLargest);
    const float top = largest > of_sum ? largest : of_sum;
    const bool nothing = top <= 1e-30f;
    step = nothing ? 0.0f : top / kLargestWeight;
    inverse = nothing ? 0.0f : kLargestWeight / top;
  }
};

template <class S, int kQueries, int kVectors>
HWY_INLINE void ValuesBlock(const std::byte* plane, int head_dim, int channel,
                            const int32_t* weights, const float* steps, const std::byte* next,
                            float* HWY_RESTRICT acc) {
  typename S::I sum[kQueries][kVectors];
  SumPairs<S, kQueries, kVectors>(
      Ints(plane) + channel, head_dim, kPageEntries / 2, weights,
      next == nullptr ? nullptr : Ints(next) + channel * (kPageEntries / 2), sum);
  HWY_UNROLL(8)
  for (int i = 0; i < kQueries; ++i) {
    const typename S::F step = S::SetF(steps[i]);
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) {
      float* at = acc + i * int64_t{head_dim} + channel + v * S::kLanes;
      S::StoreF(S::Fma(S::ToFloat(sum[i][v]), step, S::LoadF(at)), at);
    }
  }
}

template <class S, int kQueries>
HWY_NOINLINE void ValuesTile(const std::byte* plane, int head_dim, const float* scales,
                             const float* p, const std::byte* next, float* acc) {
  alignas(64) int32_t weights[kQueries * kPageEntries / 2];
  float steps[kQueries];
  for (int i = 0; i < kQueries; ++i) {
    steps[i] = S::RoundPage(p + i * kLogitStride, scales, weights + i * kPageEntries / 2);
  }
  int channel = 0;
  for (; channel + S::kVectors * S::kLanes <= head_dim; channel += S::kVectors * S::kLanes) {
    ValuesBlock<S, kQueries, S::kVectors>(plane, head_dim, channel, weights, steps, next, acc);
  }
  if constexpr (S::kLanes == 16) {  // head_dim is a multiple of 16
    for (; channel < head_dim; channel += 16) {
      ValuesBlock<S, kQueries, 1>(plane, head_dim, channel, weights, steps, next, acc);
    }
  }
}

// f(the number of queries as a type), from kMax downwards.
template <int kMax, class F>
HWY_INLINE void WithQueries(int n, const F& f) {
  if constexpr (kMax == 1) {
    f(std::integral_constant<int, 1>());
  } else {
    if (n == kMax) return f(std::integral_constant<int, kMax>());
    WithQueries<kMax - 1>(n, f);
  }
}

template <class S>
void Logits(const std::byte* plane, const I16Queries& queries, const RegisterTiles& tiles,
            const std::byte* next, float* logits) {
  for (int t = 0; t < tiles.n_tiles; ++t) {
    const int begin = tiles.Begin(t), n = tiles.Begin(t + 1) - begin;
    WithQueries<S::kQueries>(n, [&]<int kN>(std::integral_constant<int, kN>) {
      LogitsTile<S, kN>(plane, queries.pairs + int64_t{begin} * queries.n_pairs,
                        queries.steps + begin, queries.n_pairs, next,
                        logits + int64_t{begin} * kLogitStride);
    });
    next = nullptr;  // once is enough
  }
}

template <class S>
void Values(const std::byte* plane, int head_dim, uint64_t seen, const float* p,
            const RegisterTiles& tiles, const std::byte* next, float* acc) {
  const auto* scales =
      reinterpret_cast<const float*>(plane + I16Layout(PlaneKind::kValues, head_dim).scales);
  alignas(64) float masked[kPageEntries];  // slots that are not seen may hold anything
  if (seen != ~uint64_t{0}) {
    for (int slot = 0; slot < kPageEntries; ++slot) {
      masked[slot] = (seen >> slot & 1) != 0 ? scales[slot] : 0.0f;
    }
    scales = masked;
  }
  for (int t = 0; t < tiles.n_tiles; ++t) {
    const int begin = tiles.Begin(t), n = tiles.Begin(t + 1) - begin;
    WithQueries<S::kQueries>(n, [&]<int kN>(std::integral_constant<int, kN>) {
      ValuesTile<S, kN>(plane, head_dim, scales, p + int64_t{begin} * kLogitStride, next,
                        acc + int64_t{begin} * head_dim);
    });
    next = nullptr;
  }
}
