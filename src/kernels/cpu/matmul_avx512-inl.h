// The primitives that both AVX-512 paths share; see matmul_block-inl.h.

struct Avx512Base {
  static constexpr int kLanes = 16;
  using F = __m512;
  using I = __m512i;

  static HWY_INLINE F Zero() { return _mm512_setzero_ps(); }
  static HWY_INLINE F Set(float x) { return _mm512_set1_ps(x); }
  static HWY_INLINE F Load(const float* at) { return _mm512_loadu_ps(at); }
  static HWY_INLINE F LoadF16(const uint16_t* at) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
  }
  static HWY_INLINE F LoadBF16(const uint16_t* at) {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }
  static HWY_INLINE void Store(F x, float* at) { _mm512_storeu_ps(at, x); }
  static HWY_INLINE F Add(F a, F b) { return _mm512_add_ps(a, b); }
  static HWY_INLINE F Mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static HWY_INLINE F Fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static HWY_INLINE F ToFloat(I a) { return _mm512_cvtepi32_ps(a); }

  static HWY_INLINE I SetInt(int32_t x) { return _mm512_set1_epi32(x); }
  template <int n>
  static HWY_INLINE I ShiftRight(I a) {
    return _mm512_srai_epi32(a, n);
  }
  static HWY_INLINE I LoadInts(const uint8_t* at) { return _mm512_loadu_si512(at); }
  static HWY_INLINE I LowHalves(I a) { return _mm512_and_si512(a, _mm512_set1_epi8(15)); }
  static HWY_INLINE I HighHalves(I a) { return LowHalves(_mm512_srli_epi16(a, 4)); }
  static HWY_INLINE I Quad(const int8_t* x) {
    int32_t quad;
    std::memcpy(&quad, x, sizeof quad);
    return _mm512_set1_epi32(quad);
  }
};
