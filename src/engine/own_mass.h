// Attention mass under a softmax of its own (MassRule), for methods that regularise it.
#pragma once

#include <span>
#include <vector>

#include "engine/forward.h"
#include "methods/method.h"

namespace kvasir {

struct RowBlock {
  int64_t first = 0, n = 0;  // of LastQueries
};

// The noise of all entries of a layer's heads: [kv_heads][entries]. `columns` [layers * kv_heads]
// holds what was drawn before, for entries that are still there.
std::span<const std::vector<float>> TokenNoise(const MassRule& rule,
                                               std::span<const HeadCache> heads, int layer,
                                               std::span<std::vector<float>> columns);

// What each block of rows gives the slots: [blocks][kv_heads][slots].
std::vector<std::vector<std::vector<float>>> OwnMassBySlot(
    Forward& forward, std::span<const HeadCache> heads, int layer, const LastQueries& rows,
    std::span<const RowBlock> blocks, const MassRule& rule, float tau,
    std::span<const std::vector<float>> token_noise);

}  // namespace kvasir
