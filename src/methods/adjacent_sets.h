// Sets of neighbouring entries: which of a head's entries may become one (KVMerger section 3.1).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace kvasir {

// cosine[i] of keys i and i + 1; keys [n][dim]: [n - 1]. 0 where a key is zero.
std::vector<float> AdjacentCosines(std::span<const float> keys, int64_t dim);
// [n] of keys [n][dim].
std::vector<float> KeyNorms(std::span<const float> keys, int64_t dim);

// Sets are given by where they begin: [sets + 1], from 0 to n. may_join[i]: entries i and i + 1 may
// be in one set.
//
// Those whose cosine is above eps, from the end backwards, at most `longest` in a set.
std::vector<int32_t> JoinAbove(std::span<const float> cosine, const std::vector<bool>& may_join,
                               float eps, int64_t longest);
// The most similar neighbours (of equals the earlier), until `target` sets are left: exactly, if
// may_join allows so few. Where sets of `longest` leave too many, the limit is doubled.
std::vector<int32_t> JoinToTarget(std::span<const float> cosine, const std::vector<bool>& may_join,
                                  int64_t target, int64_t longest);

}  // namespace kvasir
