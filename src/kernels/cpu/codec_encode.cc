#include "kernels/cpu/codec_encode.h"

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

void Absorb(const float* x, int n, float* low, float* high) {
  for (int i = 0; i < n; i += kLanes) {
    const V v = hn::LoadU(kD, x + i);
    // MINPS and MAXPS return their second operand where one is NaN: what was there stays.
    hn::StoreU(hn::Min(v, hn::LoadU(kD, low + i)), kD, low + i);
    hn::StoreU(hn::Max(v, hn::LoadU(kD, high + i)), kD, high + i);
  }
}

void ToCodes(const float* x, int n, const float* min, const float* scale, CodeRange range,
             uint8_t* codes) {
  const hn::Rebind<uint8_t, D> d8;
  const V zero = hn::Zero(kD);
  const V lowest = hn::Set(kD, static_cast<float>(range.lowest - range.zero));
  const V highest = hn::Set(kD, static_cast<float>(range.highest - range.zero));
  const auto offset = hn::Set(DI(), range.zero);
  for (int i = 0; i < n; i += kLanes) {
    const V step = hn::LoadU(kD, scale + i);
    V v = hn::Div(hn::Sub(hn::LoadU(kD, x + i), hn::LoadU(kD, min + i)), step);
    v = hn::IfThenElse(hn::Eq(step, zero), zero, v);
    v = hn::Min(hn::Max(v, lowest), highest);  // NaN becomes the lowest
    hn::StoreU(hn::DemoteTo(d8, hn::Add(hn::NearestInt(v), offset)), d8, codes + i);
  }
}

extern const EncodeTable kEncode;
const EncodeTable kEncode = {ToF16Row, ToBF16Row, FromF16Row, Absorb, ToCodes};

}  // namespace kvasir::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
