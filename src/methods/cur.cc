// Keeps the entries with the largest leverage, approximated by squared norms of key and value.
// CurDKV (CUR decomposition of K and V), arXiv 2509.15038. Moment: compress at the prompt's end;
// cost: one pass over keys and values.
//
// score[i] = (||k_i||^2 / sum over the block) (||v_i||^2 / sum over the block), blocks of `window`
// entries aligned to the first; over their total. Differs from the paper: exact norms in place of
// a random projection of them, as kvpress has it.
#include "methods/evict_params.h"
#include "methods/registry.h"

namespace kvasir {
namespace {

constexpr ParamInfo kParams[] = {
    kBudgetParam,
    {"sinks", ParamKind::kInteger, "4", "0..65536", "first entries that stay"},
    {"window", ParamKind::kInteger, "16", "1..65536", "entries that leverage is relative to"},
    WhenParam("prompt"),
};

class Cur final : public Method {
 public:
  Cur(Budget budget, int64_t sinks, int64_t window, bool at_decode)
      : budget_(budget), sinks_(sinks), window_(window), at_decode_(at_decode) {}

  Needs needs(const ModelInfo&) const override { return {.at_decode = at_decode_}; }

  void Compress(const LayerView& at, Ops& ops, LayerPlan& plan) const override {
    const int64_t keep = budget_.Of(at.shares_of);
    if (at.Fits(keep)) return;
    const std::string key = fmt::format("cur {} {}", sinks_, window_);
    const auto scores = ScoresOnce(ops, at, key, [&](int h) { return Scores(at.heads[h]); });
    for (int h = 0; h < plan.n_heads(); ++h) {
      plan.Score(h, (*scores)[h]);
      plan.Budget(h, keep);
    }
  }

 private:
  std::vector<float> Scores(const HeadCache& head) const {
    const std::vector<double> keys = Leverage(head, PlaneKind::kKeys);
    const std::vector<double> values = Leverage(head, PlaneKind::kValues);
    double total = 0;
    for (size_t i = 0; i < keys.size(); ++i) total += keys[i] * values[i];
    std::vector<float> scores(keys.size());
    for (size_t i = 0; i < keys.size(); ++i) {
      const bool sink = static_cast<int64_t>(i) < sinks_;
      scores[i] = sink || total <= 0 ? 1 : static_cast<float>(keys[i] * values[i] / total);
    }
    return scores;
  }

  // Squared norms, each over the sum of its block.
  std::vector<double> Leverage(const HeadCache& head, PlaneKind kind) const {
    const std::vector<float> x = ReadPlane(head, kind);
    const int64_t n = head.size(), dim = head.format().head_dim;
    std::vector<double> leverage(n);
    for (int64_t first = 0; first < n; first += window_) {
      const int64_t end = std::min(n, first + window_);
      double sum = 0;
      for (int64_t i = first; i < end; ++i) {
        for (int64_t c = 0; c < dim; ++c) leverage[i] += double{x[i * dim + c]} * x[i * dim + c];
        sum += leverage[i];
      }
      for (int64_t i = first; i < end && sum > 0; ++i) leverage[i] /= sum;
    }
    return leverage;
  }

  const Budget budget_;
  const int64_t sinks_, window_;
  const bool at_decode_;
};

Result<std::unique_ptr<Method>> Make(const Params& params) {
  KV_RETURN_IF_ERROR(CheckSinks("cur", params));
  return std::make_unique<Cur>(params.GetBudget("budget"), params.GetInt("sinks"),
                               params.GetInt("window"), params.GetWord("when") == "always");
}

}  // namespace

extern constinit const MethodInfo kCur = {
    .name = "cur",
    .role = Role::kBase,
    .family = "evict",
    .summary = "keeps entries whose key and value are large among their neighbours",
    .paper = "arXiv 2509.15038",
    .about =
        "A cheap stand-in for the leverage scores of a CUR decomposition: squared norms of key and "
        "value, relative to the block of `window` entries they lie in, multiplied. Spreads what it "
        "keeps over the text; but the digits of one number then compete with each other, and some "
        "go (window=65536 takes the whole text as one block). Needs no queries, so the question "
        "may come later; for the same reason it keeps nothing on purpose for the question. Only "
        "sinks are protected.",
    .example = "cur:budget=20%",
    .params = kParams,
    .make = &Make,
    .scored = true,
};

}  // namespace kvasir
