// Sums over the pre-RoPE queries of one layer's prompt rows, for Ops::FutureQueries. Rows are added
// in the order of the text, in double, so chunks change no bit.
#pragma once

#include <cstdint>
#include <vector>

namespace kvasir {

struct QueryStats {
  int32_t first_order = 0;         // rows of this order and later count
  int64_t n = 0;                   // rows added
  std::vector<double> sum = {};    // [q_heads][head_dim]
  std::vector<double> outer = {};  // [q_heads][head_dim][head_dim]: q q^T, upper triangle

  // Adds n queries, `stride` floats apart, to head h. REQUIRES: sum and outer are sized.
  void Add(int64_t h, int64_t d, const float* q, int64_t n_rows, int64_t stride);
};

}  // namespace kvasir
