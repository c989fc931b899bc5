// Storage types of weights, their block formats, and exact dequantisation (bit-identical to ggml's
// reference). Ids are GGUF's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.h"

namespace kvasir {

enum class TensorType : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kIQ2_XXS = 16,
  kIQ2_XS = 17,
  kIQ3_XXS = 18,
  kIQ1_S = 19,
  kIQ4_NL = 20,
  kIQ3_S = 21,
  kIQ2_S = 22,
  kIQ4_XS = 23,
  kI8 = 24,
  kI16 = 25,
  kI32 = 26,
  kI64 = 27,
  kF64 = 28,
  kIQ1_M = 29,
  kBF16 = 30,
  kTQ1_0 = 34,
  kTQ2_0 = 35,
  kMXFP4 = 39,
  kNVFP4 = 40,
};

struct TensorTypeInfo {
  std::string_view name;  // "Q4_K"
  int32_t block_values;   // values a block; rows are whole blocks
  int32_t block_bytes;    // bytes a block
};

// Null for an id we do not know (or removed from GGUF).
const TensorTypeInfo* FindTensorType(uint32_t gguf_id);
const TensorTypeInfo& InfoOf(TensorType type);

// Expands n values (a whole number of blocks) to float32. Integer types convert, F64 rounds.
// An error for a type whose values we cannot read.
Status Dequantize(TensorType type, const std::byte* blocks, int64_t n, float* out);

// A matrix of weights as a file holds it: n_rows output rows of n_cols values, rows contiguous.
struct WeightRef {
  TensorType type = TensorType::kF32;
  int64_t n_rows = 0, n_cols = 0;
  const std::byte* data = nullptr;
};

}  // namespace kvasir
