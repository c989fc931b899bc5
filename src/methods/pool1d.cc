#include <algorithm>

#include "methods/method.h"

namespace kvasir {

std::vector<float> Pool1d(std::span<const float> x, int kernel, PoolKind kind) {
  const auto n = static_cast<int64_t>(x.size());
  const int64_t half = kernel / 2;
  std::vector<float> pooled(x.size());
  for (int64_t i = 0; i < n; ++i) {
    const int64_t first = std::max<int64_t>(0, i - half), last = std::min(n - 1, i + half);
    float sum = 0, best = x[first];
    for (int64_t j = first; j <= last; ++j) {
      sum += x[j];
      best = std::max(best, x[j]);
    }
    pooled[i] = kind == PoolKind::kMean ? sum / static_cast<float>(kernel) : best;
  }
  return pooled;
}

}  // namespace kvasir
