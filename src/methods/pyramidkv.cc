// Gives lower layers more of the budget than upper ones. Cai et al., PyramidKV, arXiv 2406.02069.
// Moment: after the base; costs nothing.
//
// paper (KVCache-Factory): of C = budget, w protected: base = C - w, min = base / beta, max =
// 2 base - min; where max exceeds the n - w that there are, max = n - w and min = 2 base - max; a
// layer gets max - layer * ((max - min) / (L - 1)) and its w, all in whole numbers. Below n =
// 2 base all layers get the same. exact_total: steps are real and rounded by largest remainder, so
// that the layers' sum is L * C; whole steps exceed it by up to L / 2 entries a layer.
// kvpress: the window is counted in, divisions are real, rounded half to even, and the ramp stands
// back for the plain budget unless n >= max >= min >= w.
#include <cmath>

#include "methods/largest_remainder.h"
#include "methods/registry.h"

namespace kvasir {
namespace {

constexpr ParamInfo kParams[] = {
    {"beta", ParamKind::kInteger, "20", "1..10000",
     "the last layer gets a beta-th of the average, the first nearly twice"},
    {"variant", ParamKind::kWord, "paper", "paper|kvpress", "how the ramp is rounded"},
    {"exact_total", ParamKind::kFlag, "false", "true|false",
     "paper: the layers keep exactly the base's budget on average"},
};

class PyramidKv final : public Method {
 public:
  PyramidKv(int64_t beta, bool kvpress, bool exact_total)
      : beta_(beta), kvpress_(kvpress), exact_total_(exact_total) {}

  void Compress(const LayerView& at, Ops&, LayerPlan& plan) const override {
    if (!plan.has_scores() || at.model.n_layers < 2) return;
    for (int h = 0; h < plan.n_heads(); ++h) {
      // Of the prompt, not of what is left of it: while generating the ramp stays as it was.
      const int64_t n = at.shares_of, budget = *plan.budget(h);
      const double exact = plan.exact_budget(h).value_or(static_cast<double>(budget));
      if (budget >= n) continue;
      const std::vector<bool> is_protected = plan.Protected(h);
      const int64_t window = std::count(is_protected.begin(), is_protected.end(), true);
      plan.Budget(h, kvpress_ ? RealRamp(at, n, exact, window) : Ramp(at, n, budget, window));
    }
  }

 private:
  int64_t Ramp(const LayerView& at, int64_t n, int64_t budget, int64_t window) const {
    const int64_t base = budget - window;
    if (base <= 0 || n < 2 * base) return budget;
    int64_t min = base / beta_, max = 2 * base - min;
    if (max >= n - window) {
      max = n - window;
      min = 2 * base - max;
    }
    const int64_t n_layers = at.model.n_layers;
    if (!exact_total_) return max - at.layer * ((max - min) / (n_layers - 1)) + window;
    std::vector<double> ramp(n_layers);
    for (int64_t l = 0; l < n_layers; ++l) {
      ramp[l] = static_cast<double>(max) -
                static_cast<double>(l * (max - min)) / static_cast<double>(n_layers - 1);
    }
    return LargestRemainder(ramp, n_layers * base)[at.layer] + window;
  }

  // A share is taken as it is: kvpress knows no counts.
  int64_t RealRamp(const LayerView& at, int64_t n, double total, int64_t window) const {
    double min = total / static_cast<double>(beta_), max = 2 * total - min;
    if (max >= static_cast<double>(n - window)) {
      max = static_cast<double>(n - window);
      min = 2 * total - max;
    }
    const bool ramp =
        max <= static_cast<double>(n) && max >= min && min >= static_cast<double>(window);
    if (!ramp) return std::llrint(total);
    return std::llrint(max - at.layer * ((max - min) / (at.model.n_layers - 1)));
  }

  const int64_t beta_;
  const bool kvpress_, exact_total_;
};

Result<std::unique_ptr<Method>> Make(const Params& params) {
  const bool kvpress = params.GetWord("variant") == "kvpress";
  if (kvpress) {
    KV_RETURN_IF_ERROR(params.Without({"exact_total"}, "kvpress rounds each layer by itself"));
  }
  return std::make_unique<PyramidKv>(params.GetInt("beta"), kvpress, params.GetFlag("exact_total"));
}

}  // namespace

extern constinit const MethodInfo kPyramidKv = {
    .name = "pyramidkv",
    .role = Role::kWrapper,
    .family = "budget",
    .summary = "gives lower layers more of the budget, upper ones less",
    .paper = "arXiv 2406.02069",
    .about =
        "Lower layers look everywhere, upper ones at a few places, so the budget falls from nearly "
        "twice the average in the first layer to a beta-th in the last. The average is the base's "
        "budget, to a few per cent in the paper's whole numbers, and exactly with "
        "exact_total=true. Helps at very small budgets; at "
        "20 % and more a plain budget is usually as good or better, and a model of few layers "
        "gains nothing. While generating each layer keeps to what it had. `adakv` stands before "
        "it, to share a layer's budget among heads.",
    .example = "pyramidkv:beta=20 + snapkv:window=8,budget=20%",
    .params = kParams,
    .make = &Make,
    .scored = true,
    .shares = Shares::kLayers,
};

}  // namespace kvasir
