#include "cache/key_map.h"

#include <algorithm>

#include "base/result.h"

namespace kvasir {

KeyMap::KeyMap(int head_dim, Parts parts)
    : head_dim_(head_dim),
      dim_(parts.channels.empty() ? head_dim : static_cast<int>(parts.channels.size())),
      parts_(std::move(parts)) {
  KV_CHECK(dim_ > 0 && dim_ <= head_dim_);
  KV_CHECK(parts_.balancer.empty() || static_cast<int>(parts_.balancer.size()) == dim_);
  for (uint8_t channel : parts_.channels) KV_CHECK(channel < head_dim_);
}

int64_t KeyMap::bytes() const {
  return static_cast<int64_t>(sizeof(KeyMap) + parts_.channels.size() +
                              parts_.balancer.size() * sizeof(float));
}

void KeyMap::MapKey(const float* key, float* stored) const {
  for (int i = 0; i < dim_; ++i) {
    stored[i] = parts_.channels.empty() ? key[i] : key[parts_.channels[i]];
  }
  for (size_t i = 0; i < parts_.balancer.size(); ++i) stored[i] *= parts_.balancer[i];
}

void KeyMap::MapQuery(const float* query, float* mapped) const {
  for (int i = 0; i < dim_; ++i) {
    mapped[i] = parts_.channels.empty() ? query[i] : query[parts_.channels[i]];
  }
  for (size_t i = 0; i < parts_.balancer.size(); ++i) mapped[i] /= parts_.balancer[i];
}

void KeyMap::Restore(const float* stored, float* key) const {
  if (drops_channels()) std::fill_n(key, head_dim_, 0.0f);
  for (int i = 0; i < dim_; ++i) {
    const float x = parts_.balancer.empty() ? stored[i] : stored[i] / parts_.balancer[i];
    key[parts_.channels.empty() ? i : parts_.channels[i]] = x;
  }
}

}  // namespace kvasir
