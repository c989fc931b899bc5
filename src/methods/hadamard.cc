// Rotates keys by a Walsh-Hadamard transform before a codec stores them, and queries alike; QuaRot,
// Ashkboos et al., NeurIPS 2024, arXiv 2404.00456, section 4 (keys). The transform is orthogonal,
// so q . k stays; an outlier of one channel is spread over all of them, and a grid over channels
// has to reach less far. Values are left alone: theirs would have to be undone in every output, and
// they have no outlier channels to spread.
#include "methods/registry.h"

namespace kvasir {
namespace {

class Hadamard final : public Method {
 public:
  void Compress(const LayerView& at, Ops&, LayerPlan& plan) const override {
    KeyMapPtr map;
    for (int h = 0; h < plan.n_heads(); ++h) {
      if (plan.key_map(h)) continue;
      if (!map) {
        map = std::make_shared<const KeyMap>(
            at.model.head_dim, KeyMap::Parts{.transform = KeyMap::Transform::kHadamard});
      }
      plan.MapKeys(h, map);
    }
  }
};

Result<std::unique_ptr<Method>> Make(const Params&) { return std::make_unique<Hadamard>(); }

}  // namespace

extern constinit const MethodInfo kHadamard = {
    .name = "hadamard",
    .role = Role::kWrapper,
    .family = "quantise",
    .summary = "spreads the outliers of keys over all channels before a codec stores them",
    .paper = "arXiv 2404.00456",
    .about =
        "Stands before a codec. Keys, and the queries that meet them, are multiplied by a "
        "Walsh-Hadamard matrix (of the largest power of two that divides head_dim, block by "
        "block), which changes no dot product. It helps codecs whose grid spans channels (q4, "
        "q8), where one outlier spoils 32 channels. Codecs that give each channel its own grid "
        "(kivi) deal with outliers already: there it mixes quiet channels with loud ones and "
        "usually loses. Costs one small transform a query; keys that are stored so cannot be "
        "moved to other positions, so nothing that renumbers goes with it.",
    .example = "hadamard + q4",
    .params = {},
    .make = &Make,
    .of_codec = true,
    .fixes_keys = true,
};

}  // namespace kvasir
