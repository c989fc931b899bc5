// ValueMap: which channels of a value are stored; the others count as 0, in attention and wherever
// a value is read. Immutable: runs, forks and threads share one.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"

namespace kvasir {

class ValueMap {
 public:
  // channels: ascending, below head_dim; at least one.
  ValueMap(int head_dim, std::vector<uint8_t> channels);

  int head_dim() const { return head_dim_; }
  int dim() const { return static_cast<int>(channels_.size()); }  // stored channels
  const std::vector<uint8_t>& channels() const { return channels_; }
  int64_t bytes() const { return static_cast<int64_t>(sizeof(ValueMap) + channels_.size()); }
  bool operator==(const ValueMap&) const = default;

  // What is wrong with channels that come from outside, such as a file.
  static Status Check(int head_dim, std::span<const uint8_t> channels);

  // value [head_dim] -> [dim()]; the output may not overlap the input.
  void Gather(const float* value, float* stored) const;
  // stored [dim()] -> value [head_dim], zeros where there is no channel.
  void Restore(const float* stored, float* value) const;

 private:
  int head_dim_;
  std::vector<uint8_t> channels_;
};

using ValueMapPtr = std::shared_ptr<const ValueMap>;  // null: all channels

}  // namespace kvasir
