#include "kernels/cpu/grid_codes.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>

#include "base/half.h"

namespace kvasir::cpu {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kMaxF16 = 65504.0f, kLeastF16 = 0x1p-24f;

void StoreConstant(const Grid& grid, int64_t array, int index, float value, std::byte* plane) {
  std::byte* at = plane + array + int64_t{index} * grid.scale_bytes();
  const F16 half = ToF16(value);
  std::memcpy(at, grid.f32 ? static_cast<const void*>(&value) : &half, grid.scale_bytes());
}

float LoadConstant(const Grid& grid, int64_t array, int index, const std::byte* plane) {
  const std::byte* at = plane + array + int64_t{index} * grid.scale_bytes();
  float value;
  F16 half;
  if (!grid.f32) {
    std::memcpy(&half, at, sizeof half);
    return ToFloat(half);
  }
  std::memcpy(&value, at, sizeof value);
  return value;
}

// What a group is encoded with, as stored.
struct Constants {
  float scale, min;
};

Constants Rounded(const Grid& grid, float scale, float min) {
  scale = std::min(scale, FLT_MAX);
  if (grid.f32) return {scale, min};
  const float half = ToFloat(ToF16(std::min(scale, kMaxF16)));
  return {scale > 0 && half == 0 ? kLeastF16 : half,
          ToFloat(ToF16(std::clamp(min, -kMaxF16, kMaxF16)))};
}

Constants ConstantsOf(const Grid& grid, float low, float high) {
  if (!(low <= high)) low = high = 0;  // all NaN
  if (!grid.has_min) return Rounded(grid, std::max(-low, high) / (grid.zero - 1), 0);
  return Rounded(grid, (high - low) / static_cast<float>((1 << grid.bits) - 1), low);
}

CodeRange RangeOf(const Grid& grid) {
  const int zero = static_cast<int>(grid.zero), highest = (1 << grid.bits) - 1;
  return {zero, grid.has_min ? 0 : 1, highest};  // without minima as far below zero as above
}

// f(bits, shift of the code, byte offset) for each array of codes.
template <class F>
void ForArrays(const Grid& grid, const F& f) {
  if (grid.bits != 3) return f(grid.bits, 0, grid.codes);
  f(2, 0, grid.codes);
  f(1, 2, grid.high_codes);
}

// f(channel, word, shift in the word) for the codes of one slot.
template <class F>
void ForCodes(const Grid& grid, int bits, int slot, const F& f) {
  const int in_word = 32 / bits, size = grid.inner_group();
  const int log2_in_word = std::countr_zero(static_cast<unsigned>(in_word));
  const auto shift_of = [=](int i) {
    i &= in_word - 1;
    return i % 4 * 8 + i / 4 * bits;
  };
  if (!grid.keys) {
    const int block = BlocksBefore(grid, slot / size, bits) + (slot % size >> log2_in_word);
    const int shift = shift_of(slot % size);
    for (int c = 0; c < grid.n_channels; ++c) f(c, int64_t{block} * grid.n_channels + c, shift);
    return;
  }
  for (int c0 = 0, g = 0; c0 < grid.n_channels; c0 += size, ++g) {
    const int n = std::min(size, grid.n_channels - c0);
    const int64_t first = int64_t{BlocksBefore(grid, g, bits)} * kPageEntries + slot;
    for (int i = 0; i < n; ++i) f(c0 + i, first + (i >> log2_in_word) * kPageEntries, shift_of(i));
  }
}

void PutCodes(const Grid& grid, const uint8_t* codes, int slot, std::byte* plane) {
  ForArrays(grid, [&](int bits, int from, int64_t at) {
    auto* words = reinterpret_cast<uint32_t*>(plane + at);
    const uint32_t mask = (1u << bits) - 1;
    ForCodes(grid, bits, slot, [&](int c, int64_t word, int shift) {
      words[word] = (words[word] & ~(mask << shift)) | (uint32_t{codes[c]} >> from & mask) << shift;
    });
  });
}

void GetCodes(const Grid& grid, const std::byte* plane, int slot, uint8_t* codes) {
  std::fill_n(codes, grid.n_channels, uint8_t{0});
  ForArrays(grid, [&](int bits, int to, int64_t at) {
    const auto* words = reinterpret_cast<const uint32_t*>(plane + at);
    const uint32_t mask = (1u << bits) - 1;
    ForCodes(grid, bits, slot, [&](int c, int64_t word, int shift) {
      codes[c] |= static_cast<uint8_t>((words[word] >> shift & mask) << to);
    });
  });
}

// One entry, with scales of its own.
void EncodeEntry(const EncodeTable& table, const Grid& grid, const float* x, int slot,
                 std::byte* plane) {
  const PaddedRow row(x, grid.n_channels);
  float mins[kMostChannels], scales[kMostChannels];
  for (int c0 = 0; c0 < grid.n_channels; c0 += grid.group) {
    const int end = std::min(c0 + grid.group, grid.n_channels), whole = c0 + (end - c0) / 8 * 8;
    float low[8], high[8];
    std::fill_n(low, 8, kInf), std::fill_n(high, 8, -kInf);
    for (int c = c0; c < whole; c += 8) table.absorb(row.x + c, 8, low, high);
    for (int c = whole; c < end; ++c) {
      if (row.x[c] < low[0]) low[0] = row.x[c];
      if (row.x[c] > high[0]) high[0] = row.x[c];
    }
    const Constants constants =
        ConstantsOf(grid, *std::min_element(low, low + 8), *std::max_element(high, high + 8));
    std::fill(mins + c0, mins + RoundUp8(end), constants.min);
    std::fill(scales + c0, scales + RoundUp8(end), constants.scale);
    const int index = grid.ScaleIndex(c0, slot);
    StoreConstant(grid, grid.scales, index, constants.scale, plane);
    if (grid.has_min) StoreConstant(grid, grid.mins, index, constants.min, plane);
  }
  uint8_t codes[kMostChannels];
  table.to_codes(row.x, RoundUp8(grid.n_channels), mins, scales, RangeOf(grid), codes);
  PutCodes(grid, codes, slot, plane);
}

// The entries of a group whose channels have scales of their own; x is the grid's first channel.
class ChannelGroup {
 public:
  ChannelGroup(const EncodeTable& table, const Grid& grid, const float* x, int64_t stride, int slot,
               std::byte* plane)
      : table_(table), grid_(grid), n_(grid.n_channels), slot_(slot), plane_(plane) {
    for (int i = 0; i < grid.group; ++i) {
      std::copy_n(x + i * stride, n_, x_[i]);
      std::fill(x_[i] + n_, x_[i] + RoundUp8(n_), 0.0f);
    }
  }

