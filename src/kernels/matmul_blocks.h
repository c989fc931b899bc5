// What packing needs to know of each quantised type: the kind it is packed to, and how its blocks
// split into integer codes, scales and minima.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "kernels/cpu/matmul_layout.h"
#include "kernels/tensor_type.h"

namespace kvasir {

// One block of a file, at most 256 values, in the terms of its packed kind.
struct SplitBlock {
  uint8_t codes[256];  // as in memory: unsigned 4-bit, or signed 8-bit without offset
  float scale[16];     // a group
  float min[16];
};

struct BlockFormat {
  PackedKind kind;
  // Fills scale and min, one for each group of the kind.
  void (*scales)(const uint8_t* block, SplitBlock& out);
  // Fills codes; null: they are recovered from the dequantised values.
  void (*codes)(const uint8_t* block, uint8_t* out);
};

// Null for types that are no integer blocks.
const BlockFormat* FindBlockFormat(TensorType type);

// Splits n_blocks blocks.
Status SplitBlocks(TensorType type, const BlockFormat& format, const uint8_t* blocks,
                   int64_t n_blocks, SplitBlock* out);

}  // namespace kvasir
