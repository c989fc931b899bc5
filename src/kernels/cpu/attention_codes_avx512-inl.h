// The primitives that both AVX-512 paths share; see code_dot-inl.h.

struct Floats16 {
  static constexpr int kLanes = 16;
  using V = __m512;
  static HWY_INLINE V Set(float x) { return _mm512_set1_ps(x); }
  static HWY_INLINE V Load(const float* at) { return _mm512_loadu_ps(at); }
  static HWY_INLINE V LoadF16(const uint16_t* at) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
  }
  static HWY_INLINE V FromInts(__m512i x) { return _mm512_cvtepi32_ps(x); }
  static HWY_INLINE void Store(V x, float* at) { _mm512_storeu_ps(at, x); }
  static HWY_INLINE V Add(V a, V b) { return _mm512_add_ps(a, b); }
  static HWY_INLINE V Mul(V a, V b) { return _mm512_mul_ps(a, b); }
  static HWY_INLINE V Fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
  static HWY_INLINE V MaxAbs(V a, V most) {
    return _mm512_range_ps(a, most, 0b1011);  // of absolute values the larger, without a sign
  }
  static HWY_INLINE V Part(V x) { return x; }
  template <class Op>
  static HWY_INLINE __m128 Fold(const V (&x)[4]) {
    const V ab = Of<Op>(_mm512_shuffle_ps(x[0], x[1], 0x88), _mm512_shuffle_ps(x[0], x[1], 0xdd));
    const V cd = Of<Op>(_mm512_shuffle_ps(x[2], x[3], 0x88), _mm512_shuffle_ps(x[2], x[3], 0xdd));
    const V all = Of<Op>(_mm512_shuffle_ps(ab, cd, 0x88), _mm512_shuffle_ps(ab, cd, 0xdd));
    return Floats8::FoldHalves<Op>(
        Op::Of(_mm512_castps512_ps256(all), _mm512_extractf32x8_ps(all, 1)));
  }

 private:
  template <class Op>
  static HWY_INLINE V Of(V a, V b) {
    if constexpr (std::is_same_v<Op, MaxOp>) return _mm512_max_ps(a, b);
    if constexpr (std::is_same_v<Op, AddOp>) return _mm512_add_ps(a, b);
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a), _mm512_castps_si512(b)));
  }
};

// The lower half of sixteen floats from memory, and zeros.
struct HalfFloats16 : Floats16 {
  static HWY_INLINE V Load(const float* at) { return _mm512_zextps256_ps512(Floats8::Load(at)); }
  static HWY_INLINE V LoadF16(const uint16_t* at) {
    return _mm512_zextps256_ps512(Floats8::LoadF16(at));
  }
};

struct Avx512Codes {
  static constexpr int kLanes = 16;
  using I = __m512i;
  using Lanes = Floats16;
  using Floats = Floats16;
  using HalfFloats = HalfFloats16;

  static HWY_INLINE I Zero() { return _mm512_setzero_si512(); }
  static HWY_INLINE I Set(int32_t x) { return _mm512_set1_epi32(x); }
  static HWY_INLINE I Load(const uint32_t* at) { return _mm512_loadu_si512(at); }
  static HWY_INLINE void Keep(I& x) { asm("" : "+v"(x)); }
  // As a statement: GCC 12 would load all weights first, and spill them.
  static HWY_INLINE I WeightAt(const int32_t* at) {
    I weight;
    asm volatile("vpbroadcastd %1, %0" : "=v"(weight) : "m"(*at));
    return weight;
  }
  static HWY_INLINE void Store(I x, int32_t* at) { _mm512_storeu_si512(at, x); }
  static HWY_INLINE I And(I a, I b) { return _mm512_and_si512(a, b); }
  static HWY_INLINE I Or(I a, I b) { return _mm512_or_si512(a, b); }
  static HWY_INLINE I ShiftRight(I a, int n) {
    return _mm512_srli_epi32(a, static_cast<unsigned>(n));
  }
  static HWY_INLINE I ShiftLeft2(I a) { return _mm512_slli_epi32(a, 2); }
  static HWY_INLINE I Add32(I a, I b) { return _mm512_add_epi32(a, b); }

  static HWY_INLINE I Round(const float* x, __m512 inverse) {
    return _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_load_ps(x), inverse));
  }
  static HWY_INLINE __m512 AsFloats(I x) { return _mm512_castsi512_ps(x); }
  static HWY_INLINE I PackBytes(const float* x, float inverse, int n, int32_t* out) {
    const __m512 factor = _mm512_set1_ps(inverse);
    I sum = Zero();
    for (int i = 0; i < n; i += 16) {
      const I codes = Round(x + i, factor);
      sum = Add32(sum, codes);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i / 4), _mm512_cvtepi32_epi8(codes));
    }
    return sum;
  }
};
