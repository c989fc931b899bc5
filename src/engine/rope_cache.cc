#include "engine/rope_cache.h"

#include <cstdlib>

namespace kvasir {

void RopeCache::Prepare(int32_t end) {
  const int n_rot = table_->n_rot();
  const auto have = static_cast<int32_t>(angles_.size() / n_rot);
  if (end <= have) return;
  angles_.resize(static_cast<size_t>(end) * n_rot);
  for (int32_t position = have; position < end; ++position) {
    float* cos = angles_.data() + static_cast<int64_t>(position) * n_rot;
    RopeAngles(*table_, position, cos, cos + n_rot / 2);
  }
}

RopeCache::Angles RopeCache::At(int32_t position, float* scratch) const {
  const int n_rot = table_->n_rot();
  const auto have = static_cast<int32_t>(angles_.size() / n_rot);
  if (position >= 0 && position < have) {
    const float* cos = angles_.data() + static_cast<int64_t>(position) * n_rot;
    return {cos, cos + n_rot / 2};
  }
  RopeAngles(*table_, position, scratch, scratch + n_rot / 2);
  return {scratch, scratch + n_rot / 2};
}

// A rotation backwards has the same cosines and the opposite sines.
void KeyMover::Rotate(float* key, int32_t from, int32_t to) const {
  const RopeTable& table = cache_->table();
  const int n = table.n_rot() / 2;
  float scratch[kMostChannels], sin[kMostChannels];
  const RopeCache::Angles at = cache_->At(std::abs(to - from), scratch);
  if (table.attention_factor == 1.0f) {
    if (to >= from) return RotateHead(isa_, table, at.cos, at.sin, key);
    for (int i = 0; i < n; ++i) sin[i] = -at.sin[i];
    return RotateHead(isa_, table, at.cos, sin, key);
  }
  float cos[kMostChannels];
  const float scale = 1.0f / table.attention_factor, signed_scale = to >= from ? scale : -scale;
  for (int i = 0; i < n; ++i) {
    cos[i] = at.cos[i] * scale;
    sin[i] = at.sin[i] * signed_scale;
  }
  RotateHead(isa_, table, cos, sin, key);
}

}  // namespace kvasir
