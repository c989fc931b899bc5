// Ops::NearestKeys as plain loops: what an Ops without a faster one has, and the reference of
// those.
#include <cmath>

#include "methods/method.h"

namespace kvasir {
namespace {

// The keys of some entries, each of length 1 or zero: [entries][dim].
std::vector<float> UnitKeys(std::span<const float> keys, int64_t dim,
                            std::span<const int32_t> entries) {
  std::vector<float> unit;
  unit.reserve(entries.size() * static_cast<size_t>(dim));
  for (int32_t entry : entries) {
    const float* key = keys.data() + entry * dim;
    double square = 0;
    for (int64_t c = 0; c < dim; ++c) square += double{key[c]} * key[c];
    const double factor = square > 0 ? 1 / std::sqrt(square) : 0;
    for (int64_t c = 0; c < dim; ++c) unit.push_back(static_cast<float>(key[c] * factor));
  }
  return unit;
}

}  // namespace

NearestEntries Ops::NearestKeys(const LayerView& at, int kv_head, std::span<const int32_t> from,
                                std::span<const int32_t> to) {
  const int64_t dim = at.model.head_dim;
  const std::vector<float> keys = ReadPlane(at.heads[kv_head], PlaneKind::kKeys);
  const std::vector<float> a = UnitKeys(keys, dim, from), b = UnitKeys(keys, dim, to);
  NearestEntries nearest;
  for (size_t i = 0; i < from.size(); ++i) {
    size_t best = 0;
    double best_cosine = -2;
    for (size_t j = 0; j < to.size(); ++j) {
      double cosine = 0;
      for (int64_t c = 0; c < dim; ++c) cosine += double{a[i * dim + c]} * b[j * dim + c];
      if (cosine <= best_cosine) continue;
      best = j;
      best_cosine = cosine;
    }
    nearest.entry.push_back(to[best]);
    nearest.cosine.push_back(static_cast<float>(best_cosine));
  }
  return nearest;
}

}  // namespace kvasir
