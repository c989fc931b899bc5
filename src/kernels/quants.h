// Block decoders: one block of a quantised type to float32, with the order of operations of ggml's
// reference, so the floats have the same bits. Layouts are written at each decoder.
#pragma once

#include <cstdint>

#include "kernels/tensor_type.h"

namespace kvasir {

// block_bytes bytes at any alignment -> block_values floats.
using BlockDecoder = void (*)(const uint8_t* block, float* out);

// Each covers one family; null for a type outside it.
BlockDecoder FindPlainDecoder(TensorType type);     // halves, blocks with one scale, 4-bit levels
BlockDecoder FindKDecoder(TensorType type);         // Q2_K to Q6_K: 256 values, scales of scales
BlockDecoder FindTernaryDecoder(TensorType type);   // TQ1_0, TQ2_0
BlockDecoder FindCodebookDecoder(TensorType type);  // IQ1 to IQ3: points of a codebook

}  // namespace kvasir
