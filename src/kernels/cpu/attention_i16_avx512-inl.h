// The primitives that both AVX-512 paths share; see attention_i16-inl.h.

struct Avx512Ints {
  static constexpr int kLanes = 16;
  static constexpr int kQueries = 6, kVectors = 4;  // 24 sums, 4 vectors, a weight, a product
  using I = __m512i;
  using F = __m512;

  static HWY_INLINE I Zero() { return _mm512_setzero_si512(); }
  static HWY_INLINE I Set(int32_t x) { return _mm512_set1_epi32(x); }
  static HWY_INLINE I Load(const int32_t* at) { return _mm512_loadu_si512(at); }
  static HWY_INLINE F ToFloat(I x) { return _mm512_cvtepi32_ps(x); }
  static HWY_INLINE F SetF(float x) { return _mm512_set1_ps(x); }
  static HWY_INLINE F LoadF(const float* at) { return _mm512_loadu_ps(at); }
  static HWY_INLINE void StoreF(F x, float* at) { _mm512_storeu_ps(at, x); }
  static HWY_INLINE F Mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static HWY_INLINE F Fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static HWY_INLINE __m256 High(F x) {
    return _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(x), 1));
  }

  // 64 probabilities times scales as integers; returns their step.
  static HWY_INLINE float RoundPage(const float* p, const float* scales, int32_t* out) {
    F x[4];
    HWY_UNROLL(4)
    for (int i = 0; i < 4; ++i) x[i] = Mul(LoadF(p + 16 * i), LoadF(scales + 16 * i));
    F most = x[0], sum = x[0];
    HWY_UNROLL(4)
    for (int i = 1; i < 4; ++i) {
      most = _mm512_max_ps(most, x[i]);
      sum = _mm512_add_ps(sum, x[i]);
    }
    const Step step(MaxOf(_mm256_max_ps(_mm512_castps512_ps256(most), High(most))),
                    SumOf(_mm256_add_ps(_mm512_castps512_ps256(sum), High(sum))));
    const F inverse = SetF(step.inverse);
    HWY_UNROLL(4)
    for (int i = 0; i < 4; ++i) {
      const I codes = _mm512_cvtps_epi32(Mul(x[i], inverse));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 8 * i), _mm512_cvtsepi32_epi16(codes));
    }
    return step.step;
  }
};
