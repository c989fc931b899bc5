// KeyMap: what happens to a key before it is encoded, and to a query before it meets such keys, so
// that the dot product stays what it was:
//   channels   of the key's channels these are kept, in this order (ThinK drops some)
//   balancer   kept channel i of the key times balancer[i], of the query divided by it (MiKV)
//   transform  an orthogonal one of the channels from `transform_from` on: Hadamard's spreads
//              outliers over channels, Fourier's is what VidKV takes signs of
// Keys are mapped as they are rotated; a query is first rotated for the run's shift, then mapped.
// Immutable: runs, forks and threads share one.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "kernels/transform.h"

namespace kvasir {

class KeyMap {
 public:
  enum class Transform : uint8_t { kNone, kHadamard, kFourier };
  // channels: empty: all. balancer [stored channels], positive; empty: 1. Fourier: of an even
  // number of channels.
  struct Parts {
    std::vector<uint8_t> channels = {};
    std::vector<float> balancer = {};
    Transform transform = Transform::kNone;
    int transform_from = 0;
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

  // What is wrong with parts that come from outside, such as a file.
  static Status Check(int head_dim, const Parts& parts);

  // key or query [head_dim] -> [dim()]; the output may not overlap the input.
  void MapKey(const float* key, float* stored) const;
  void MapQuery(const float* query, float* mapped) const;
  // stored [dim()] -> key [head_dim]; channels that were dropped become 0.
  void Restore(const float* stored, float* key) const;

 private:
  void Transformed(float* x) const;  // in place

  int head_dim_, dim_;
  Parts parts_;
  std::optional<RealFourier> fourier_;
};

using KeyMapPtr = std::shared_ptr<const KeyMap>;  // null: keys are stored as they are

}  // namespace kvasir
