#include "engine/query_stats.h"

namespace kvasir {

void QueryStats::Add(int64_t h, int64_t d, const float* q, int64_t n_rows, int64_t stride) {
  double* head_sum = sum.data() + h * d;
  double* head_outer = outer.data() + h * d * d;
  std::vector<double> row(d);
  for (int64_t r = 0; r < n_rows; ++r) {
    for (int64_t i = 0; i < d; ++i) {
      row[i] = q[r * stride + i];
      head_sum[i] += row[i];
    }
    for (int64_t i = 0; i < d; ++i) {
      for (int64_t j = i; j < d; ++j) head_outer[i * d + j] += row[i] * row[j];
    }
  }
}

}  // namespace kvasir
