// Makes the first and the last entries stay whatever the base says, within its budget.
#include "methods/registry.h"

namespace kvasir {
namespace {

constexpr ParamInfo kParams[] = {
    {"sinks", ParamKind::kInteger, "4", "0..65536", "first entries that stay"},
    {"window", ParamKind::kInteger, "32", "0..65536", "last entries that stay"},
};

class Protect final : public Method {
 public:
  Protect(int64_t sinks, int64_t window) : sinks_(sinks), window_(window) {}

  void Compress(const LayerView&, Ops&, LayerPlan& plan) const override {
    if (!plan.has_scores()) return;
    for (int h = 0; h < plan.n_heads(); ++h) {
      plan.ProtectFirst(h, sinks_);
      plan.ProtectLast(h, window_);
    }
  }

 private:
  const int64_t sinks_, window_;
};

Result<std::unique_ptr<Method>> Make(const Params& params) {
  return std::make_unique<Protect>(params.GetInt("sinks"), params.GetInt("window"));
}

}  // namespace

extern constinit const MethodInfo kProtect = {
    .name = "protect",
    .role = Role::kWrapper,
    .family = "guard",
    .summary = "the first and the last entries stay, whatever the base says",
    .paper = "arXiv 2309.17453",
    .about =
        "Sinks carry the attention that has nowhere to go, the last entries the sentence being "
        "read; most scorers lose one or the other now and then. Protected entries count in the "
        "budget; where it is too small for all of them the newest stay. Stacked outside of a "
        "wrapper it protects after it; inside, the wrapper sees protected entries as the best.",
    .example = "protect:sinks=4,window=32 + knorm:budget=20%",
    .params = kParams,
    .make = &Make,
    .scored = true,
};

}  // namespace kvasir
