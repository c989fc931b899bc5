#include "kernels/codec.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/half.h"
#include "kernels/cpu/codec_encode.h"
#include "kernels/cpu/codec_layout.h"

namespace kvasir {
namespace {

using cpu::CodeBytes;
using cpu::Groups;
using cpu::kGroupChannels;
using cpu::ScaleBytes;
using cpu::ValueRowBytes;

constexpr std::array<std::string_view, 5> kNames = {"f32", "f16", "bf16", "q8", "q4"};
constexpr int kMaxHeadDim = 256;

// A code of one channel of one entry, whatever its width.
struct Element {
  int64_t byte;
  int shift;  // of a nibble
};

Element Locate(CodecId codec, PlaneKind kind, int head_dim, int slot, int channel) {
  if (codec == CodecId::kQ4) {
    if (kind == PlaneKind::kKeys) {
      return {int64_t{channel / 2} * kPageEntries + slot, channel % 2 * 4};
    }
    const int in_group = channel % kGroupChannels;
    return {slot * ValueRowBytes(codec, head_dim) + channel / kGroupChannels * 16 + in_group % 16,
            in_group / 16 * 4};
  }
  const int64_t width = codec == CodecId::kF32 ? 4 : codec == CodecId::kQ8 ? 1 : 2;
  const int64_t index = kind == PlaneKind::kKeys ? int64_t{channel} * kPageEntries + slot
                                                 : int64_t{slot} * head_dim + channel;
  return {index * width, 0};
}

// Byte of a group's scale (array 0) or minimum (array 1).
int64_t ScaleByte(CodecId codec, PlaneKind kind, int head_dim, int array, int slot, int group) {
  const int64_t index = kind == PlaneKind::kKeys ? int64_t{group} * kPageEntries + slot
                                                 : int64_t{slot} * Groups(head_dim) + group;
  return CodeBytes(codec, kind, head_dim) + array * ScaleBytes(head_dim) + index * 2;
}

template <class T>
T Read(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}
template <class T>
void Write(std::byte* to, T value) {
  std::memcpy(to, &value, sizeof(T));
}

// Copies rows [n][head_dim] of whole elements to their slots: the transpose for keys.
template <class T>
void Place(PlaneKind kind, int head_dim, const T* rows, int64_t stride, int slot, int n,
           std::byte* plane) {
  T* to = reinterpret_cast<T*>(plane);
  if (kind == PlaneKind::kValues) {
    for (int i = 0; i < n; ++i) {
      std::memcpy(to + int64_t{slot + i} * head_dim, rows + i * stride, head_dim * sizeof(T));
    }
    return;
  }
  for (int c = 0; c < head_dim; ++c) {
    for (int i = 0; i < n; ++i) to[int64_t{c} * kPageEntries + slot + i] = rows[i * stride + c];
  }
}

void EncodeGrouped(const cpu::EncodeTable& table, CodecId codec, PlaneKind kind, int head_dim,
                   const float* x, int slot, std::byte* plane) {
  for (int group = 0; group < Groups(head_dim); ++group) {
    const int c0 = group * kGroupChannels, n = std::min(kGroupChannels, head_dim - c0);
    uint8_t codes[kGroupChannels];
    uint16_t scale, min = 0;
    if (codec == CodecId::kQ8) {
      table.to_q8(x + c0, n, reinterpret_cast<int8_t*>(codes), &scale);
    } else {
      table.to_q4(x + c0, n, codes, &scale, &min);
      Write(plane + ScaleByte(codec, kind, head_dim, 1, slot, group), min);
    }
    Write(plane + ScaleByte(codec, kind, head_dim, 0, slot, group), scale);
    for (int i = 0; i < n; ++i) {
      const Element e = Locate(codec, kind, head_dim, slot, c0 + i);
      if (codec == CodecId::kQ8) {
        plane[e.byte] = std::byte{codes[i]};
      } else {
        const auto keep = std::byte(0xf0 >> e.shift);
        plane[e.byte] = (plane[e.byte] & keep) | std::byte(codes[i] << e.shift);
      }
    }
  }
}

float DecodeElement(CodecId codec, PlaneKind kind, int head_dim, const std::byte* plane, int slot,
                    int channel) {
  const Element e = Locate(codec, kind, head_dim, slot, channel);
  const std::byte* at = plane + e.byte;
  const auto scale = [&](int array) {
    const int64_t byte = ScaleByte(codec, kind, head_dim, array, slot, channel / kGroupChannels);
    return ToFloat(F16{Read<uint16_t>(plane + byte)});
  };
  switch (codec) {
    case CodecId::kF32:
      return Read<float>(at);
    case CodecId::kF16:
      return ToFloat(F16{Read<uint16_t>(at)});
    case CodecId::kBF16:
      return ToFloat(BF16{Read<uint16_t>(at)});
    case CodecId::kQ8:
      return static_cast<float>(static_cast<int8_t>(*at)) * scale(0);
    case CodecId::kQ4:  // the product is exact: 4 bits times 11
      return static_cast<float>(static_cast<int>(*at) >> e.shift & 15) * scale(0) + scale(1);
  }
  return 0.0f;
}

}  // namespace

std::string_view CodecName(CodecId codec) { return kNames[static_cast<size_t>(codec)]; }

Result<CodecId> ParseCodec(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<CodecId>(i);
  }
  return Fail("no codec '{}': f32, f16, bf16, q8 or q4", name);
}