  void Affine() {
    float low[kMostChannels], high[kMostChannels], mins[kMostChannels], scales[kMostChannels];
    std::fill_n(low, kMostChannels, kInf), std::fill_n(high, kMostChannels, -kInf);
    for (const auto& row : rows()) table_.absorb(row, RoundUp8(n_), low, high);
    for (int c = 0; c < RoundUp8(n_); ++c) {
      const Constants constants = ConstantsOf(grid_, low[c], high[c]);
      Store(c, constants);
      mins[c] = constants.min, scales[c] = constants.scale;
    }
    uint8_t codes[kMostChannels];
    for (int i = 0; i < grid_.group; ++i) {
      table_.to_codes(x_[i], RoundUp8(n_), mins, scales, RangeOf(grid_), codes);
      PutCodes(grid_, codes, slot_ + i, plane_);
    }
  }

  void Signs() {
    for (int c = 0; c < RoundUp8(n_); ++c) Store(c, Rounded(grid_, Mean(c), 0));
    PutRows([](float x, int) { return static_cast<uint8_t>(x >= 0); });
  }

  void Ternary(TernaryScale kind) {
    float thresholds[kMostChannels];
    for (int c = 0; c < RoundUp8(n_); ++c) {
      const float mean = Mean(c);
      thresholds[c] = 0.5f * mean;
      float sum = 0;
      int n = 0;
      for (const auto& row : rows()) {
        if (std::abs(row[c]) > thresholds[c]) sum += std::abs(row[c]), ++n;
      }
      const float least_squares = n > 0 ? sum / static_cast<float>(n) : 0.0f;
      Store(c, Rounded(grid_, kind == TernaryScale::kMean ? mean : least_squares, 0));
    }
    PutRows([&](float x, int c) {
      return static_cast<uint8_t>(x > thresholds[c] ? 2 : x < -thresholds[c] ? 0 : 1);
    });
  }

