// Stores entries in 8 bits, as soon as they are read: one f16 scale for 32 channels of an entry.
// Moment: store, after the prompt and each token; cost: each entry is encoded once.
#include "methods/full_precision.h"
#include "methods/registry.h"

namespace kvasir {
namespace {

constexpr ParamInfo kParams[] = {kFirstLayers, kLastLayers, kSinks, kWindow};

class Q8 final : public Method {
 public:
  explicit Q8(const FullPrecision& full) : full_(full) {}

  void Compress(const LayerView& at, Ops&, LayerPlan& plan) const override {
    full_.EncodeOthers(at, Q8Plane(0), plan);
  }

 private:
  const FullPrecision full_;
};

Result<std::unique_ptr<Method>> Make(const Params& params) {
  return std::make_unique<Q8>(FullPrecision(params));
}

}  // namespace

extern constinit const MethodInfo kQ8 = {
    .name = "q8",
    .role = Role::kCodec,
    .family = "quantise",
    .summary = "keys and values in 8 bits, from the first token on",
    .paper = "",
    .about =
        "8.5 bits a number, with a loss that few tasks can measure. Needs nothing, drops nothing, "
        "works with every evictor, and entries are encoded one by one, so evicting gives their "
        "bytes back exactly. The prompt is read at full precision; `--kv-type q8` stores it in 8 "
        "bits from the first token on, which is for when even one layer at full precision is too "
        "much. For less than 8 bits keys want `kivi`.",
    .example = "q8:window=0",
    .params = kParams,
    .make = &Make,
};

}  // namespace kvasir