int64_t PlaneBytes(CodecId codec, PlaneKind kind, int head_dim) {
  KV_CHECK(head_dim > 0 && head_dim <= kMaxHeadDim && head_dim % 16 == 0);
  const int64_t bytes =
      CodeBytes(codec, kind, head_dim) + cpu::ScaleArrays(codec) * ScaleBytes(head_dim);
  return (bytes + 127) / 128 * 128;
}

void EncodeEntries(Isa isa, CodecId codec, PlaneKind kind, int head_dim, const float* x,
                   int64_t x_stride, int slot, int n, std::byte* plane) {
  KV_CHECK(slot >= 0 && n >= 0 && slot + n <= kPageEntries);
  KV_CHECK(head_dim > 0 && head_dim <= kMaxHeadDim && head_dim % 16 == 0);
  const cpu::EncodeTable& table = isa == Isa::kAvx2 ? cpu::N_AVX2::kEncode : cpu::N_AVX3::kEncode;
  switch (codec) {
    case CodecId::kF32:
      return Place(kind, head_dim, x, x_stride, slot, n, plane);
    case CodecId::kF16:
    case CodecId::kBF16: {
      constexpr int kRows = 16;  // at a time, to keep the buffer small
      uint16_t rows[kRows * kMaxHeadDim];
      for (int done = 0; done < n; done += kRows) {
        const int now = std::min(kRows, n - done);
        for (int i = 0; i < now; ++i) {
          const auto encode = codec == CodecId::kF16 ? table.to_f16 : table.to_bf16;
          encode(x + (done + i) * x_stride, head_dim, rows + i * head_dim);
        }
        Place(kind, head_dim, rows, head_dim, slot + done, now, plane);
      }
      return;
    }
    case CodecId::kQ8:
    case CodecId::kQ4:
      for (int i = 0; i < n; ++i) {
        EncodeGrouped(table, codec, kind, head_dim, x + i * x_stride, slot + i, plane);
      }
  }
}

void DecodeEntries(CodecId codec, PlaneKind kind, int head_dim, const std::byte* plane, int slot,
                   int n, float* x, int64_t x_stride) {
  KV_CHECK(slot >= 0 && n >= 0 && slot + n <= kPageEntries);
  for (int i = 0; i < n; ++i) {
    for (int c = 0; c < head_dim; ++c) {
      x[i * x_stride + c] = DecodeElement(codec, kind, head_dim, plane, slot + i, c);
    }
  }
}

void CopyEntry(CodecId codec, PlaneKind kind, int head_dim, const std::byte* from, int from_slot,
               std::byte* to, int to_slot) {
  const int64_t width = codec == CodecId::kF32 ? 4 : codec == CodecId::kQ8 ? 1 : 2;
  for (int c = 0; c < head_dim; ++c) {
    const Element source = Locate(codec, kind, head_dim, from_slot, c);
    const Element target = Locate(codec, kind, head_dim, to_slot, c);
    if (codec == CodecId::kQ4) {
      const auto keep = std::byte(0xf0 >> target.shift);
      const auto code = std::byte(15) & (from[source.byte] >> source.shift);
      to[target.byte] = (to[target.byte] & keep) | (code << target.shift);
    } else {
      std::memmove(to + target.byte, from + source.byte, width);
    }
  }
  for (int array = 0; array < cpu::ScaleArrays(codec); ++array) {
    for (int group = 0; group < Groups(head_dim); ++group) {
      std::memmove(to + ScaleByte(codec, kind, head_dim, array, to_slot, group),
                   from + ScaleByte(codec, kind, head_dim, array, from_slot, group), 2);
    }
  }
}

}  // namespace kvasir
