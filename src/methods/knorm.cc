// Keeps the entries whose keys have the smallest L2 norm. Devoto et al., EMNLP 2024, arXiv
// 2406.11430. Moment: compress at the prompt's end; cost: one pass over the keys. RoPE is a
// rotation, so the norm of a key does not depend on its position.
// Differs from the paper: no layer is left whole unless asked for (first_layers=2), as in kvpress,
// so that a budget is what every layer keeps.
#include <cmath>

#include "methods/evict_params.h"
#include "methods/registry.h"

namespace kvasir {
namespace {

constexpr ParamInfo kParams[] = {
    kBudgetParam,
    {"first_layers", ParamKind::kInteger, "0", "0..1024",
     "first layers that stay whole, beside the budget of the others; the paper's are 2"},
    WhenParam("prompt"),
};

class Knorm final : public Method {
 public:
  Knorm(Budget budget, int64_t first_layers, bool at_decode)
      : budget_(budget), first_layers_(first_layers), at_decode_(at_decode) {}

  Needs needs(const ModelInfo&) const override { return {.at_decode = at_decode_}; }

  void Compress(const LayerView& at, Ops& ops, LayerPlan& plan) const override {
    const int64_t keep = budget_.Of(at.shares_of);
    if (at.layer < first_layers_ || at.Fits(keep)) return;
    const auto scores = ScoresOnce(ops, at, "knorm", [&](int h) { return Scores(at.heads[h]); });
    for (int h = 0; h < plan.n_heads(); ++h) {
      plan.Score(h, (*scores)[h]);
      plan.Budget(h, keep);
    }
  }

 private:
  static std::vector<float> Scores(const HeadCache& head) {
    const int64_t dim = head.format().head_dim;
    const std::vector<float> keys = ReadPlane(head, PlaneKind::kKeys);
    std::vector<float> scores(head.size());
    for (size_t i = 0; i < scores.size(); ++i) {
      double sum = 0;
      for (int64_t c = 0; c < dim; ++c) sum += double{keys[i * dim + c]} * keys[i * dim + c];
      scores[i] = -static_cast<float>(std::sqrt(sum));
    }
    return scores;
  }

  const Budget budget_;
  const int64_t first_layers_;
  const bool at_decode_;
};

Result<std::unique_ptr<Method>> Make(const Params& params) {
  return std::make_unique<Knorm>(params.GetBudget("budget"), params.GetInt("first_layers"),
                                 params.GetWord("when") == "always");
}

}  // namespace

extern constinit const MethodInfo kKnorm = {
    .name = "knorm",
    .role = Role::kBase,
    .family = "evict",
    .summary = "keeps the entries whose keys have the smallest norm",
    .paper = "arXiv 2406.11430",
    .about =
        "Keys of small norm tend to draw attention, so those stay. Needs no queries and next to no "
        "time, so it can compress a document before the question is known. Nothing recent is "
        "protected: stack `protect`. The paper keeps the first two layers whole, beside the budget "
        "of the others: first_layers=2; kvpress keeps none. The coarsest scorer here: below half "
        "of the entries it loses to most others.",
    .example = "knorm:budget=20%",
    .params = kParams,
    .make = &Make,
    .scored = true,
};

}  // namespace kvasir
