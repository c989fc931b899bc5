// Attention on planes of 16-bit integers (i16_codes.h): queries become integers by their norm,
// probabilities of a page (times the scales of its entries) by their largest or their sum, and the
// sums of products are exact. So they depend neither on a tile's shape nor on the instruction set.
// Two products are a multiplication and an addition, which has more ports than the two
// multiply-adds of floats, or with VNNI one instruction.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kvasir::cpu {

struct RegisterTiles;

// Queries [n][n_pairs]: two neighbouring channels in 32 bits; the step of each, which holds the
// scale of the logits.
struct I16Queries {
  const int32_t* pairs;
  const float* steps;
  int n_pairs;
};

struct I16Table {
  int max_queries;  // a register tile
  // logits[query][64] of one page; rows kLogitStride apart. `next` is prefetched unless null.
  void (*logits)(const std::byte* plane, const I16Queries& queries, const RegisterTiles& tiles,
                 const std::byte* next, float* logits);
  // acc[query][head_dim] += p[query][slot] * value[slot], of the slots in `seen`; p is 0 elsewhere.
  void (*values)(const std::byte* plane, int head_dim, uint64_t seen, const float* p,
                 const RegisterTiles& tiles, const std::byte* next, float* acc);
};

extern const I16Table kI16Avx2, kI16Avx512, kI16Avx512Vnni;

}  // namespace kvasir::cpu
