// Where codes, scales and minima lie in a plane; see kernels/codec.h for what they mean.
//
//           keys                                  values
//   floats  [head_dim][64]                        [64][head_dim]
//   q8      i8 [head_dim][64], f16 [groups][64]   i8 [64][head_dim], f16 [64][groups]
//   q4      u4 [head_dim / 2][64]: low nibble     u4 [64][groups][16]: low nibble channels
//           channel 2i, high 2i + 1; f16 scales   0-15 of the group, high 16-31; f16 scales
//           [groups][64], minima the same         [64][groups], minima the same
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/attention.h"
#include "kernels/codec.h"

namespace kvasir::cpu {

inline constexpr int kGroupChannels = 32;

inline int Groups(int head_dim) { return (head_dim + kGroupChannels - 1) / kGroupChannels; }

// Bytes of the codes of one channel of keys (times 64 slots), and of one value entry.
inline int64_t KeyCodeBytes(CodecId codec, int head_dim) {
  switch (codec) {
    case CodecId::kF32:
      return int64_t{head_dim} * kPageEntries * 4;
    case CodecId::kF16:
    case CodecId::kBF16:
      return int64_t{head_dim} * kPageEntries * 2;
    case CodecId::kQ8:
      return int64_t{head_dim} * kPageEntries;
    case CodecId::kQ4:
      return int64_t{head_dim} * kPageEntries / 2;
  }
  return 0;
}

inline int64_t ValueRowBytes(CodecId codec, int head_dim) {
  if (codec == CodecId::kQ4) return int64_t{Groups(head_dim)} * (kGroupChannels / 2);
  return KeyCodeBytes(codec, head_dim) / kPageEntries;
}

inline int64_t CodeBytes(CodecId codec, PlaneKind kind, int head_dim) {
  return kind == PlaneKind::kKeys ? KeyCodeBytes(codec, head_dim)
                                  : ValueRowBytes(codec, head_dim) * kPageEntries;
}

// Of one array of scales (or minima) behind the codes.
inline int64_t ScaleBytes(int head_dim) { return int64_t{Groups(head_dim)} * kPageEntries * 2; }

constexpr int ScaleArrays(CodecId codec) {
  return codec == CodecId::kQ4 ? 2 : codec == CodecId::kQ8 ? 1 : 0;
}

}  // namespace kvasir::cpu
