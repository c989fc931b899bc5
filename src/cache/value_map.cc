#include "cache/value_map.h"

#include <algorithm>
#include <functional>

#include "kernels/plane_format.h"

namespace kvasir {

Status ValueMap::Check(int head_dim, std::span<const uint8_t> channels) {
  const bool ascends = std::adjacent_find(channels.begin(), channels.end(),
                                          std::greater_equal<>()) == channels.end();
  if (channels.empty() || head_dim > kMostChannels || channels.back() >= head_dim || !ascends) {
    return Fail("{} channels of {}, which are not some of them in their order", channels.size(),
                head_dim);
  }
  return {};
}

ValueMap::ValueMap(int head_dim, std::vector<uint8_t> channels)
    : head_dim_(head_dim), channels_(std::move(channels)) {
  KV_CHECK(Check(head_dim_, channels_).has_value());
}

void ValueMap::Gather(const float* value, float* stored) const {
  for (size_t i = 0; i < channels_.size(); ++i) stored[i] = value[channels_[i]];
}

void ValueMap::Restore(const float* stored, float* value) const {
  std::fill_n(value, head_dim_, 0.0f);
  for (size_t i = 0; i < channels_.size(); ++i) value[channels_[i]] = stored[i];
}

}  // namespace kvasir
