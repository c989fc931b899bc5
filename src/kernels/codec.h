// Codecs: encoding, decoding and copying the entries of planes. Layouts are known here and in the
// kernels that read them (cpu/codec_layout.h), nowhere else.
//
// Low-bit codecs lie on a grid. Of a group of numbers x, in f32, every operation rounded:
//   scale = (max - min) / (2^bits - 1),   code = clamp(rint((x - min) / scale), 0, 2^bits - 1),
// rint to even, decoded code * scale + min. Scale and minimum are first rounded to f16 (unless the
// format has f32 scales), so that codes are the nearest ones of the grid that is decoded; a scale
// that f16 makes 0 becomes 2^-24. A constant group has scale 0, codes 0, and decodes to its
// minimum. kQ8: scale = max|x| / 127, codes of -127 to 127.
//
// kI16: codes of an entry's keys by their Euclidean norm, of its values by the largest magnitude,
// rounded to even (cpu/i16_codes.h).
//
// f16 and bf16 round to nearest even; f16 saturates at +-65504, so that finite values stay finite.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/isa.h"
#include "kernels/plane_format.h"

namespace kvasir {

// Bytes of a plane of 64 slots; a multiple of 128.
int64_t PlaneBytes(const PlaneFormat& format, PlaneKind kind);

// Writes n vectors of `dim` floats (rows x_stride floats apart) into slots [slot, slot + n).
// REQUIRES: slot and n are multiples of SlotsTogether(format).
void EncodeEntries(Isa isa, const PlaneFormat& format, PlaneKind kind, const float* x,
                   int64_t x_stride, int slot, int n, std::byte* plane);
// Reads slots [slot, slot + n), any, back as floats.
void DecodeEntries(const PlaneFormat& format, PlaneKind kind, const std::byte* plane, int slot,
                   int n, float* x, int64_t x_stride);
// Copies the encoded bytes of n entries between two planes of the same format: exact.
// REQUIRES: slots and n are multiples of SlotsTogether(format).
void CopyEntries(const PlaneFormat& format, PlaneKind kind, const std::byte* from, int from_slot,
                 int n, std::byte* to, int to_slot);

}  // namespace kvasir
