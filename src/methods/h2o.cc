// Keeps heavy hitters, the entries with the most attention from all queries so far, and the most
// recent ones. Zhang et al., H2O, NeurIPS 2023, arXiv 2306.14048. Moment: compress at the prompt's
// end and after each generated token; cost: the whole attention matrix once more, summed by columns
// block by block, and one row a step.
//
// paper: mass[j] = sum over all queries of softmax(q k)[j], mean over the group; the last
// `recent` of the budget stay, and the others with the most mass.
// kvpress: mass[j] over the number of queries that can see j, nothing recent protected, at the
// prompt's end only.
#include "methods/evict_params.h"
#include "methods/registry.h"

namespace kvasir {
namespace {

constexpr ParamInfo kParams[] = {
    kBudgetParam,
    {"recent", ParamKind::kNumber, "50%", "0..1",
     "share of the budget for the most recent entries"},
    {"normalise", ParamKind::kFlag, "false", "true|false",
     "divide by how many queries can see an entry, which early ones have more of"},
    {"variant", ParamKind::kWord, "paper", "paper|kvpress",
     "kvpress: normalised, recent=0, when=prompt unless given"},
    WhenParam("always"),
};

class H2o final : public Method {
 public:
  H2o(Budget budget, double recent, bool normalise, bool at_decode)
      : budget_(budget), recent_(recent), normalise_(normalise), at_decode_(at_decode) {}

  Needs needs(const ModelInfo&) const override { return {.at_decode = at_decode_, .mass = true}; }

  void Compress(const LayerView& at, Ops&, LayerPlan& plan) const override {
    const int64_t keep = budget_.Of(at.shares_of);
    if (at.Fits(keep)) return;
    const auto recent = static_cast<int64_t>(static_cast<double>(keep) * recent_ + 1e-9);
    for (int h = 0; h < plan.n_heads(); ++h) {
      std::vector<float> mass = at.mass[h];
      if (normalise_) {
        const std::vector<int32_t> orders = at.heads[h].Orders();
        const auto n_tokens = static_cast<float>(at.n_prompt + at.n_generated);
        for (size_t i = 0; i < mass.size(); ++i)
          mass[i] /= n_tokens - static_cast<float>(orders[i]);
      }
      plan.ProtectLast(h, recent);
      plan.Score(h, std::move(mass));
      plan.Budget(h, keep);
    }
  }

 private:
  const Budget budget_;
  const double recent_;
  const bool normalise_, at_decode_;
};

Result<std::unique_ptr<Method>> Make(const Params& params) {
  const bool kvpress = params.GetWord("variant") == "kvpress";
  const auto ours = [&](std::string_view name) { return !kvpress || params.Given(name); };
  return std::make_unique<H2o>(params.GetBudget("budget"),
                               ours("recent") ? params.GetNumber("recent") : 0,
                               ours("normalise") ? params.GetFlag("normalise") : true,
                               ours("when") && params.GetWord("when") == "always");
}

}  // namespace

extern constinit const MethodInfo kH2o = {
    .name = "h2o",
    .role = Role::kBase,
    .family = "evict",
    .summary = "keeps the entries with the most attention so far, and the most recent ones",
    .paper = "arXiv 2306.14048",
    .about =
        "Sums the attention that each entry gets from every query, in the prompt and while "
        "generating, so it costs a second pass over the attention of the prompt (no N x N matrix: "
        "the sums are taken block by block). Early entries collect more: `normalise=true` divides "
        "that out. Bounds the cache while generating. What many queries looked at stays, so a "
        "needle that one question asks for is often lost; `snapkv` is cheaper and better there.",
    .example = "h2o:budget=20%",
    .params = kParams,
    .make = &Make,
    .scored = true,
};

}  // namespace kvasir
