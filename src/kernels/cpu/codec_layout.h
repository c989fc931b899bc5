// Where codes, scales and minima lie in a plane.
//
// Floats: keys [dim][64 slots], so that a vector holds neighbouring slots and a dot product needs
// no horizontal sum; values [64 slots][dim].
//
// Low bits: one grid, of kSplit two, one after the other. Codes are in words of 32 bits, and a word
// belongs to one lane: a slot of keys, a channel of values. Words [blocks][lanes]; a block is some
// channels of keys, some slots of values (what is summed over in a dot product: "inner"). Code i of
// a word is in byte i % 4 at bit bits * (i / 4), so that a shift and a mask give the codes of four
// neighbours, a byte each. Three bits are two arrays: the two low bits, then the high one. Words
// never cross an inner group (of keys with scales an entry: `group` channels; of values: the slots
// that share a channel's scale, or 32).
// Behind the codes scales, then minima where the grid has them, f16 or f32:
//   by entry    [groups of channels][64 slots]
//   by channel  [groups of slots][channels, rounded up to 8]
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/plane_format.h"

namespace kvasir::cpu {

// value = min + scale * factor * (code - zero)
struct Grid {
  int bits = 0;
  int first = 0, n_channels = 0;  // of the plane
  bool keys = false;
  bool by_channel = false;  // scales
  bool has_min = false, f32 = false;
  int group = 0;     // of channels by entry, of slots by channel
  float zero = 0;    // code of the minimum (kSplit's signs: 1/2)
  float factor = 1;  // of the stored scale
  int64_t codes = 0, high_codes = 0, scales = 0, mins = 0, end = 0;  // bytes

  int n_lanes() const { return keys ? kPageEntries : n_channels; }
  int n_inner() const { return keys ? n_channels : kPageEntries; }
  int inner_group() const {
    if (keys) return by_channel ? n_channels : group;
    return by_channel ? group : kGroupSlots;
  }
  int scale_bytes() const { return f32 ? 4 : 2; }
  int n_groups() const {
    return by_channel ? kPageEntries / group : (n_channels + group - 1) / group;
  }
  int padded_channels() const { return (n_channels + 7) / 8 * 8; }
  // Of one array.
  int n_scales() const { return n_groups() * (by_channel ? padded_channels() : kPageEntries); }
  int ScaleIndex(int channel, int slot) const {
    return by_channel ? slot / group * padded_channels() + channel
                      : channel / group * kPageEntries + slot;
  }
};

// Words of so many codes a lane.
constexpr int WordsOf(int n_codes, int bits) { return (n_codes * bits + 31) / 32; }

// Blocks of words before inner group g; of all groups where g is past the last.
inline int BlocksBefore(const Grid& grid, int g, int bits) {
  const int size = grid.inner_group();
  if (g * size <= grid.n_inner()) return g * WordsOf(size, bits);
  const int whole = grid.n_inner() / size;
  return whole * WordsOf(size, bits) + WordsOf(grid.n_inner() % size, bits);
}

struct Grids {
  int n = 0;
  Grid grid[2];
};

// Places the arrays of a grid from byte `at` on.
inline void Place(Grid& grid, int64_t at) {
  const int n_groups = (grid.n_inner() + grid.inner_group() - 1) / grid.inner_group();
  const auto code_bytes = [&](int bits) {
    return int64_t{BlocksBefore(grid, n_groups, bits)} * grid.n_lanes() * 4;
  };
  grid.codes = at;
  grid.high_codes = at + code_bytes(grid.bits == 3 ? 2 : grid.bits);
  grid.scales = grid.high_codes + (grid.bits == 3 ? code_bytes(1) : 0);
  grid.mins = grid.scales + int64_t{grid.n_scales()} * grid.scale_bytes();
  grid.end = grid.mins + (grid.has_min ? grid.mins - grid.scales : 0);
}

// The grids of a low-bit plane; none of others.
inline Grids GridsOf(const PlaneFormat& format, PlaneKind kind) {
  Grids grids;
  Grid grid{.n_channels = format.dim,
            .keys = kind == PlaneKind::kKeys,
            .by_channel = format.codec >= CodecId::kChannel,
            .f32 = format.f32_scales};
  grid.group =
      grid.by_channel ? SlotsTogether(format) : std::min<int>(format.group, format.dim);
  const auto add = [&](int bits, bool has_min, float zero) {
    grid.bits = bits;
    grid.has_min = has_min;
    grid.zero = zero;
    Place(grid, grids.n == 0 ? 0 : grids.grid[0].end);
    grids.grid[grids.n++] = grid;
  };
  switch (format.codec) {
    case CodecId::kF32:
    case CodecId::kF16:
    case CodecId::kBF16:
    case CodecId::kI16:  // i16_codes.h
      break;
    case CodecId::kQ8:
      add(8, false, 128);
      break;
    case CodecId::kToken:
    case CodecId::kChannel:
      add(format.bits, true, 0);
      break;
    case CodecId::kTernary:
      add(2, false, 1);
      break;
    case CodecId::kSplit:
      grid.n_channels = format.wide;
      if (format.wide > 0) add(2, true, 0);
      grid.first = format.wide;
      grid.n_channels = format.dim - format.wide;
      grid.factor = 2;
      if (grid.n_channels > 0) add(1, false, 0.5f);
      break;
  }
  return grids;
}

inline int64_t FloatBytes(CodecId codec) { return codec == CodecId::kF32 ? 4 : 2; }

}  // namespace kvasir::cpu
