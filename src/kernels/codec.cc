#include "kernels/codec.h"

#include <algorithm>
#include <cstring>

#include "base/half.h"
#include "kernels/cpu/codec_encode.h"
#include "kernels/cpu/codec_layout.h"
#include "kernels/cpu/grid_codes.h"
#include "kernels/cpu/i16_codes.h"

namespace kvasir {
namespace {

using cpu::EncodeTable;
using cpu::Grids;

void CheckSlots(const PlaneFormat& format, PlaneKind kind, int slot, int n) {
  KV_CHECK(CheckFormat(format, kind));
  KV_CHECK(slot >= 0 && n >= 0 && slot + n <= kPageEntries);
}

const EncodeTable& TableOf(Isa isa) {
  return isa == Isa::kAvx2 ? cpu::N_AVX2::kEncode : cpu::N_AVX3::kEncode;
}

template <class T>
void PutRow(PlaneKind kind, int dim, const T* row, int slot, std::byte* plane) {
  T* to = reinterpret_cast<T*>(plane);
  if (kind == PlaneKind::kValues) {
    std::copy_n(row, dim, to + int64_t{slot} * dim);
  } else {
    for (int c = 0; c < dim; ++c) to[int64_t{c} * kPageEntries + slot] = row[c];
  }
}

template <class T>
void GetRow(PlaneKind kind, int dim, const std::byte* plane, int slot, T* row) {
  const T* from = reinterpret_cast<const T*>(plane);
  if (kind == PlaneKind::kValues) {
    std::copy_n(from + int64_t{slot} * dim, dim, row);
  } else {
    for (int c = 0; c < dim; ++c) row[c] = from[int64_t{c} * kPageEntries + slot];
  }
}

void EncodeFloats(const EncodeTable& table, const PlaneFormat& format, PlaneKind kind,
                  const float* x, int slot, std::byte* plane) {
  if (format.codec == CodecId::kF32) return PutRow(kind, format.dim, x, slot, plane);
  const cpu::PaddedRow row(x, format.dim);
  uint16_t halves[kMostChannels];
  const auto encode = format.codec == CodecId::kF16 ? table.to_f16 : table.to_bf16;
  encode(row.x, cpu::RoundUp8(format.dim), halves);
  PutRow(kind, format.dim, halves, slot, plane);
}

void DecodeFloats(const PlaneFormat& format, PlaneKind kind, const std::byte* plane, int slot,
                  float* x) {
  if (format.codec == CodecId::kF32) return GetRow(kind, format.dim, plane, slot, x);
  uint16_t halves[kMostChannels] = {};
  float row[kMostChannels];
  GetRow(kind, format.dim, plane, slot, halves);
  if (format.codec == CodecId::kF16) {  // AVX2 is the least that we run on
    cpu::N_AVX2::kEncode.from_f16(halves, cpu::RoundUp8(format.dim), row);
  } else {
    for (int c = 0; c < format.dim; ++c) row[c] = ToFloat(BF16{halves[c]});
  }
  std::copy_n(row, format.dim, x);
}

// Keys of slots side by side: the numbers of a channel lie together.
void DecodeF16Keys(int dim, const std::byte* plane, int slot, int n, float* x, int64_t x_stride) {
  const auto* from = reinterpret_cast<const uint16_t*>(plane);
  float channel[kPageEntries];
  for (int c = 0; c < dim; ++c) {
    cpu::N_AVX2::kEncode.from_f16(from + int64_t{c} * kPageEntries, kPageEntries, channel);
    for (int i = 0; i < n; ++i) x[i * x_stride + c] = channel[slot + i];
  }
}

template <class T>
void CopyRow(PlaneKind kind, int dim, const std::byte* from, int from_slot, std::byte* to,
             int to_slot) {
  T row[kMostChannels];
  GetRow(kind, dim, from, from_slot, row);
  PutRow(kind, dim, row, to_slot, to);
}

}  // namespace

int64_t PlaneBytes(const PlaneFormat& format, PlaneKind kind) {
  KV_CHECK(CheckFormat(format, kind));
  int64_t n_floats = int64_t{format.dim} * kPageEntries;
  // Values are read 16 at a time: the last entry's, too, from within the plane.
  if (kind == PlaneKind::kValues) n_floats += (format.dim + 15) / 16 * 16 - format.dim;
  int64_t bytes = n_floats * cpu::FloatBytes(format.codec);
  if (format.codec == CodecId::kI16) {
    bytes = cpu::I16Layout(kind, format.dim).end;
  } else if (!IsFloat(format.codec)) {
    const Grids grids = cpu::GridsOf(format, kind);
    bytes = grids.grid[grids.n - 1].end;
  }
  return (bytes + 127) / 128 * 128;
}

void EncodeEntries(Isa isa, const PlaneFormat& format, PlaneKind kind, const float* x,
                   int64_t x_stride, int slot, int n, std::byte* plane) {
  CheckSlots(format, kind, slot, n);
  KV_CHECK(slot % SlotsTogether(format) == 0 && n % SlotsTogether(format) == 0);
  const EncodeTable& table = TableOf(isa);
  if (IsFloat(format.codec)) {
    for (int i = 0; i < n; ++i) {
      EncodeFloats(table, format, kind, x + i * x_stride, slot + i, plane);
    }
    return;
  }
  if (format.codec == CodecId::kI16) {
    for (int i = 0; i < n; ++i) {
      cpu::EncodeI16(kind, format.dim, x + i * x_stride, slot + i, plane);
    }
    return;
  }
  const Grids grids = cpu::GridsOf(format, kind);
  for (int g = 0; g < grids.n; ++g) {
    cpu::EncodeGrid(table, format, grids.grid[g], x, x_stride, slot, n, plane);
  }
}

void DecodeEntries(const PlaneFormat& format, PlaneKind kind, const std::byte* plane, int slot,
                   int n, float* x, int64_t x_stride) {
  CheckSlots(format, kind, slot, n);
  constexpr int kFewest = 8;  // below, a page of a channel is more than is wanted
  if (format.codec == CodecId::kF16 && kind == PlaneKind::kKeys && n >= kFewest) {
    return DecodeF16Keys(format.dim, plane, slot, n, x, x_stride);
  }
  const Grids grids = cpu::GridsOf(format, kind);
  for (int i = 0; i < n; ++i) {
    float* row = x + i * x_stride;
    if (IsFloat(format.codec)) DecodeFloats(format, kind, plane, slot + i, row);
    if (format.codec == CodecId::kI16) cpu::DecodeI16(kind, format.dim, plane, slot + i, row);
    for (int g = 0; g < grids.n; ++g) {
      cpu::DecodeGrid(grids.grid[g], plane, slot + i, row);
    }
  }
}

void CopyEntries(const PlaneFormat& format, PlaneKind kind, const std::byte* from, int from_slot,
                 int n, std::byte* to, int to_slot) {
  CheckSlots(format, kind, from_slot, n);
  CheckSlots(format, kind, to_slot, n);
  const int together = SlotsTogether(format);
  KV_CHECK(from_slot % together == 0 && to_slot % together == 0 && n % together == 0);
  if (IsFloat(format.codec)) {
    const auto copy = format.codec == CodecId::kF32 ? CopyRow<uint32_t> : CopyRow<uint16_t>;
    for (int i = 0; i < n; ++i) copy(kind, format.dim, from, from_slot + i, to, to_slot + i);
    return;
  }
  if (format.codec == CodecId::kI16) {
    for (int i = 0; i < n; ++i) {
      cpu::CopyI16(kind, format.dim, from, from_slot + i, to, to_slot + i);
    }
    return;
  }
  const Grids grids = cpu::GridsOf(format, kind);
  for (int g = 0; g < grids.n; ++g) {
    cpu::CopyGrid(format, grids.grid[g], from, from_slot, n, to, to_slot);
  }
}

}  // namespace kvasir
