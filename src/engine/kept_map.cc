#include "engine/kept_map.h"

#include <algorithm>

namespace kvasir {

std::vector<float> KeptMap(const Sequence& sequence, int64_t n_bins) {
  const int64_t n = sequence.size();
  n_bins = std::min(n_bins, n);
  if (n_bins == 0) return {};
  std::vector<float> held(n_bins), all(n_bins);
  const KvCache& cache = sequence.cache();
  const auto n_heads = static_cast<float>(cache.n_layers() * cache.n_kv_heads());
  for (int64_t order = 0; order < n; ++order) all[order * n_bins / n] += n_heads;
  for (int l = 0; l < cache.n_layers(); ++l) {
    for (const HeadCache& head : cache.layer(l)) {
      for (const int32_t order : head.Orders()) held[order * n_bins / n] += 1;
    }
  }
  for (int64_t i = 0; i < n_bins; ++i) held[i] = std::min(1.0f, held[i] / all[i]);
  return held;
}

}  // namespace kvasir
