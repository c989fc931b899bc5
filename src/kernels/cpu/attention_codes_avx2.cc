#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "hwy/base.h"
#include "kernels/cpu/attention_codes.h"
#include "kernels/cpu/attention_tile.h"

HWY_PUSH_ATTRIBUTES("avx2,fma,f16c")
namespace kvasir::cpu {
namespace {

#include "kernels/cpu/code_vectors-inl.h"
//
#include "kernels/cpu/code_blocks-inl.h"
//
#include "kernels/cpu/code_dot-inl.h"
//
#include "kernels/cpu/code_weights-inl.h"
//
#include "kernels/cpu/attention_codes-inl.h"

// Sixteen floats, as the other paths have them: sums in as many lanes give the same bits.
struct TwoFloats8 {
  static constexpr int kLanes = 16;
  struct V {
    __m256 low, high;
  };
  using F = Floats8;
  static HWY_INLINE V Set(float x) { return {F::Set(x), F::Set(x)}; }
  static HWY_INLINE V Load(const float* at) { return {F::Load(at), F::Load(at + 8)}; }
  static HWY_INLINE V LoadF16(const uint16_t* at) { return {F::LoadF16(at), F::LoadF16(at + 8)}; }
  static HWY_INLINE void Store(V x, float* at) { F::Store(x.low, at), F::Store(x.high, at + 8); }
  static HWY_INLINE V Add(V a, V b) { return {F::Add(a.low, b.low), F::Add(a.high, b.high)}; }
  static HWY_INLINE V Mul(V a, V b) { return {F::Mul(a.low, b.low), F::Mul(a.high, b.high)}; }
  static HWY_INLINE V Fma(V a, V b, V c) {
    return {F::Fma(a.low, b.low, c.low), F::Fma(a.high, b.high, c.high)};
  }
  static HWY_INLINE V MaxAbs(V a, V most) {
    return {F::MaxAbs(a.low, most.low), F::MaxAbs(a.high, most.high)};
  }
  template <class Op>
  static HWY_INLINE __m128 Fold(const V (&x)[4]) {
    return F::FoldHalves<Op>(Op::Of(F::FoldFours<Op>(x[0].low, x[1].low, x[2].low, x[3].low),
                                    F::FoldFours<Op>(x[0].high, x[1].high, x[2].high, x[3].high)));
  }
};

// The lower half of sixteen floats from memory, and zeros.
struct HalfOfTwoFloats8 : TwoFloats8 {
  static HWY_INLINE V Load(const float* at) { return {F::Load(at), F::Set(0.0f)}; }
  static HWY_INLINE V LoadF16(const uint16_t* at) { return {F::LoadF16(at), F::Set(0.0f)}; }
};

struct Avx2 {
  static constexpr int kLanes = 8;
  static constexpr bool kBytesAddTo16 = true, kHalves = false;
  using I = __m256i;
  using Lanes = Floats8;
  using Floats = TwoFloats8;
  using HalfFloats = HalfOfTwoFloats8;

  static HWY_INLINE I Zero() { return _mm256_setzero_si256(); }
  static HWY_INLINE I Set(int32_t x) { return _mm256_set1_epi32(x); }
  static HWY_INLINE I Load(const uint32_t* at) {
    return _mm256_loadu_si256(reinterpret_cast<const I*>(at));
  }
  static HWY_INLINE void Keep(I& x) { asm("" : "+x"(x)); }
  // As a statement: GCC 12 would load all weights first, and spill them.
  static HWY_INLINE I WeightAt(const int32_t* at) {
    I weight;
    asm volatile("vpbroadcastd %1, %0" : "=x"(weight) : "m"(*at));
    return weight;
  }
  static HWY_INLINE void Store(I x, int32_t* at) {
    _mm256_storeu_si256(reinterpret_cast<I*>(at), x);
  }
  static HWY_INLINE I And(I a, I b) { return _mm256_and_si256(a, b); }
  static HWY_INLINE I Or(I a, I b) { return _mm256_or_si256(a, b); }
  static HWY_INLINE I ShiftRight(I a, int n) { return _mm256_srli_epi32(a, n); }
  static HWY_INLINE I ShiftLeft2(I a) { return _mm256_slli_epi32(a, 2); }
  static HWY_INLINE I Add32(I a, I b) { return _mm256_add_epi32(a, b); }
  static HWY_INLINE I Widen(I a) { return _mm256_madd_epi16(a, Set(0x00010001)); }

  // Additions as statements: from the intrinsics GCC 12 makes copies of all sums.
  static HWY_INLINE void AddBytes(I& sum, I codes, I weights) {
    asm("vpaddw %1, %0, %0" : "+x"(sum) : "x"(_mm256_maddubs_epi16(codes, weights)));
  }
  // Of four neighbours 0 and 2, then 1 and 3.
  static HWY_INLINE void AddWide0(I& sum, I codes, I weights) {
    const I pairs = And(codes, Set(0x00ff00ff));
    asm("vpaddd %1, %0, %0" : "+x"(sum) : "x"(_mm256_madd_epi16(pairs, weights)));
  }
  static HWY_INLINE void AddWide1(I& sum, I codes, I weights) {
    const I pairs = _mm256_srli_epi16(codes, 8);
    asm("vpaddd %1, %0, %0" : "+x"(sum) : "x"(_mm256_madd_epi16(pairs, weights)));
  }

  static HWY_INLINE __m256 AsFloats(I x) { return _mm256_castsi256_ps(x); }
  static HWY_INLINE I Round(const float* x, __m256 inverse) {
    return _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_load_ps(x), inverse));
  }
  static HWY_INLINE I PackBytes(const float* x, float inverse, int n, int32_t* out) {
    const __m256 factor = _mm256_set1_ps(inverse);
    // Packing works in halves: words 0 2 4 6 1 3 5 7.
    const I order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    I sum = Zero();
    for (int i = 0; i < n; i += 32) {
      const I a = Round(x + i, factor), b = Round(x + i + 8, factor);
      const I c = Round(x + i + 16, factor), d = Round(x + i + 24, factor);
      sum = Add32(sum, Add32(Add32(a, b), Add32(c, d)));
      const I bytes = _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
      Store(_mm256_permutevar8x32_epi32(bytes, order), out + i / 4);
    }
    return sum;
  }
  static HWY_INLINE I PackWide(const float* x, float inverse, int n, int32_t* out) {
    const __m256 factor = _mm256_set1_ps(inverse);
    const I pairs = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15));
    I sum = Zero();
    for (int i = 0; i < n; i += 16) {
      const I a = Round(x + i, factor), b = Round(x + i + 8, factor);
      sum = Add32(sum, Add32(a, b));
      const I in_turn = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
      Store(_mm256_shuffle_epi8(in_turn, pairs), out + i / 2);
    }
    return sum;
  }
};

}  // namespace

const CodeTable kCodesAvx2 = TableOf<Avx2>();

}  // namespace kvasir::cpu
HWY_POP_ATTRIBUTES
