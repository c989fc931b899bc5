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

constexpr std::array<std::string_view, 5> kNames = {"f32", "f16", "bf16", "q8", "q4"};
constexpr int kMaxHeadDim = 256;
constexpr int kRows = 16;  // encoded at a time, to keep the buffer small

// The codes of an entry are `count` elements of `width` bytes, none shared with another entry:
// element e is at [e][slot] of a key plane, [slot][e] of a value plane. An element of q4 is a byte
// of two codes: channels (2e, 2e + 1) of keys; channels e and e + 16 of its group of values.
struct Elements {
  int count, width;
};

Elements ElementsOf(CodecId codec, PlaneKind kind, int head_dim) {
  switch (codec) {
    case CodecId::kF32:
      return {head_dim, 4};
    case CodecId::kF16:
    case CodecId::kBF16:
      return {head_dim, 2};
    case CodecId::kQ8:
      return {head_dim, 1};
    case CodecId::kQ4:
      return {kind == PlaneKind::kKeys ? head_dim / 2 : Groups(head_dim) * kGroupChannels / 2, 1};
  }
  return {0, 0};
}

// Byte of a group's scale (array 0) or minimum (array 1).
int64_t ScaleByte(CodecId codec, PlaneKind kind, int head_dim, int array, int slot, int group) {
  const int64_t index = kind == PlaneKind::kKeys ? int64_t{group} * kPageEntries + slot
                                                 : int64_t{slot} * Groups(head_dim) + group;
  return CodeBytes(codec, kind, head_dim) + array * ScaleBytes(head_dim) + index * 2;
}

// Where channel c of an entry is: an element, and the shift of its nibble.
struct Code {
  int element, shift;
};

Code CodeOf(CodecId codec, PlaneKind kind, int c) {
  if (codec != CodecId::kQ4) return {c, 0};
  if (kind == PlaneKind::kKeys) return {c / 2, c % 2 * 4};
  return {c / kGroupChannels * 16 + c % 16, c % kGroupChannels / 16 * 4};
}

// Copies rows [n][count] of elements to their slots: a transpose for keys.
template <class T>
void Place(PlaneKind kind, int count, const T* rows, int64_t stride, int slot, int n,
           std::byte* plane) {
  T* to = reinterpret_cast<T*>(plane);
  if (kind == PlaneKind::kValues) {
    for (int i = 0; i < n; ++i) {
      std::memcpy(to + int64_t{slot + i} * count, rows + i * stride, count * sizeof(T));
    }
    return;
  }
  for (int e = 0; e < count; ++e) {
    for (int i = 0; i < n; ++i) to[int64_t{e} * kPageEntries + slot + i] = rows[i * stride + e];
  }
}

// The elements of one entry in q8 or q4; its scales go to the plane at once.
void EncodeGrouped(const cpu::EncodeTable& table, CodecId codec, PlaneKind kind, int head_dim,
                   const float* x, int slot, std::byte* plane, uint8_t* elements) {
  if (codec == CodecId::kQ4) std::memset(elements, 0, ElementsOf(codec, kind, head_dim).count);
  for (int group = 0; group < Groups(head_dim); ++group) {
    const int c0 = group * kGroupChannels, n = std::min(kGroupChannels, head_dim - c0);
    uint16_t scale, min;
    if (codec == CodecId::kQ8) {
      table.to_q8(x + c0, n, reinterpret_cast<int8_t*>(elements + c0), &scale);
    } else {
      uint8_t codes[kGroupChannels];
      table.to_q4(x + c0, n, codes, &scale, &min);
      for (int i = 0; i < n; ++i) {
        const Code code = CodeOf(codec, kind, c0 + i);
        elements[code.element] |= static_cast<uint8_t>(codes[i] << code.shift);
      }
      std::memcpy(plane + ScaleByte(codec, kind, head_dim, 1, slot, group), &min, 2);
    }
    std::memcpy(plane + ScaleByte(codec, kind, head_dim, 0, slot, group), &scale, 2);
  }
}

// The elements of one entry, contiguous: the inverse of Place.
template <class T>
void Fetch(PlaneKind kind, int count, const std::byte* plane, int slot, T* elements) {
  const T* from = reinterpret_cast<const T*>(plane);
  if (kind == PlaneKind::kValues) {
    std::memcpy(elements, from + int64_t{slot} * count, count * sizeof(T));
    return;
  }
  for (int e = 0; e < count; ++e) elements[e] = from[int64_t{e} * kPageEntries + slot];
}

