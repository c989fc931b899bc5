#include "engine/kept_channels.h"

#include <algorithm>

namespace kvasir {

std::vector<int32_t> KeptChannels(const KeyMapPtr& map, const RopeTable& rope) {
  std::vector<int32_t> channels;
  if (!map || !map->drops_channels()) return channels;
  const auto n_pairs = static_cast<int32_t>(rope.inv_freq.size());
  for (const int32_t c : map->parts().channels) {
    // Where neighbours 2i and 2i + 1 rotate together they become i and i + n_pairs.
    channels.push_back(rope.neox || c >= 2 * n_pairs ? c : c / 2 + c % 2 * n_pairs);
  }
  std::sort(channels.begin(), channels.end());
  return channels;
}

}  // namespace kvasir
