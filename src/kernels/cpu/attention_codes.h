// Attention on low-bit planes, without decoding them. Of value = min + scale * code, what belongs
// to the dimension that is summed over goes into the weights (queries over channels, probabilities
// over slots), the weights become integers, and sums of integer products are exact: they depend
// neither on the tile's shape nor on the instruction set. What belongs to a lane (a slot of keys, a
// channel of values) multiplies the sum. So there are two cases, mirrored for keys and values:
//
//   scales in the weights   keys by channel, values by entry
//   scales on the lanes     keys by entry, values by channel
//
// Weights have 16 bits, of codes of one or two bits 8, relative to the largest of those that are
// rounded together. Codes count from the middle of their range, so that small weights, which round
// to nothing, do not pull the result to the minimum.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/attention.h"
#include "kernels/cpu/codec_layout.h"

namespace kvasir::cpu {

// One query's channels of a grid begin at this one in a row of queries for codes.
inline int RowBegin(const Grid& grid) { return (grid.first + 7) / 8 * 8; }
inline int64_t RowFloats(int dim) { return (dim + 7) / 8 * 8 + 8; }

// Queries whose products are summed together.
inline constexpr int kQueryTile = 3;

// What sums of products with rounded weights stand for, of the queries of a tile: weight = step *
// integer; offset: what is added to step * sum; total: of the floats.
struct alignas(16) Rounded {
  float step[4], offset[4], total[4];
};

// Queries [n][stride], scaled, each grid's channels followed by zeros up to a multiple of 8. For
// keys by entry also rounded: for each query and group of channels weights, and what they stand
// for.
struct CodedQueries {
  float* rows = nullptr;
  int64_t stride = 0;
  int32_t* weights = nullptr;
  Rounded* rounded = nullptr;  // [tiles of queries][groups]
  int n = 0;

  // Weights of a group in 32-bit units, two 16-bit weights each, for a multiple of 32 of them.
  static int64_t GroupWeights(const Grid& grid) { return (grid.inner_group() + 31) / 32 * 16; }
  // For groups of 8 channels, the worst.
  static int64_t MostWeights(int n, int dim) { return n * ((int64_t{dim} + 7) / 8 * 16 + 16); }
  static int64_t MostRounded(int n, int dim) {
    return (int64_t{n} + kQueryTile - 1) / kQueryTile * ((int64_t{dim} + 7) / 8);
  }
};

// Planes of some pages, all of one format.
struct CodedPages {
  int n = 0;
  const std::byte* plane[kPagesPerSplit];
  // Planes to prefetch meanwhile, taken to be like these; itself where there is none.
  const std::byte* next[kPagesPerSplit];
  uint64_t seen[kPagesPerSplit];  // slots that some query sees

  void Add(const std::byte* plane_of, const std::byte* next_of, uint64_t seen_of) {
    plane[n] = plane_of, next[n] = next_of == nullptr ? plane_of : next_of, seen[n] = seen_of;
    ++n;
  }
};

struct CodeTable {
  // Rounds the rows, for keys by entry.
  void (*round_queries)(const Grid& grid, const CodedQueries& queries);
  // logits[query][page][64], rows kLogitStride apart, become or (add) grow by the products with one
  // grid's channels. Of slots that are not seen they may be anything.
  void (*logits)(const Grid& grid, const CodedPages& pages, const CodedQueries& queries, bool add,
                 float* logits);
  // acc[query][channels] += p[query][page][slot] * value[slot], of the slots that are seen, page by
  // page; p is 0 elsewhere.
  void (*values)(const Grid& grid, const CodedPages& pages, int n_queries, const float* p,
                 float* acc);
};

extern const CodeTable kCodesAvx2, kCodesAvx512, kCodesAvx512Vnni;

}  // namespace kvasir::cpu
