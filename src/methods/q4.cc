// Stores entries in 4 bits, as soon as they are read: an f16 scale and minimum for 32 channels of
// an entry. Moment: store, after the prompt and each token; cost: each entry is encoded once.
#include "methods/full_precision.h"
#include "methods/registry.h"

namespace kvasir {
namespace {

constexpr ParamInfo kParams[] = {kFirstLayers, kLastLayers, kSinks, kWindow};

class Q4 final : public Method {
 public:
  explicit Q4(const FullPrecision& full) : full_(full) {}

  void Compress(const LayerView& at, Ops&, LayerPlan& plan) const override {
    full_.EncodeOthers(at, TokenPlane(4, 0), plan);
  }

 private:
  const FullPrecision full_;
};

Result<std::unique_ptr<Method>> Make(const Params& params) {
  return std::make_unique<Q4>(FullPrecision(params));
}

}  // namespace

extern constinit const MethodInfo kQ4 = {
    .name = "q4",
    .role = Role::kCodec,
    .family = "quantise",
    .summary = "keys and values in 4 bits, from the first token on",
    .paper = "",
    .about =
        "5 bits a number. Entries are encoded one by one, so evicting gives their bytes back "
        "exactly and there is no residual. Outliers of keys live in a few channels, and a grid "
        "over channels suffers from them: `kivi:bits=4` takes the same bytes and loses less; "
        "`hadamard + q4` spreads the outliers. Not for models whose keys have no norm and large "
        "outliers (qwen2).",
    .example = "q4:window=0",
    .params = kParams,
    .make = &Make,
};

}  // namespace kvasir
