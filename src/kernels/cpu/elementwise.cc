#include "kernels/cpu/elementwise.h"

#include <limits>

#include "kernels/cpu/hwy_targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/elementwise.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/cpu/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace kvasir::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr D kD;
constexpr int64_t kLanes = HWY_MAX_BYTES / sizeof(float);

// The tail goes through a padded vector, so that every element sees the same operations.
struct Tail {
  HWY_ALIGN float x[kLanes];
  HWY_INLINE Tail(const float* from, int64_t n, float padding) {
    for (int64_t i = 0; i < kLanes; ++i) x[i] = i < n ? from[i] : padding;
  }
  HWY_INLINE Tail() {}
  HWY_INLINE void CopyTo(float* to, int64_t n) const {
    for (int64_t i = 0; i < n; ++i) to[i] = x[i];
  }
};

// out[i] = f(a[i]) or f(a[i], b[i]).
template <class F>
HWY_INLINE void Map(const float* a, int64_t n, float* out, const F& f) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) hn::StoreU(f(hn::LoadU(kD, a + i)), kD, out + i);
  if (i == n) return;
  const Tail ta(a + i, n - i, 0.0f);
  Tail result;
  hn::Store(f(hn::Load(kD, ta.x)), kD, result.x);
  result.CopyTo(out + i, n - i);
}

template <class F>
HWY_INLINE void Map2(const float* a, const float* b, int64_t n, float* out, const F& f) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    hn::StoreU(f(hn::LoadU(kD, a + i), hn::LoadU(kD, b + i)), kD, out + i);
  }
  if (i == n) return;
  const Tail ta(a + i, n - i, 0.0f), tb(b + i, n - i, 0.0f);
  Tail result;
  hn::Store(f(hn::Load(kD, ta.x), hn::Load(kD, tb.x)), kD, result.x);
  result.CopyTo(out + i, n - i);
}

float SumSquares(const float* x, int64_t n) {
  V sum[4] = {hn::Zero(kD), hn::Zero(kD), hn::Zero(kD), hn::Zero(kD)};
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    for (int k = 0; k < 4; ++k) {
      const V v = hn::LoadU(kD, x + i + k * kLanes);
      sum[k] = hn::MulAdd(v, v, sum[k]);
    }
  }
  for (; i < n; i += kLanes) {
    const Tail tail(x + i, n - i, 0.0f);
    const V v = hn::Load(kD, tail.x);
    sum[0] = hn::MulAdd(v, v, sum[0]);
  }
  const V all = hn::Add(hn::Add(sum[0], sum[1]), hn::Add(sum[2], sum[3]));
  return hn::GetLane(hn::SumOfLanes(kD, all));
}

void ScaleWeight(const float* x, float factor, const float* weight, int64_t n, float* out) {
  const V f = hn::Set(kD, factor);
  if (weight == nullptr) {
    Map(x, n, out, [f](V v) HWY_ATTR { return hn::Mul(v, f); });
  } else {
    Map2(x, weight, n, out, [f](V v, V w) HWY_ATTR { return hn::Mul(hn::Mul(v, f), w); });
  }
}

void RotatePairs(const float* cos, const float* sin, int64_t n_pairs, float* x) {
  int64_t i = 0;
  for (; i + kLanes <= n_pairs; i += kLanes) {
    V a, b;
    hn::LoadInterleaved2(kD, x + 2 * i, a, b);
    const V c = hn::LoadU(kD, cos + i), s = hn::LoadU(kD, sin + i);
    hn::StoreInterleaved2(hn::Sub(hn::Mul(a, c), hn::Mul(b, s)),
                          hn::Add(hn::Mul(a, s), hn::Mul(b, c)), kD, x + 2 * i);
  }
  for (; i < n_pairs; ++i) {
    const float a = x[2 * i], b = x[2 * i + 1];
    x[2 * i] = a * cos[i] - b * sin[i];
    x[2 * i + 1] = a * sin[i] + b * cos[i];
  }
}

void RotateHalves(const float* cos, const float* sin, int64_t n_pairs, float* x) {
  float* y = x + n_pairs;
  int64_t i = 0;
  for (; i + kLanes <= n_pairs; i += kLanes) {
    const V a = hn::LoadU(kD, x + i), b = hn::LoadU(kD, y + i);
    const V c = hn::LoadU(kD, cos + i), s = hn::LoadU(kD, sin + i);
    hn::StoreU(hn::Sub(hn::Mul(a, c), hn::Mul(b, s)), kD, x + i);
    hn::StoreU(hn::Add(hn::Mul(a, s), hn::Mul(b, c)), kD, y + i);
  }
  for (; i < n_pairs; ++i) {
    const float a = x[i], b = y[i];
    x[i] = a * cos[i] - b * sin[i];
    y[i] = a * sin[i] + b * cos[i];
  }
}

