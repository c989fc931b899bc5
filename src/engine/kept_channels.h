// The key channels that a map keeps, numbered so that channel i rotates with i + head_dim / 2,
// ascending, whatever order the model's file has them in. Empty: all.
#pragma once

#include <cstdint>
#include <vector>

#include "cache/key_map.h"
#include "kernels/elementwise.h"

namespace kvasir {

std::vector<int32_t> KeptChannels(const KeyMapPtr& map, const RopeTable& rope);

}  // namespace kvasir