void DecodeGrouped(CodecId codec, PlaneKind kind, int head_dim, const std::byte* plane, int slot,
                   float* x) {
  uint8_t elements[kMaxHeadDim];
  Fetch(kind, ElementsOf(codec, kind, head_dim).count, plane, slot, elements);
  for (int group = 0; group < Groups(head_dim); ++group) {
    const int c0 = group * kGroupChannels, end = std::min(c0 + kGroupChannels, head_dim);
    const auto constant = [&](int array) {
      F16 half;
      std::memcpy(&half, plane + ScaleByte(codec, kind, head_dim, array, slot, group), 2);
      return ToFloat(half);
    };
    const float scale = constant(0), min = codec == CodecId::kQ4 ? constant(1) : 0.0f;
    for (int c = c0; c < end; ++c) {
      const Code code = CodeOf(codec, kind, c);
      // Both products are exact in f32: 8 or 4 bits times 11.
      x[c] = codec == CodecId::kQ8
                 ? static_cast<float>(static_cast<int8_t>(elements[c])) * scale
                 : static_cast<float>(elements[code.element] >> code.shift & 15) * scale + min;
    }
  }
}

void DecodeEntry(CodecId codec, PlaneKind kind, int head_dim, const std::byte* plane, int slot,
                 float* x) {
  uint16_t halves[kMaxHeadDim];
  switch (codec) {
    case CodecId::kF32:
      return Fetch(kind, head_dim, plane, slot, x);
    case CodecId::kF16:
      Fetch(kind, head_dim, plane, slot, halves);
      return cpu::N_AVX2::kEncode.from_f16(halves, head_dim, x);  // the least that we run on
    case CodecId::kBF16:
      Fetch(kind, head_dim, plane, slot, halves);
      for (int c = 0; c < head_dim; ++c) x[c] = ToFloat(BF16{halves[c]});
      return;
    case CodecId::kQ8:
    case CodecId::kQ4:
      return DecodeGrouped(codec, kind, head_dim, plane, slot, x);
  }
}

template <class T>
void CopyElements(PlaneKind kind, int count, const std::byte* from, int from_slot, std::byte* to,
                  int to_slot) {
  T elements[kMaxHeadDim];
  Fetch(kind, count, from, from_slot, elements);
  Place(kind, count, elements, count, to_slot, 1, to);
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
      const auto encode = codec == CodecId::kF16 ? table.to_f16 : table.to_bf16;
      uint16_t rows[kRows * kMaxHeadDim];
      for (int done = 0; done < n; done += kRows) {
        const int now = std::min(kRows, n - done);
        for (int i = 0; i < now; ++i) {
          encode(x + (done + i) * x_stride, head_dim, rows + i * head_dim);
        }
        Place(kind, head_dim, rows, head_dim, slot + done, now, plane);
      }
      return;
    }
    case CodecId::kQ8:
    case CodecId::kQ4: {
      const int count = ElementsOf(codec, kind, head_dim).count;
      uint8_t rows[kRows * kMaxHeadDim];
      for (int done = 0; done < n; done += kRows) {
        const int now = std::min(kRows, n - done);
        for (int i = 0; i < now; ++i) {
          EncodeGrouped(table, codec, kind, head_dim, x + (done + i) * x_stride, slot + done + i,
                        plane, rows + i * count);
        }
        Place(kind, count, rows, count, slot + done, now, plane);
      }
    }
  }
}

void DecodeEntries(CodecId codec, PlaneKind kind, int head_dim, const std::byte* plane, int slot,
                   int n, float* x, int64_t x_stride) {
  KV_CHECK(slot >= 0 && n >= 0 && slot + n <= kPageEntries);
  KV_CHECK(head_dim > 0 && head_dim <= kMaxHeadDim);
  for (int i = 0; i < n; ++i) {
    DecodeEntry(codec, kind, head_dim, plane, slot + i, x + i * x_stride);
  }
}

void CopyEntry(CodecId codec, PlaneKind kind, int head_dim, const std::byte* from, int from_slot,
               std::byte* to, int to_slot) {
  KV_CHECK(head_dim > 0 && head_dim <= kMaxHeadDim);
  const Elements elements = ElementsOf(codec, kind, head_dim);
  const auto copy = elements.width == 4   ? CopyElements<uint32_t>
                    : elements.width == 2 ? CopyElements<uint16_t>
                                          : CopyElements<uint8_t>;
  copy(kind, elements.count, from, from_slot, to, to_slot);
  for (int array = 0; array < cpu::ScaleArrays(codec); ++array) {
    for (int group = 0; group < Groups(head_dim); ++group) {
      std::memmove(to + ScaleByte(codec, kind, head_dim, array, to_slot, group),
                   from + ScaleByte(codec, kind, head_dim, array, from_slot, group), 2);
    }
  }
}

}  // namespace kvasir