// x * sigmoid(x).
HWY_INLINE V Silu(V x) { return hn::Div(x, hn::Add(hn::Set(kD, 1.0f), Exp(hn::Neg(x)))); }

// x * sigmoid(2u), u = sqrt(2 / pi) (x + 0.044715 x^3): equals x (1 + tanh u) / 2 and does not
// cancel for negative x.
HWY_INLINE V Gelu(V x) {
  const V cubic = hn::Set(kD, 2 * 0.7978845608f * 0.044715f);
  const V linear = hn::Set(kD, 2 * 0.7978845608f);
  const V u2 = hn::Mul(x, hn::MulAdd(hn::Mul(x, x), cubic, linear));
  return hn::Div(x, hn::Add(hn::Set(kD, 1.0f), Exp(hn::Neg(u2))));
}

void SwiGlu(const float* gate, const float* up, int64_t n, float* out) {
  Map2(gate, up, n, out, [](V g, V u) HWY_ATTR { return hn::Mul(Silu(g), u); });
}

void GeGlu(const float* gate, const float* up, int64_t n, float* out) {
  Map2(gate, up, n, out, [](V g, V u) HWY_ATTR { return hn::Mul(Gelu(g), u); });
}

void Add(const float* a, const float* b, int64_t n, float* out) {
  Map2(a, b, n, out, [](V x, V y) HWY_ATTR { return hn::Add(x, y); });
}

void Scale(float* x, float factor, int64_t n) {
  const V f = hn::Set(kD, factor);
  Map(x, n, x, [f](V v) HWY_ATTR { return hn::Mul(v, f); });
}

void Softcap(float* x, float cap, int64_t n) {
  const V c = hn::Set(kD, cap), inverse = hn::Set(kD, 1.0f / cap);
  Map(x, n, x, [c, inverse](V v) HWY_ATTR { return hn::Mul(c, Tanh(hn::Mul(v, inverse))); });
}

float Max(const float* x, int64_t n) {
  V max = hn::Set(kD, -std::numeric_limits<float>::infinity());
  int64_t i = 0;
  // MAXPS returns its second operand where one is NaN: the maximum so far.
  for (; i + kLanes <= n; i += kLanes) max = hn::Max(hn::LoadU(kD, x + i), max);
  if (i < n) {
    const Tail tail(x + i, n - i, -std::numeric_limits<float>::infinity());
    max = hn::Max(hn::Load(kD, tail.x), max);
  }
  return hn::GetLane(hn::MaxOfLanes(kD, max));
}

double SumExp(const float* x, float max, int64_t n) {
  constexpr int64_t kBlock = 32 * kLanes;  // summed in float, blocks in double
  const V m = hn::Set(kD, max);
  double total = 0.0;
  for (int64_t block = 0; block < n; block += kBlock) {
    const int64_t end = HWY_MIN(n, block + kBlock);
    V sum = hn::Zero(kD);
    int64_t i = block;
    for (; i + kLanes <= end; i += kLanes) {
      sum = hn::Add(sum, Exp(hn::Sub(hn::LoadU(kD, x + i), m)));
    }
    if (i < end) {
      const Tail tail(x + i, end - i, -std::numeric_limits<float>::infinity());
      sum = hn::Add(sum, Exp(hn::Sub(hn::Load(kD, tail.x), m)));
    }
    total += hn::GetLane(hn::SumOfLanes(kD, sum));
  }
  return total;
}

void ExpMinus(const float* x, float offset, int64_t n, float* out) {
  const V o = hn::Set(kD, offset);
  Map(x, n, out, [o](V v) HWY_ATTR { return Exp(hn::Sub(v, o)); });
}

extern const ElementwiseTable kElementwise;
const ElementwiseTable kElementwise = {SumSquares, ScaleWeight, RotatePairs, RotateHalves,
                                       SwiGlu,     GeGlu,       Add,         Scale,
                                       Softcap,    Max,         SumExp,      ExpMinus};

}  // namespace kvasir::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
