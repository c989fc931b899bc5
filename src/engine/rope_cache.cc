#include "engine/rope_cache.h"

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

KeyMover::KeyMover(RopeTable table, Isa isa) : table_(std::move(table)), isa_(isa) {
  table_.attention_factor = 1.0f;
}

void KeyMover::Rotate(float* key, int32_t from, int32_t to) const {
  std::vector<float> angles(table_.n_rot());
  float* sin = angles.data() + table_.n_rot() / 2;
  RopeAngles(table_, to - from, angles.data(), sin);
  RotateHead(isa_, table_, angles.data(), sin, key);
}

}  // namespace kvasir