 private:
  using Row = float[kMostChannels];
  std::span<const Row> rows() const { return {x_, static_cast<size_t>(grid_.group)}; }
  void Store(int c, const Constants& constants) {
    const int index = grid_.ScaleIndex(c, slot_);
    StoreConstant(grid_, grid_.scales, index, constants.scale, plane_);
    if (grid_.has_min) StoreConstant(grid_, grid_.mins, index, constants.min, plane_);
  }
  float Mean(int c) const {  // of magnitudes
    float sum = 0;
    for (const auto& row : rows()) sum += std::abs(row[c]);
    return sum / static_cast<float>(grid_.group);
  }
  template <class F>
  void PutRows(const F& code_of) {
    uint8_t codes[kMostChannels];
    for (int i = 0; i < grid_.group; ++i) {
      for (int c = 0; c < n_; ++c) codes[c] = code_of(x_[i][c], c);
      PutCodes(grid_, codes, slot_ + i, plane_);
    }
  }

  const EncodeTable& table_;
  const Grid& grid_;
  const int n_, slot_;
  std::byte* plane_;
  Row x_[kPageEntries];
};

}  // namespace

void EncodeGrid(const EncodeTable& table, const PlaneFormat& format, const Grid& grid,
                const float* x, int64_t x_stride, int slot, int n, std::byte* plane) {
  for (int i = 0; i < n; i += SlotsTogether(format)) {
    const float* rows = x + i * x_stride + grid.first;
    if (!grid.by_channel) {
      EncodeEntry(table, grid, rows, slot + i, plane);
      continue;
    }
    ChannelGroup group(table, grid, rows, x_stride, slot + i, plane);
    if (grid.has_min) {
      group.Affine();
    } else if (grid.bits == 1) {
      group.Signs();
    } else {
      group.Ternary(format.ternary);
    }
  }
}

void DecodeGrid(const Grid& grid, const std::byte* plane, int slot, float* x) {
  uint8_t codes[kMostChannels];
  GetCodes(grid, plane, slot, codes);
  for (int c = 0; c < grid.n_channels; ++c) {
    const int index = grid.ScaleIndex(c, slot);
    const float scale = LoadConstant(grid, grid.scales, index, plane) * grid.factor;
    const float product = (static_cast<float>(codes[c]) - grid.zero) * scale;
    x[grid.first + c] =
        grid.has_min ? product + LoadConstant(grid, grid.mins, index, plane) : product;
  }
}

void CopyGrid(const PlaneFormat& format, const Grid& grid, const std::byte* from, int from_slot,
              int n, std::byte* to, int to_slot) {
  uint8_t codes[kMostChannels];
  for (int i = 0; i < n; ++i) {
    GetCodes(grid, from, from_slot + i, codes);
    PutCodes(grid, codes, to_slot + i, to);
  }
  const int channels_a_scale = grid.by_channel ? 1 : grid.group;
  for (int i = 0; i < n; i += SlotsTogether(format)) {
    for (int c = 0; c < grid.n_channels; c += channels_a_scale) {
      const int at = grid.ScaleIndex(c, from_slot + i), index = grid.ScaleIndex(c, to_slot + i);
      std::memmove(to + grid.scales + int64_t{index} * grid.scale_bytes(),
                   from + grid.scales + int64_t{at} * grid.scale_bytes(), grid.scale_bytes());
      if (!grid.has_min) continue;
      std::memmove(to + grid.mins + int64_t{index} * grid.scale_bytes(),
                   from + grid.mins + int64_t{at} * grid.scale_bytes(), grid.scale_bytes());
    }
  }
}

}  // namespace kvasir::cpu
