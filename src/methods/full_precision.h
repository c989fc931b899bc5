// What a codec leaves as it was appended: options that all codecs have, and those of some.
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
    return std::max<int64_t>(0, head.n_staged(kind) - First(head, kind) - window);
  }
  // The oldest n of those.
  StoredSpan Oldest(const HeadCache& head, PlaneKind kind, int64_t n) const {
    return {kind, Staging(head, kind), First(head, kind), n};
  }
  // Staged entries before those: the sinks, and a compensation entry (HeadCache::Fold) with what
  // stands before it, since it alone stands for most of the text.
  int64_t First(const HeadCache& head, PlaneKind kind) const {
    if (head.n_folded() == 0) return sinks;
    const std::vector<float> counts = head.Column(kCountColumn);
    const auto folded = std::max_element(counts.begin(), counts.end()) - counts.begin();
    const std::vector<int32_t> staged =
        head.Entries({kind, Staging(head, kind), 0, head.n_staged(kind)});
    const auto after = std::upper_bound(staged.begin(), staged.end(), folded) - staged.begin();
    return std::max<int64_t>(sinks, after);
  }
  static PlaneFormat Staging(const HeadCache& head, PlaneKind kind) {
    return kind == PlaneKind::kKeys ? head.format().k() : head.format().v();
  }
  // For codecs that store entries one by one: all others in this format.
  void EncodeOthers(const LayerView& at, const PlaneFormat& format, LayerPlan& plan) const {
    if (Skips(at)) return;
    for (int h = 0; h < plan.n_heads(); ++h) {
      const HeadCache& head = at.heads[h];
      const bool is_base = Matches(head.format().k(), format) && !plan.key_map(h);
      const int64_t n = is_base ? 0 : Eligible(head, PlaneKind::kKeys);
      plan.Encode(h, Oldest(head, PlaneKind::kKeys, n), {format, format});
    }
  }
};

// `residual` of codecs that store entries in groups of so many: how many wait for that.
inline Result<int64_t> GroupedResidual(std::string_view method, const Params& params,
                                       int64_t group = kGroupSlots) {
  const int64_t residual = params.GetInt("residual");
  if (residual % group == 0) return residual;
  return Fail("--kv \"{}:residual={}\": a multiple of {} is needed, such as {}", method, residual,
              group, std::max<int64_t>(1, residual / group) * group);
}

}  // namespace kvasir
