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

  // Channel + k; channel is even and k a constant 0 or 1, so that two nibbles share a load.
  HWY_INLINE V Load(int channel, int k, int slot, const Affine& a) const {
    if constexpr (kCodec == CodecId::kF32) {
      return hn::LoadU(D(),
                       reinterpret_cast<const float*>(plane) + (channel + k) * kPageEntries + slot);
    } else if constexpr (kCodec == CodecId::kF16) {
      return LoadF16(plane + ((channel + k) * kPageEntries + slot) * 2);
    } else if constexpr (kCodec == CodecId::kBF16) {
      return LoadBF16(plane + ((channel + k) * kPageEntries + slot) * 2);
    } else if constexpr (kCodec == CodecId::kQ8) {
      return hn::Mul(LoadI8(plane + (channel + k) * kPageEntries + slot), a.scale);
    } else {
      const std::byte* codes = plane + channel / 2 * kPageEntries + slot;
      return hn::MulAdd(LoadU4(codes, k != 0), a.scale, a.min);
    }
  }
};

template <CodecId kCodec>
class ValueReader {
 public:
  HWY_INLINE ValueReader(const std::byte* plane, int head_dim)
      : plane_(plane), head_dim_(head_dim), groups_(Groups(head_dim)) {
    if constexpr (kCodec == CodecId::kQ8 || kCodec == CodecId::kQ4) {
      const std::byte* from = plane + CodeBytes(kCodec, PlaneKind::kValues, head_dim);
      const int n = ScaleArrays(kCodec) * groups_ * kPageEntries;  // scales, then minima
      for (int i = 0; i < n; i += kLanes) hn::Store(LoadF16(from + i * 2), D(), scales_ + i);
    }
  }
  int head_dim() const { return head_dim_; }

  // Channels from channel + v * kLanes on; channel is a multiple of 32, v a constant.
  HWY_INLINE V Load(int slot, int channel, int v) const {
    const int index = slot * head_dim_ + channel + v * kLanes;
    if constexpr (kCodec == CodecId::kF32) {
      return hn::LoadU(D(), reinterpret_cast<const float*>(plane_) + index);
    } else if constexpr (kCodec == CodecId::kF16) {
      return LoadF16(plane_ + index * 2);
    } else if constexpr (kCodec == CodecId::kBF16) {
      return LoadBF16(plane_ + index * 2);
    } else {
      const int group = slot * groups_ + channel / kGroupChannels + v * kLanes / kGroupChannels;
      const V scale = hn::Set(D(), scales_[group]);
      if constexpr (kCodec == CodecId::kQ8) {
        return hn::Mul(LoadI8(plane_ + index), scale);
      } else {
        const int in_group = v * kLanes % kGroupChannels;
        const V codes = LoadU4(plane_ + group * 16 + in_group % 16, in_group >= 16);
        return hn::MulAdd(codes, scale, hn::Set(D(), scales_[groups_ * kPageEntries + group]));
      }
    }
  }

 private:
  static constexpr int kMaxScales = ScaleArrays(kCodec) * 256 / kGroupChannels * kPageEntries;

  const std::byte* plane_;
  int head_dim_, groups_;
  HWY_ALIGN float scales_[kMaxScales + 1];  // as floats, once a page
};

}  // namespace kvasir::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
