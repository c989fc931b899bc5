// Planes of 16-bit integers (kI16): each entry has one scale, an f32. Its integers are as large as
// an exact sum of products in 32 bits allows:
//
//   keys     the Euclidean norm of an entry is at most 46300 steps, and so is that of a query: by
//            Cauchy and Schwarz no sum of their products, nor any part of it, reaches 2^31
//   values   the largest magnitude is 32767 steps; weights of a page sum up to 64255 at most
//            (attention_i16-inl.h)
//
// An ordinary channel of 64 is about 5,800 steps, so its error is at most 1/11,600 of it; an f16's
// is up to 1/4,096 to 1/2,048. Of 256 channels each has half as many steps.
//
// Layout: integers of two neighbours that are summed over are side by side, as what multiplies
// pairs reads them: keys [pairs of channels][64 slots][2], values [pairs of slots][channels][2].
// Behind them the scales [64]. An odd last channel of keys has a zero beside it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/plane_format.h"

namespace kvasir::cpu {

struct I16Layout {
  int n_pairs, n_lanes;  // lanes: slots of keys, channels of values
  int64_t scales, end;   // bytes

  I16Layout(PlaneKind kind, int dim)
      : n_pairs(kind == PlaneKind::kKeys ? (dim + 1) / 2 : kPageEntries / 2),
        n_lanes(kind == PlaneKind::kKeys ? kPageEntries : dim),
        scales(int64_t{n_pairs} * n_lanes * 4),
        end(scales + kPageEntries * int64_t{sizeof(float)}) {}
};

// codes[n] = x in steps; returns the step. A vector of zeros has step 0.
float KeyCodes(const float* x, int n, int16_t* codes);  // of queries too
float ValueCodes(const float* x, int n, int16_t* codes);

// One entry of a plane.
void EncodeI16(PlaneKind kind, int dim, const float* x, int slot, std::byte* plane);
void DecodeI16(PlaneKind kind, int dim, const std::byte* plane, int slot, float* x);
void CopyI16(PlaneKind kind, int dim, const std::byte* from, int from_slot, std::byte* to,
             int to_slot);

}  // namespace kvasir::cpu
