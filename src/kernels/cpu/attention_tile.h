// The vector code of attention, one table of functions a Highway target. A tile is some query
// vectors (rows x group) that read the pages of one head together; kernels/attention.cc walks it
// through the splits. Every number is computed by one chain of operations that does not depend on
// the tile's shape.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/attention.h"
#include "kernels/cpu/attention_codes.h"
#include "kernels/cpu/attention_i16.h"

namespace kvasir::cpu {

// Query vectors of a tile are dealt to register tiles of nearly equal size; register tile t has
// queries [Begin(t), Begin(t + 1)), packed [head_dim][its queries] one after the other.
struct RegisterTiles {
  int n_queries, n_tiles;
  RegisterTiles(int queries, int max) : n_queries(queries), n_tiles((queries + max - 1) / max) {}
  int Begin(int t) const { return static_cast<int>(int64_t{t} * n_queries / n_tiles); }
};

inline constexpr int kLogitStride = kSplitEntries + 16;  // floats; not a power of two
constexpr int Padded16(int dim) { return (dim + 15) / 16 * 16; }

struct AttentionTable {
  // For planes of low bits and of 16-bit integers; all others here are for floats.
  const CodeTable* codes;
  const I16Table* i16;
  int max_queries;        // a register tile, where planes are floats
  int max_coded_queries;  // where halves are decoded in registers
  // Decodes a whole plane, in its order; `next` is prefetched.
  void (*expand)(CodecId codec, const std::byte* plane, int dim, const std::byte* next, float* out);
  // logits[query][64] of one page; rows kLogitStride apart. `next` is prefetched unless null.
  void (*logits)(CodecId codec, const std::byte* plane, int dim, const float* packed_q,
                 RegisterTiles tiles, const std::byte* next, float* logits);
  // Softcap, bias and mask of one query's 64 logits: -inf where not visible.
  void (*finish)(float* logits, float softcap, const float* bias, uint64_t visible);
  // Bits of the slots with after < order <= upto.
  uint64_t (*order_mask)(const int32_t* order, int32_t after, int32_t upto);
  // Logits [query][n_pages pages], rows kLogitStride apart, become exp(logit - max); of each query
  // the maximum and the sum. All -inf: max -inf and zeros.
  void (*softmax)(float* logits, int n_queries, int n_pages, float* max, float* sum);
  // acc[query][dim] += p[query][slot] * value[slot], live slots only, in slot order. Rows of acc
  // are Padded16(dim) apart, and what is behind the dim channels may become anything.
  void (*values)(CodecId codec, const std::byte* plane, int dim, uint64_t live, const float* p,
                 RegisterTiles tiles, const std::byte* next, float* acc);
  // (max, sum, acc) of each query absorb a partial to their right.
  void (*merge)(int n_queries, int head_dim, const float* part_max, const float* part_sum,
                const float* part_acc, float* max, float* sum, float* acc);
  // out = acc / sum.
  void (*normalise)(int head_dim, float sum, const float* acc, float* out);
  // mass[64] += weight * exp(logits - lse).
  void (*add_mass)(const float* logits, float lse, float weight, float* mass);
};

namespace N_AVX2 {
extern const AttentionTable kAttention;
}
namespace N_AVX3 {
extern const AttentionTable kAttention;
}

}  // namespace kvasir::cpu
