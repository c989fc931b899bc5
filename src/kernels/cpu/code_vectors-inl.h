// Eight floats: what every path has, for what is left over of sixteen. Included inside a target
// region and an anonymous namespace.

struct Floats8 {
  static constexpr int kLanes = 8;
  using V = __m256;
  static HWY_INLINE V Set(float x) { return _mm256_set1_ps(x); }
  static HWY_INLINE V Load(const float* at) { return _mm256_loadu_ps(at); }
  static HWY_INLINE V LoadF16(const uint16_t* at) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
  }
  static HWY_INLINE V FromInts(__m256i x) { return _mm256_cvtepi32_ps(x); }
  static HWY_INLINE void Store(V x, float* at) { _mm256_storeu_ps(at, x); }
  static HWY_INLINE V Add(V a, V b) { return _mm256_add_ps(a, b); }
  static HWY_INLINE V Mul(V a, V b) { return _mm256_mul_ps(a, b); }
  static HWY_INLINE V Fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
  static HWY_INLINE V MaxAbs(V a, V most) {
    return _mm256_max_ps(_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a), most);
  }
  // The lower half of wider ones.
  template <class W>
  static HWY_INLINE V Part(W x) {
    return *reinterpret_cast<const V*>(&x);
  }
};

// The lanes of each of four vectors, put together in one order: four chains of latencies at once,
// and what follows (a division, say) is done for all four.
template <class Op>
HWY_INLINE __m128 FoldEach(const __m256 (&x)[4]) {
  __m128 m[4];
  HWY_UNROLL(4)
  for (int i = 0; i < 4; ++i) {
    m[i] = Op::Of(_mm256_castps256_ps128(x[i]), _mm256_extractf128_ps(x[i], 1));
  }
  const __m128 ab = Op::Of(_mm_unpacklo_ps(m[0], m[1]), _mm_unpackhi_ps(m[0], m[1]));
  const __m128 cd = Op::Of(_mm_unpacklo_ps(m[2], m[3]), _mm_unpackhi_ps(m[2], m[3]));
  return Op::Of(_mm_movelh_ps(ab, cd), _mm_movehl_ps(cd, ab));
}
struct MaxOp {
  static HWY_INLINE __m128 Of(__m128 a, __m128 b) { return _mm_max_ps(a, b); }
};
struct AddOp {
  static HWY_INLINE __m128 Of(__m128 a, __m128 b) { return _mm_add_ps(a, b); }
};
struct AddIntsOp {
  static HWY_INLINE __m128 Of(__m128 a, __m128 b) {
    return _mm_castsi128_ps(_mm_add_epi32(_mm_castps_si128(a), _mm_castps_si128(b)));
  }
};

// f(a type of vectors, first lane) over n lanes, a multiple of 8: sixteens (S::Floats), and the
// eight that may be left over.
template <class S, class F>
HWY_INLINE void OverLanes(int n, const F& f) {
  int i = 0;
  for (; i + 16 <= n; i += 16) f(typename S::Floats(), i);
  if (i < n) f(Floats8(), i);
}
