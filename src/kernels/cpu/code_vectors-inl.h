// Operations that put lanes together, and eight floats: what every path has, for what is left over
// of sixteen. Included inside a target region and an anonymous namespace.

struct MaxOp {
  static HWY_INLINE __m128 Of(__m128 a, __m128 b) { return _mm_max_ps(a, b); }
  static HWY_INLINE __m256 Of(__m256 a, __m256 b) { return _mm256_max_ps(a, b); }
};
struct AddOp {
  static HWY_INLINE __m128 Of(__m128 a, __m128 b) { return _mm_add_ps(a, b); }
  static HWY_INLINE __m256 Of(__m256 a, __m256 b) { return _mm256_add_ps(a, b); }
};
struct AddIntsOp {
  static HWY_INLINE __m128 Of(__m128 a, __m128 b) {
    return _mm_castsi128_ps(_mm_add_epi32(_mm_castps_si128(a), _mm_castps_si128(b)));
  }
  static HWY_INLINE __m256 Of(__m256 a, __m256 b) {
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), _mm256_castps_si256(b)));
  }
};

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
  // Of each of four vectors each four lanes put together, side by side: a b c d, a b c d.
  template <class Op>
  static HWY_INLINE V FoldFours(V a, V b, V c, V d) {
    const V ab = Op::Of(_mm256_shuffle_ps(a, b, 0x88), _mm256_shuffle_ps(a, b, 0xdd));
    const V cd = Op::Of(_mm256_shuffle_ps(c, d, 0x88), _mm256_shuffle_ps(c, d, 0xdd));
    return Op::Of(_mm256_shuffle_ps(ab, cd, 0x88), _mm256_shuffle_ps(ab, cd, 0xdd));
  }
  template <class Op>
  static HWY_INLINE __m128 FoldHalves(V x) {
    return Op::Of(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  }
  // All lanes of each of four vectors put together: four chains of latencies at once, and what
  // follows (a division, say) is done for all four.
  template <class Op>
  static HWY_INLINE __m128 Fold(const V (&x)[4]) {
    return FoldHalves<Op>(FoldFours<Op>(x[0], x[1], x[2], x[3]));
  }
};
