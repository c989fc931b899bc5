// What a head cache is told about how its entries are to be stored and moved.
#pragma once

#include <cstdint>
#include <optional>

#include "kernels/plane_format.h"

namespace kvasir {

// Rotates a key [head_dim] that is rotated at position `from` so that it is rotated at `to`.
class KeyRotator {
 public:
  virtual ~KeyRotator() = default;
  virtual void Rotate(float* key, int32_t from, int32_t to) const = 0;
};

// What Encode makes of some entries; a plane that is not given stays as it is. A format's `dim` is
// the head's business: leave it 0. Keys go through the head's key map, values through its value
// map.
struct Encoding {
  std::optional<PlaneFormat> k, v;
};

// Of the entries whose keys (or values) are stored as `format` (`dim` 0: any), in the order of the
// text, those [first, first + n).
struct StoredSpan {
  PlaneKind kind = PlaneKind::kKeys;
  PlaneFormat format;
  int64_t first = 0, n = 0;
};

}  // namespace kvasir
