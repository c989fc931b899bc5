#include "cache/key_map.h"

#include <algorithm>
#include <cmath>

#include "kernels/plane_format.h"

namespace kvasir {

Status KeyMap::Check(int head_dim, const Parts& parts) {
  const int dim = parts.channels.empty() ? head_dim : static_cast<int>(parts.channels.size());
  if (dim > head_dim || head_dim > kMostChannels) {
    return Fail("{} of {} channels", dim, head_dim);
  }
  for (uint8_t channel : parts.channels) {
    if (channel >= head_dim) return Fail("channel {} of {}", int{channel}, head_dim);
  }
  if (!parts.balancer.empty() && static_cast<int>(parts.balancer.size()) != dim) {
    return Fail("{} factors for {} channels", parts.balancer.size(), dim);
  }
  for (float factor : parts.balancer) {
    if (!std::isfinite(factor) || factor <= 0) return Fail("a channel times {}", factor);
  }
  if (parts.transform > Transform::kFourier || parts.transform_from < 0 ||
      parts.transform_from > dim) {
    return Fail("a transform from channel {} of {} on", parts.transform_from, dim);
  }
  const int n = dim - parts.transform_from;
  if (parts.transform == Transform::kFourier && n % 2 != 0) {
    return Fail("a Fourier transform of {} channels: an even number is needed", n);
  }
  return {};
}

KeyMap::KeyMap(int head_dim, Parts parts)
    : head_dim_(head_dim),
      dim_(parts.channels.empty() ? head_dim : static_cast<int>(parts.channels.size())),
      parts_(std::move(parts)) {
  KV_CHECK(Check(head_dim_, parts_).has_value());
  const int n = dim_ - parts_.transform_from;
  if (parts_.transform == Transform::kFourier && n > 0) fourier_.emplace(n);
}

int64_t KeyMap::bytes() const {
  return static_cast<int64_t>(sizeof(KeyMap) + parts_.channels.size() +
                              parts_.balancer.size() * sizeof(float) +
                              (fourier_ ? fourier_->n() * 2 * sizeof(float) : 0));
}

void KeyMap::MapKey(const float* key, float* stored) const {
  for (int i = 0; i < dim_; ++i) {
    stored[i] = parts_.channels.empty() ? key[i] : key[parts_.channels[i]];
  }
  for (size_t i = 0; i < parts_.balancer.size(); ++i) stored[i] *= parts_.balancer[i];
  Transformed(stored);
}

void KeyMap::MapQuery(const float* query, float* mapped) const {
  for (int i = 0; i < dim_; ++i) {
    mapped[i] = parts_.channels.empty() ? query[i] : query[parts_.channels[i]];
  }
  for (size_t i = 0; i < parts_.balancer.size(); ++i) mapped[i] /= parts_.balancer[i];
  Transformed(mapped);
}

void KeyMap::Transformed(float* x) const {
  float* from = x + parts_.transform_from;
  if (parts_.transform == Transform::kHadamard) WalshHadamard(from, dim_ - parts_.transform_from);
  if (fourier_) fourier_->Forward(from, from);
}

void KeyMap::Restore(const float* stored, float* key) const {
  float x[kMostChannels];
  std::copy_n(stored, dim_, x);
  float* from = x + parts_.transform_from;
  if (parts_.transform == Transform::kHadamard) WalshHadamard(from, dim_ - parts_.transform_from);
  if (fourier_) fourier_->Inverse(from, from);
  if (drops_channels()) std::fill_n(key, head_dim_, 0.0f);
  for (int i = 0; i < dim_; ++i) {
    key[parts_.channels.empty() ? i : parts_.channels[i]] =
        parts_.balancer.empty() ? x[i] : x[i] / parts_.balancer[i];
  }
}

}  // namespace kvasir
