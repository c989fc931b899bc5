// Exponential functions on vectors of floats. Only IEEE operations in a fixed order: the same bits
// on every target.
#if defined(KVASIR_KERNELS_CPU_VECTOR_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef KVASIR_KERNELS_CPU_VECTOR_MATH_INL_H_
#undef KVASIR_KERNELS_CPU_VECTOR_MATH_INL_H_
#else
#define KVASIR_KERNELS_CPU_VECTOR_MATH_INL_H_
#endif

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace kvasir::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// x = n ln2 + r with |r| <= ln2 / 2: e^x = 2^n (1 + q), q = e^r - 1.
template <class V>
struct ExpParts {
  V q;
  hn::Vec<hn::RebindToSigned<hn::DFromV<V>>> n_bits;  // n << 23
};

// REQUIRES: |x| < 2^20. The polynomial is our own Remez fit of (e^r - 1 - r) / r^2, weighted for
// the relative error of e^r: 4e-9.
template <class V>
HWY_INLINE ExpParts<V> SplitExp(V x) {
  const hn::DFromV<V> d;
  const hn::RebindToSigned<decltype(d)> di;
  const V magic = hn::Set(d, 0x1.8p23f);  // adding it rounds to an integer in the low bits
  const V shifted = hn::MulAdd(x, hn::Set(d, 1.44269504f), magic);
  const V n = hn::Sub(shifted, magic);
  V r = hn::NegMulAdd(n, hn::Set(d, 0.693359375f), x);  // 9 bits of ln2: exact
  r = hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4f), r);
  V p = hn::Set(d, 0.0013814540f);
  p = hn::MulAdd(p, r, hn::Set(d, 0.0083687454f));
  p = hn::MulAdd(p, r, hn::Set(d, 0.0416683890f));
  p = hn::MulAdd(p, r, hn::Set(d, 0.1666652113f));
  p = hn::MulAdd(p, r, hn::Set(d, 0.4999999404f));
  return {hn::MulAdd(hn::Mul(r, r), p, r), hn::ShiftLeft<23>(hn::BitCast(di, shifted))};
}

// e^x within 2e-7 relative; 0 below -87.33, where results would be subnormal. REQUIRES: x < 88.7.
template <class V>
HWY_INLINE V ExpUncapped(V x) {
  const hn::DFromV<V> d;
  const hn::RebindToSigned<decltype(d)> di;
  const ExpParts<V> e = SplitExp(x);
  const V mantissa = hn::Add(hn::Set(d, 1.0f), e.q);
  const V value = hn::BitCast(d, hn::Add(hn::BitCast(di, mantissa), e.n_bits));
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, -87.33f)), value);
}

// The same for any x: 3.3e38 above 88.7.
template <class V>
HWY_INLINE V Exp(V x) {
  return ExpUncapped(hn::Min(hn::Set(hn::DFromV<V>(), 88.7f), x));  // in this order NaN stays NaN
}

// tanh x within 3e-7 relative: expm1(2|x|) / (expm1(2|x|) + 2), which keeps its bits near 0.
template <class V>
HWY_INLINE V Tanh(V x) {
  const hn::DFromV<V> d;
  const hn::RebindToSigned<decltype(d)> di;
  const V one = hn::Set(d, 1.0f);
  const V a = hn::Min(hn::Set(d, 40.0f), hn::Abs(hn::Add(x, x)));
  const ExpParts<V> e = SplitExp(a);
  const V power = hn::BitCast(d, hn::Add(hn::BitCast(di, one), e.n_bits));
  const V m = hn::MulAdd(power, e.q, hn::Sub(power, one));
  return hn::CopySign(hn::Div(m, hn::Add(m, hn::Set(d, 2.0f))), x);
}

}  // namespace kvasir::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
