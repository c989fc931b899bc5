// What of a text a cache holds, for people to look at.
#pragma once

#include <vector>

#include "engine/sequence.h"

namespace kvasir {

// The text in n_bins parts, fewer where it has fewer tokens; of each, the share of its entries,
// over all layers and heads, that the cache still holds.
std::vector<float> KeptMap(const Sequence& sequence, int64_t n_bins);

}  // namespace kvasir
