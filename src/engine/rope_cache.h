// Cosines and sines of positions, computed once a model and kept.
#pragma once

#include <cstdint>
#include <vector>

#include "cache/head_cache.h"
#include "kernels/elementwise.h"

namespace kvasir {

class RopeCache {
 public:
  explicit RopeCache(const RopeTable& table) : table_(&table) {}

  struct Angles {
    const float *cos, *sin;  // [n_rot / 2]
  };
  // Computes positions [0, end) that are not there yet.
  void Prepare(int32_t end);
  // scratch [n_rot] holds the angles of a position that was not prepared.
  Angles At(int32_t position, float* scratch) const;
  const RopeTable& table() const { return *table_; }

 private:
  const RopeTable* table_;
  std::vector<float> angles_;  // [position][cos n_rot / 2, sin n_rot / 2]
};

// Moves keys that are already rotated: by the difference of the angles, without the attention
// factor, which they carry already. The cache outlives it.
class KeyMover final : public KeyRotator {
 public:
  KeyMover(const RopeCache& cache, Isa isa) : cache_(&cache), isa_(isa) {}
  void Rotate(float* key, int32_t from, int32_t to) const override;

 private:
  const RopeCache* cache_;
  Isa isa_;
};

}  // namespace kvasir
