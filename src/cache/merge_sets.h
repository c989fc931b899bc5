// MergeSets: sets of a head's entries that become one entry each.
#pragma once

#include <cstdint>
#include <vector>

namespace kvasir {

struct MergeSets {
  std::vector<int32_t> into;  // [sets] the member that is overwritten; its order and position stay
  std::vector<int32_t> begin{0};  // [sets + 1] set s is members[begin[s] .. begin[s + 1])
  std::vector<int32_t> members;   // entries, each in one set at most; `into` is among its set's
  std::vector<float> k_weights;   // [members] the new key is the weighted sum; empty: keys stay
  std::vector<float> v_weights;   // [members] the new value likewise
  std::vector<float> bias;        // [sets] of the new entries' logits; empty: biases stay

  int64_t n_sets() const { return static_cast<int64_t>(into.size()); }
  void Add(int32_t member, float k_weight, float v_weight) {
    members.push_back(member);
    k_weights.push_back(k_weight);
    v_weights.push_back(v_weight);
  }
  void Close(int32_t target) {  // the members added since the last Close are a set
    into.push_back(target);
    begin.push_back(static_cast<int32_t>(members.size()));
  }
};

}  // namespace kvasir
