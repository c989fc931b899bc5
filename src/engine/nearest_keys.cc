// Ops::NearestKeys by matrix products.
#include <algorithm>
#include <cmath>

#include "engine/cpu_ops.h"

namespace kvasir {
namespace {

constexpr int64_t kKeysAtOnce = 128;  // keys multiplied at a time

// The keys of some entries, each of length 1 or zero: [entries][dim].
std::vector<float> UnitKeys(std::span<const float> keys, int64_t dim,
                            std::span<const int32_t> entries) {
  std::vector<float> unit(entries.size() * static_cast<size_t>(dim));
  for (size_t i = 0; i < entries.size(); ++i) {
    const float* key = keys.data() + entries[i] * dim;
    double square = 0;
    for (int64_t c = 0; c < dim; ++c) square += double{key[c]} * key[c];
    const double factor = square > 0 ? 1 / std::sqrt(square) : 0;
    for (int64_t c = 0; c < dim; ++c) unit[i * dim + c] = static_cast<float>(key[c] * factor);
  }
  return unit;
}

// The first of the largest of n > 0 numbers, many compared at a time.
int64_t IndexOfLargest(const float* x, int64_t n) {
  constexpr int64_t kLanes = 16;
  float most[kLanes];
  std::fill_n(most, kLanes, x[0]);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int64_t k = 0; k < kLanes; ++k) most[k] = x[i + k] > most[k] ? x[i + k] : most[k];
  }
  float largest = *std::max_element(most, most + kLanes);
  for (; i < n; ++i) largest = std::max(largest, x[i]);
  const int64_t first = std::find(x, x + n, largest) - x;
  return first < n ? first : 0;  // not among them: no number at all
}

}  // namespace

NearestEntries CpuOps::NearestKeys(const LayerView& at, int kv_head, std::span<const int32_t> from,
                                   std::span<const int32_t> to) {
  const int64_t d = at.model.head_dim;
  const auto n_from = static_cast<int64_t>(from.size()), n_to = static_cast<int64_t>(to.size());
  const std::vector<float> keys = ReadPlane(at.heads[kv_head], PlaneKind::kKeys);
  const std::vector<float> a = UnitKeys(keys, d, from), b = UnitKeys(keys, d, to);
  WeightArena arena;
  const auto packed = PackWeights(
      forward_->isa(), {TensorType::kF32, n_to, d, reinterpret_cast<const std::byte*>(b.data())},
      forward_->pool(), arena);
  KV_CHECK(packed.has_value());
  NearestEntries nearest{std::vector<int32_t>(n_from), std::vector<float>(n_from)};
  std::vector<float> cosines(std::min(kKeysAtOnce, n_from) * n_to);
  Activations x;
  for (int64_t first = 0; first < n_from; first += kKeysAtOnce) {
    const int64_t rows = std::min(kKeysAtOnce, n_from - first);
    x.Set(Mat(a.data() + first * d, rows, d));
    const MatMulJob product{&*packed, Mat(cosines.data(), rows, n_to)};
    MatMul(x, {&product, 1}, forward_->pool());
    for (int64_t r = 0; r < rows; ++r) {
      const float* row = cosines.data() + r * n_to;
      const int64_t best = IndexOfLargest(row, n_to);
      nearest.entry[first + r] = to[best];
      nearest.cosine[first + r] = row[best];
    }
  }
  return nearest;
}

}  // namespace kvasir
