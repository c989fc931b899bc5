// Vectors of the planes of floats: of keys neighbouring slots of a channel, of values neighbouring
// channels of a slot.
#if defined(KVASIR_KERNELS_CPU_FLOAT_READ_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef KVASIR_KERNELS_CPU_FLOAT_READ_INL_H_
#undef KVASIR_KERNELS_CPU_FLOAT_READ_INL_H_
#else
#define KVASIR_KERNELS_CPU_FLOAT_READ_INL_H_
#endif

#include "hwy/highway.h"
#include "kernels/plane_format.h"

HWY_BEFORE_NAMESPACE();
namespace kvasir::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr int kLanes = HWY_MAX_BYTES / sizeof(float);

HWY_INLINE V LoadF16(const std::byte* from) {
  const hn::Rebind<hwy::float16_t, D> dh;
  return hn::PromoteTo(D(), hn::LoadU(dh, reinterpret_cast<const hwy::float16_t*>(from)));
}

HWY_INLINE V LoadBF16(const std::byte* from) {
  const hn::RebindToUnsigned<D> du;
  const hn::Rebind<uint16_t, D> dh;
  const auto bits = hn::LoadU(dh, reinterpret_cast<const uint16_t*>(from));
  return hn::BitCast(D(), hn::ShiftLeft<16>(hn::PromoteTo(du, bits)));
}

// The vector from element `index` on.
template <CodecId kCodec>
HWY_INLINE V LoadElements(const std::byte* plane, int index) {
  if constexpr (kCodec == CodecId::kF32) {
    return hn::LoadU(D(), reinterpret_cast<const float*>(plane) + index);
  } else if constexpr (kCodec == CodecId::kF16) {
    return LoadF16(plane + index * 2);
  } else {
    return LoadBF16(plane + index * 2);
  }
}
template <CodecId kCodec>
constexpr int kElementBytes = kCodec == CodecId::kF32 ? 4 : 2;

}  // namespace kvasir::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
