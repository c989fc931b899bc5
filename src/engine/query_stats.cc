#include "engine/query_stats.h"

#include <algorithm>

namespace kvasir {
namespace {

constexpr int64_t kRowsAtOnce = 4;  // added while a row of the sums is at hand

}  // namespace

void QueryStats::Add(int64_t h, int64_t d, const float* q, int64_t n_rows, int64_t stride) {
  double* head_sum = sum.data() + h * d;
  double* head_outer = outer.data() + h * d * d;
  std::vector<double> block(kRowsAtOnce * d);
  for (int64_t first = 0; first < n_rows; first += kRowsAtOnce) {
    const int64_t n_some = std::min(kRowsAtOnce, n_rows - first);
    for (int64_t r = 0; r < n_some; ++r) {
      for (int64_t i = 0; i < d; ++i) {
        block[r * d + i] = q[(first + r) * stride + i];
        head_sum[i] += block[r * d + i];
      }
    }
    const double *a = block.data(), *b = a + d, *c = b + d, *e = c + d;
    for (int64_t i = 0; i < d; ++i) {
      double* row = head_outer + i * d;
      if (n_some == kRowsAtOnce) {
        for (int64_t j = i; j < d; ++j) {
          row[j] = row[j] + a[i] * a[j] + b[i] * b[j] + c[i] * c[j] + e[i] * e[j];
        }
        continue;
      }
      for (int64_t r = 0; r < n_some; ++r) {
        for (int64_t j = i; j < d; ++j) row[j] += block[r * d + i] * block[r * d + j];
      }
    }
  }
}

}  // namespace kvasir
