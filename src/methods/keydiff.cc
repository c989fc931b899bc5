// Keeps the entries whose keys differ most from the mean direction of all keys. Park et al.,
// KeyDiff, arXiv 2504.15364. Moment: compress at the prompt's end; cost: one pass over the keys.
//
// score[i] = -cos(k_i, mean over j of k_j / ||k_j||), a KV head by itself.
#include <cmath>

#include "methods/evict_params.h"
#include "methods/registry.h"

namespace kvasir {
namespace {

constexpr ParamInfo kParams[] = {
    kBudgetParam,
    WhenParam("prompt"),
};

class KeyDiff final : public Method {
 public:
  KeyDiff(Budget budget, bool at_decode) : budget_(budget), at_decode_(at_decode) {}

  Needs needs(const ModelInfo&) const override { return {.at_decode = at_decode_}; }

  void Compress(const LayerView& at, Ops& ops, LayerPlan& plan) const override {
    const int64_t keep = budget_.Of(at.shares_of);
    if (at.Fits(keep)) return;
    const auto scores = ScoresOnce(ops, at, "keydiff", [&](int h) {
      return Scores(ReadPlane(at.heads[h], PlaneKind::kKeys), at.model.head_dim);
    });
    for (int h = 0; h < plan.n_heads(); ++h) {
      plan.Score(h, (*scores)[h]);
      plan.Budget(h, keep);
    }
  }

 private:
  static std::vector<float> Scores(const std::vector<float>& keys, int64_t dim) {
    const auto n = static_cast<int64_t>(keys.size()) / dim;
    std::vector<double> norms(n), anchor(dim);
    for (int64_t i = 0; i < n; ++i) {
      double sum = 0;
      for (int64_t c = 0; c < dim; ++c) sum += double{keys[i * dim + c]} * keys[i * dim + c];
      norms[i] = std::max(std::sqrt(sum), 1e-12);
      for (int64_t c = 0; c < dim; ++c) anchor[c] += keys[i * dim + c] / norms[i];
    }
    double square = 0;
    for (double x : anchor) square += x * x;
    // Wrappers compare heads, and their anchors differ in length.
    const double length = std::max(std::sqrt(square), 1e-12);
    std::vector<float> scores(n);
    for (int64_t i = 0; i < n; ++i) {
      double dot = 0;
      for (int64_t c = 0; c < dim; ++c) dot += keys[i * dim + c] * anchor[c];
      scores[i] = static_cast<float>(-dot / norms[i] / length);
    }
    return scores;
  }

  const Budget budget_;
  const bool at_decode_;
};

Result<std::unique_ptr<Method>> Make(const Params& params) {
  return std::make_unique<KeyDiff>(params.GetBudget("budget"), params.GetWord("when") == "always");
}

}  // namespace

extern constinit const MethodInfo kKeyDiff = {
    .name = "keydiff",
    .role = Role::kBase,
    .family = "evict",
    .summary = "keeps the entries whose keys are least like the average key",
    .paper = "arXiv 2504.15364",
    .about =
        "Keeps a set of keys that point in many directions and drops near-duplicates. Needs no "
        "queries, so the question may come later. Strong on a needle in repetitive text, weak "
        "where all sentences are alike in kind (four similar needles). Nothing recent is "
        "protected: stack `protect`.",
    .example = "keydiff:budget=20%",
    .params = kParams,
    .make = &Make,
    .scored = true,
};

}  // namespace kvasir
