// KeyMap: what happens to a key before it is encoded, and to a query before it meets such keys, so
// that the dot product stays what it was:
//   channels   of the key's channels these are kept, in this order (ThinK drops some)
//   balancer   kept channel i of the key times balancer[i], of the query divided by it (MiKV)
// Keys are mapped as they are rotated; a query is first rotated for the run's shift, then mapped.
// Immutable: runs, forks and threads share one.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace kvasir {

class KeyMap {
 public:
  // channels: empty: all. balancer [stored channels], positive; empty: 1.
  struct Parts {
    std::vector<uint8_t> channels;
    std::vector<float> balancer;
    bool operator==(const Parts&) const = default;
  };
  KeyMap(int head_dim, Parts parts);

  int head_dim() const { return head_dim_; }
  int dim() const { return dim_; }  // stored channels
  bool drops_channels() const { return dim_ < head_dim_; }
  const Parts& parts() const { return parts_; }
  int64_t bytes() const;
  bool operator==(const KeyMap& other) const {
    return head_dim_ == other.head_dim_ && parts_ == other.parts_;
  }

  // key or query [head_dim] -> [dim()]; the output may not overlap the input.
  void MapKey(const float* key, float* stored) const;
  void MapQuery(const float* query, float* mapped) const;
  // stored [dim()] -> key [head_dim]; channels that were dropped become 0.
  void Restore(const float* stored, float* key) const;

 private:
  int head_dim_, dim_;
  Parts parts_;
};

using KeyMapPtr = std::shared_ptr<const KeyMap>;  // null: keys are stored as they are

}  // namespace kvasir
