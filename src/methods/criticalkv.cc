// Spends half the budget on the base's best and half on entries whose value also weighs much after
// the output projection. Feng et al., CriticalKV, arXiv 2502.03805. Moment: after the base and
// head-budget wrappers; cost: the values once through W_o, as much as the layer's own projection.
//
// stage 1: the best `first` of a head's budget by score stay, at least one unless first is 0; stage
// 2: the others are ranked by (score + epsilon) w, w = mean over the group of ||W_o,h v||_1.
#include <numeric>

#include "methods/registry.h"

namespace kvasir {
namespace {

constexpr ParamInfo kParams[] = {
    {"epsilon", ParamKind::kNumber, "0.0001", "0..1", "added to scores before they are weighed"},
    {"first", ParamKind::kNumber, "50%", "0..1", "share of the budget that goes by score alone"},
};

class CriticalKv final : public Method {
 public:
  CriticalKv(double epsilon, double first) : epsilon_(epsilon), first_(first) {}

  void Compress(const LayerView& at, Ops& ops, LayerPlan& plan) const override {
    if (!plan.has_scores()) return;
    std::vector<std::vector<float>> scores;
    std::vector<std::vector<int32_t>> first;  // of each head
    float best = 0;                           // of all: a wrapper outside may compare heads
    for (int h = 0; h < plan.n_heads(); ++h) {
      scores.push_back(plan.Ranking(h));
      first.emplace_back();
      const int64_t budget = *plan.budget(h);
      if (budget >= at.heads[h].size()) continue;
      first[h] =
          Best(scores[h], FirstStage(plan.exact_budget(h).value_or(static_cast<double>(budget))));
      const std::vector<float> weight = ops.OutputNorms(at, h);
      for (size_t i = 0; i < weight.size(); ++i) {
        scores[h][i] = static_cast<float>((scores[h][i] + epsilon_) * weight[i]);
        best = std::max(best, scores[h][i]);
      }
    }
    for (int h = 0; h < plan.n_heads(); ++h) {
      for (int32_t entry : first[h]) scores[h][entry] = best + 1;
      plan.Unprotect(h);  // what was protected is now the best scored
      plan.Score(h, std::move(scores[h]));
    }
  }

 private:
  int64_t FirstStage(double budget) const {
    if (first_ == 0) return 0;
    return std::max<int64_t>(1, static_cast<int64_t>(budget * first_));
  }

  // The n entries that rank highest.
  static std::vector<int32_t> Best(const std::vector<float>& ranking, int64_t n) {
    std::vector<int32_t> order(ranking.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int32_t a, int32_t b) { return ranking[a] > ranking[b]; });
    order.resize(n);
    return order;
  }

  const double epsilon_, first_;
};

Result<std::unique_ptr<Method>> Make(const Params& params) {
  return std::make_unique<CriticalKv>(params.GetNumber("epsilon"), params.GetNumber("first"));
}

}  // namespace

extern constinit const MethodInfo kCriticalKv = {
    .name = "criticalkv",
    .role = Role::kWrapper,
    .family = "select",
    .summary = "half the budget by score, half by score and what the value adds to the output",
    .paper = "arXiv 2502.03805",
    .about =
        "An entry that is looked at but adds nothing to the layer's output can go; one that adds "
        "much should stay. Bounds the worst-case change of the output better than scores alone. "
        "Needs the values once through the output projection at the prompt's end. For scores that "
        "are attention (snapkv, h2o, tova, expected): with scores below zero (knorm, keydiff) the "
        "weighing turns round, so do not. Stack it outside of `adakv`.",
    .example = "criticalkv + adakv + snapkv:budget=20%",
    .params = kParams,
    .make = &Make,
    .scored = true,
};

}  // namespace kvasir
