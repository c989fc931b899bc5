#include "kernels/cpu/codec_encode.h"

#include "base/half.h"
#include "kernels/cpu/hwy_targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/codec_encode.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace kvasir::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Eight lanes suit every head size; encoding is far from the hot loops.
using D = hn::CappedTag<float, 8>;
using DI = hn::RebindToSigned<D>;
using V = hn::Vec<D>;
constexpr D kD;
constexpr int kLanes = 8;
constexpr float kMaxF16 = 65504.0f;

void ToF16Row(const float* x, int n, uint16_t* out) {
  const hn::Rebind<hwy::float16_t, D> dh;
  for (int i = 0; i < n; i += kLanes) {
    const V v = hn::LoadU(kD, x + i);
    // MINPS and MAXPS return their second operand where one is NaN.
    const V clamped = hn::Max(hn::Set(kD, -kMaxF16), hn::Min(hn::Set(kD, kMaxF16), v));
    hn::StoreU(hn::DemoteTo(dh, clamped), dh, reinterpret_cast<hwy::float16_t*>(out + i));
  }
}

void FromF16Row(const uint16_t* x, int n, float* out) {
  const hn::Rebind<hwy::float16_t, D> dh;
  for (int i = 0; i < n; i += kLanes) {
    const auto v = hn::LoadU(dh, reinterpret_cast<const hwy::float16_t*>(x + i));
    hn::StoreU(hn::PromoteTo(kD, v), kD, out + i);
  }
}

void ToBF16Row(const float* x, int n, uint16_t* out) {
  const hn::RebindToUnsigned<D> du;
  const hn::Rebind<uint16_t, D> du16;
  for (int i = 0; i < n; i += kLanes) {
    const V v = hn::LoadU(kD, x + i);
    const auto bits = hn::BitCast(du, v);
    const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1u));
    const auto rounded = hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(du, 0x7fffu))));
    const auto quiet = hn::Or(hn::ShiftRight<16>(bits), hn::Set(du, 0x40u));
    const auto is_nan = hn::RebindMask(du, hn::IsNaN(v));
    const auto result = hn::IfThenElse(is_nan, quiet, rounded);
    // DemoteTo saturates signed input: 16-bit patterns fit as unsigned.
    hn::StoreU(hn::DemoteTo(du16, hn::BitCast(DI(), result)), du16, out + i);
  }
}

// Codes of round((x - min) / scale), clamped to [low, high].
HWY_INLINE void Quantise(const float* x, int n, float min, float inverse, float low, float high,
                         int32_t* codes) {
  for (int i = 0; i < n; i += kLanes) {
    V v = hn::Mul(hn::Sub(hn::LoadU(kD, x + i), hn::Set(kD, min)), hn::Set(kD, inverse));
    v = hn::Min(hn::Max(v, hn::Set(kD, low)), hn::Set(kD, high));  // NaN becomes `low`
    hn::StoreU(hn::NearestInt(v), DI(), codes + i);
  }
}

// Nearest f16 of a finite scale, and what division by it needs.
struct Scale {
  F16 half;
  float inverse;
};
Scale MakeScale(float value) {
  const F16 half = kvasir::ToF16(value < kMaxF16 ? value : kMaxF16);
  const float back = ToFloat(half);
  return {half, back > 0.0f ? 1.0f / back : 0.0f};
}

void ToQ8(const float* x, int n, int8_t* codes, uint16_t* scale) {
  V max = hn::Zero(kD);
  for (int i = 0; i < n; i += kLanes) max = hn::Max(hn::Abs(hn::LoadU(kD, x + i)), max);
  const Scale s = MakeScale(hn::GetLane(hn::MaxOfLanes(kD, max)) / 127.0f);
  int32_t wide[32];
  Quantise(x, n, 0.0f, s.inverse, -127.0f, 127.0f, wide);
  for (int i = 0; i < n; ++i) codes[i] = static_cast<int8_t>(wide[i]);
  *scale = s.half.bits;
}

void ToQ4(const float* x, int n, uint8_t* codes, uint16_t* scale, uint16_t* min) {
  V low = hn::Set(kD, kMaxF16), high = hn::Set(kD, -kMaxF16);
  for (int i = 0; i < n; i += kLanes) {
    const V v = hn::LoadU(kD, x + i);
    low = hn::Min(v, low);
    high = hn::Max(v, high);
  }
  float least = hn::GetLane(hn::MinOfLanes(kD, low));
  least = least > -kMaxF16 ? least : -kMaxF16;
  const F16 half_min = kvasir::ToF16(least);
  const float back_min = ToFloat(half_min);
  // The range from the minimum as stored: the largest value is then exact to half a step.
  const float range = hn::GetLane(hn::MaxOfLanes(kD, high)) - back_min;
  const Scale s = MakeScale(range > 0.0f ? range / 15.0f : 0.0f);
  int32_t wide[32];
  Quantise(x, n, back_min, s.inverse, 0.0f, 15.0f, wide);
  for (int i = 0; i < n; ++i) codes[i] = static_cast<uint8_t>(wide[i]);
  *scale = s.half.bits;
  *min = half_min.bits;
}

extern const EncodeTable kEncode;
const EncodeTable kEncode = {ToF16Row, ToBF16Row, FromF16Row, ToQ8, ToQ4};

}  // namespace kvasir::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
