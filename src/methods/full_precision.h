// What a codec leaves as it was appended: options that all codecs have.
#pragma once

#include <algorithm>

#include "methods/method.h"
#include "methods/spec.h"

namespace kvasir {

inline constexpr ParamInfo kFirstLayers = {"first_layers", ParamKind::kInteger, "0", "0..1024",
                                           "first layers that are left as they are"};
inline constexpr ParamInfo kLastLayers = {"last_layers", ParamKind::kInteger, "0", "0..1024",
                                          "last layers that are left as they are"};
inline constexpr ParamInfo kSinks = {"sinks", ParamKind::kInteger, "0", "0..65536",
                                     "first entries that are left as they are"};
inline constexpr ParamInfo kWindow = {"window", ParamKind::kInteger, "0", "0..16777216",
                                      "most recent entries that are left as they are"};

struct FullPrecision {
  int64_t first_layers = 0, last_layers = 0, sinks = 0, window = 0;

  explicit FullPrecision(const Params& params)
      : first_layers(params.GetInt("first_layers")),
        last_layers(params.GetInt("last_layers")),
        sinks(params.GetInt("sinks")),
        window(params.GetInt("window")) {}

  bool Skips(const LayerView& at) const {
    return at.layer < first_layers || at.layer >= at.model.n_layers - last_layers;
  }
  // Staged entries whose keys (or values) may be encoded.
  int64_t Eligible(const HeadCache& head, PlaneKind kind) const {
    return std::max<int64_t>(0, head.n_staged(kind) - sinks - window);
  }
  // The oldest n of those.
  StoredSpan Oldest(const HeadCache& head, PlaneKind kind, int64_t n) const {
    const bool keys = kind == PlaneKind::kKeys;
    return {kind, keys ? head.format().k() : head.format().v(), sinks, n};
  }
};

}  // namespace kvasir
