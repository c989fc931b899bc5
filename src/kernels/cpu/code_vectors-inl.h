// Eight floats: what every path has. Wider paths take it for what is left over, and for sums whose
// order counts. Included inside a target region and an anonymous namespace.

struct Floats8 {
  static constexpr int kLanes = 8;
  using V = __m256;
  static HWY_INLINE V Set(float x) { return _mm256_set1_ps(x); }
  static HWY_INLINE V Load(const float* at) { return _mm256_loadu_ps(at); }
  static HWY_INLINE V LoadF16(const uint16_t* at) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
  }
  static HWY_INLINE V LoadInts(const int32_t* at) {
    return _mm256_cvtepi32_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
  }
  static HWY_INLINE void Store(V x, float* at) { _mm256_storeu_ps(at, x); }
  static HWY_INLINE V Add(V a, V b) { return _mm256_add_ps(a, b); }
  static HWY_INLINE V Mul(V a, V b) { return _mm256_mul_ps(a, b); }
  static HWY_INLINE V Fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
  static HWY_INLINE V MaxAbs(V a, V most) {
    return _mm256_max_ps(_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a), most);
  }
  static HWY_INLINE float MaxOf(V x) {
    const __m128 m = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    const __m128 two = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }
  static HWY_INLINE float SumOf(V x) {
    const __m128 m = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    const __m128 two = _mm_add_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
};

HWY_INLINE int32_t SumOfInts(__m256i x) {
  const __m128i m = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
  const __m128i two = _mm_add_epi32(m, _mm_shuffle_epi32(m, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}

// f(a type of vectors, first lane) over n lanes, a multiple of 8, in vectors as wide as there are.
template <class S, class F>
HWY_INLINE void OverLanes(int n, const F& f) {
  using Widest = typename S::Floats;
  int i = 0;
  for (; i + Widest::kLanes <= n; i += Widest::kLanes) f(Widest(), i);
  if constexpr (Widest::kLanes > Floats8::kLanes) {
    if (i < n) f(Floats8(), i);
  }
}
