// Planes of low bits, grid by grid (codec_layout.h): floats into codes, scales and minima, and
// back.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/codec_encode.h"
#include "kernels/cpu/codec_layout.h"

namespace kvasir::cpu {

// n rows of the plane's channels, x_stride floats apart, into slots [slot, slot + n) of one grid. n
// and slot are multiples of SlotsTogether(format).
void EncodeGrid(const EncodeTable& table, const PlaneFormat& format, const Grid& grid,
                const float* x, int64_t x_stride, int slot, int n, std::byte* plane);
// The grid's channels of x [format.dim].
void DecodeGrid(const Grid& grid, const std::byte* plane, int slot, float* x);
// The encoded bytes of n entries: exact.
void CopyGrid(const PlaneFormat& format, const Grid& grid, const std::byte* from, int from_slot,
              int n, std::byte* to, int to_slot);

}  // namespace kvasir::cpu
