// Readers: a vector of keys (one channel, neighbouring slots) or values (one slot, neighbouring
// channels) as floats, for each codec. All decoding in kernels goes through these, so a value has
// the same bits whichever kernel reads it.
#if defined(KVASIR_KERNELS_CPU_CODEC_READ_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef KVASIR_KERNELS_CPU_CODEC_READ_INL_H_
#undef KVASIR_KERNELS_CPU_CODEC_READ_INL_H_
#else
#define KVASIR_KERNELS_CPU_CODEC_READ_INL_H_
#endif

#include "hwy/highway.h"
#include "kernels/cpu/codec_layout.h"

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

// One f16 in all lanes.
HWY_INLINE V BroadcastF16(const std::byte* from) {
  const hn::Rebind<hwy::float16_t, D> dh;
  const hn::Rebind<uint16_t, D> du;
  return hn::PromoteTo(D(), hn::BitCast(dh, hn::Set(du, *reinterpret_cast<const uint16_t*>(from))));
}

HWY_INLINE V LoadBF16(const std::byte* from) {
  const hn::RebindToUnsigned<D> du;
  const hn::Rebind<uint16_t, D> dh;
  const auto bits = hn::LoadU(dh, reinterpret_cast<const uint16_t*>(from));
  return hn::BitCast(D(), hn::ShiftLeft<16>(hn::PromoteTo(du, bits)));
}

HWY_INLINE V LoadI8(const std::byte* from) {
  const hn::RebindToSigned<D> di;
  const hn::Rebind<int8_t, D> d8;
  const auto codes = hn::LoadU(d8, reinterpret_cast<const int8_t*>(from));
  return hn::ConvertTo(D(), hn::PromoteTo(di, codes));
}

// The low or high nibbles of neighbouring bytes.
HWY_INLINE V LoadU4(const std::byte* from, bool high) {
  const hn::RebindToSigned<D> di;
  const hn::Rebind<uint8_t, D> d8;
  auto codes = hn::PromoteTo(di, hn::LoadU(d8, reinterpret_cast<const uint8_t*>(from)));
  codes = high ? hn::ShiftRight<4>(codes) : hn::And(codes, hn::Set(di, 15));
  return hn::ConvertTo(D(), codes);
}

// Scale and minimum of the vector at hand; floats have none.
struct Affine {
  V scale, min;
};

template <CodecId kCodec>
struct KeyReader {
  const std::byte* plane;
  int head_dim;

  // Bytes of the codes of one channel of 64 slots.
  static constexpr int kChannelBytes = kCodec == CodecId::kF32  ? 256
                                       : kCodec == CodecId::kQ8 ? 64
                                       : kCodec == CodecId::kQ4 ? 32
                                                                : 128;

  HWY_INLINE Affine LoadAffine(int group, int slot) const {
    Affine a{};
    if constexpr (kCodec == CodecId::kQ8 || kCodec == CodecId::kQ4) {
      const std::byte* scales = plane + int64_t{head_dim} * kChannelBytes;
      const int64_t at = (int64_t{group} * kPageEntries + slot) * 2;
      a.scale = LoadF16(scales + at);
      if constexpr (kCodec == CodecId::kQ4) a.min = LoadF16(scales + ScaleBytes(head_dim) + at);
    }
    return a;
  }

  HWY_INLINE V Load(int channel, int slot, const Affine& a) const {
    if constexpr (kCodec == CodecId::kF32) {
      return hn::LoadU(D(), reinterpret_cast<const float*>(plane) + channel * kPageEntries + slot);
    } else if constexpr (kCodec == CodecId::kF16) {
      return LoadF16(plane + (channel * kPageEntries + slot) * 2);
    } else if constexpr (kCodec == CodecId::kBF16) {
      return LoadBF16(plane + (channel * kPageEntries + slot) * 2);
    } else if constexpr (kCodec == CodecId::kQ8) {
      return hn::Mul(LoadI8(plane + channel * kPageEntries + slot), a.scale);
    } else {
      const std::byte* codes = plane + channel / 2 * kPageEntries + slot;
      return hn::MulAdd(LoadU4(codes, channel % 2 != 0), a.scale, a.min);
    }
  }
};

template <CodecId kCodec>
struct ValueReader {
  const std::byte* plane;
  int head_dim;

  HWY_INLINE V Load(int slot, int channel) const {
    const int index = slot * head_dim + channel;
    if constexpr (kCodec == CodecId::kF32) {
      return hn::LoadU(D(), reinterpret_cast<const float*>(plane) + index);
    } else if constexpr (kCodec == CodecId::kF16) {
      return LoadF16(plane + index * 2);
    } else if constexpr (kCodec == CodecId::kBF16) {
      return LoadBF16(plane + index * 2);
    } else {
      const int groups = Groups(head_dim);
      const int group = slot * groups + channel / kGroupChannels;
      const std::byte* scale = plane + CodeBytes(kCodec, PlaneKind::kValues, head_dim) + group * 2;
      if constexpr (kCodec == CodecId::kQ8) {
        return hn::Mul(LoadI8(plane + index), BroadcastF16(scale));
      } else {
        const int in_group = channel % kGroupChannels;
        const V codes = LoadU4(plane + group * 16 + in_group % 16, in_group >= 16);
        return hn::MulAdd(codes, BroadcastF16(scale), BroadcastF16(scale + ScaleBytes(head_dim)));
      }
    }
  }
};

}  // namespace kvasir::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
