// Keeps what the newest token attends to, the same entries in all heads of a layer. Oren et al.,
// EMNLP 2024, arXiv 2401.06104 (TOVA). Moment: compress at the prompt's end and after each
// generated token; cost: one row of attention once more.
#include "methods/evict_params.h"
#include "methods/registry.h"

namespace kvasir {
namespace {

constexpr ParamInfo kParams[] = {
    kBudgetParam,
    {"variant", ParamKind::kWord, "paper", "paper|kvpress",
     "kvpress: the newest entry stays in any case, and nothing is evicted while generating"},
    WhenParam("always"),
};

class Tova final : public Method {
 public:
  Tova(Budget budget, bool keep_newest, bool at_decode)
      : budget_(budget), keep_newest_(keep_newest), at_decode_(at_decode) {}

  Needs needs(const ModelInfo&) const override {
    return {.last_queries = 1, .at_decode = at_decode_};
  }

  void Compress(const LayerView& at, Ops& ops, LayerPlan& plan) const override {
    const int64_t keep = budget_.Of(at.shares_of);
    if (at.Fits(keep)) return;
    std::vector<std::vector<float>> mass = ops.AttentionMass(at, {.last_rows = 1});
    if (SameLength(at)) MeanOverHeads(mass);
    for (int h = 0; h < plan.n_heads(); ++h) {
      plan.Score(h, std::move(mass[h]));
      plan.Budget(h, keep);
      if (keep_newest_) plan.ProtectLast(h, 1);
    }
  }

 private:
  // Head budgets, of another method or an earlier turn, let heads hold different entries; then each
  // head goes by its own attention.
  static bool SameLength(const LayerView& at) {
    return std::all_of(at.heads.begin(), at.heads.end(),
                       [&](const HeadCache& head) { return head.size() == at.heads[0].size(); });
  }
  static void MeanOverHeads(std::vector<std::vector<float>>& mass) {
    for (size_t i = 0; i < mass[0].size(); ++i) {
      float sum = 0;
      for (const std::vector<float>& head : mass) sum += head[i];
      for (std::vector<float>& head : mass) head[i] = sum / static_cast<float>(mass.size());
    }
  }

  const Budget budget_;
  const bool keep_newest_, at_decode_;
};

Result<std::unique_ptr<Method>> Make(const Params& params) {
  const bool kvpress = params.GetWord("variant") == "kvpress";
  const bool always = params.GetWord("when") == "always" && (!kvpress || params.Given("when"));
  return std::make_unique<Tova>(params.GetBudget("budget"), kvpress, always);
}

}  // namespace

extern constinit const MethodInfo kTova = {
    .name = "tova",
    .role = Role::kBase,
    .family = "evict",
    .summary = "keeps what the newest token attends to; the same entries in all heads of a layer",
    .paper = "arXiv 2401.06104",
    .about =
        "Treats the cache as the state of a recurrent network: when it is full, the entry with the "
        "least attention from the newest query, averaged over the heads, goes. Nothing is "
        "protected by position. Bounds the cache while generating too. At the prompt's end one "
        "query decides alone, so what a later question needs may be gone; in a cut of a long "
        "prompt it sees less far ahead than SnapKV's window.",
    .example = "tova:budget=512",
    .params = kParams,
    .make = &Make,
    .scored = true,
};

}  // namespace kvasir
