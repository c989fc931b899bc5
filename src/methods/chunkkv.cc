// Keeps whole chunks of the text instead of single entries. Liu et al., ChunkKV, arXiv 2502.00299.
// Moment: after the base; cost: nothing.
//
// The base's scores are summed over the KV heads and averaged over aligned chunks (the last may be
// shorter); the best floor(chunks * budget / n), at least one, stay, the same in all heads. Where
// the last chunk is whole a count is therefore met from below; a share is one of the chunks. A text
// shorter than a chunk is cut as the base does. Differs from the paper: a mean, so that a short
// last chunk competes fairly, as kvpress has it.
#include <numeric>

#include "methods/registry.h"

namespace kvasir {
namespace {

constexpr ParamInfo kParams[] = {
    {"chunk", ParamKind::kInteger, "20", "1..65536", "entries a chunk"},
};

// A count is, as a rule, what a ratio's share was cut to. Added to it, so that half of 597, 298, is
// half of the 30 chunks; a text of whole chunks has no use for less than an entry.
constexpr double kCut = 0.95;

class ChunkKv final : public Method {
 public:
  explicit ChunkKv(int64_t chunk) : chunk_(chunk) {}

  void Compress(const LayerView& at, Ops&, LayerPlan& plan) const override {
    if (!plan.has_scores()) return;
    std::vector<std::vector<float>> rankings;
    for (int h = 0; h < plan.n_heads(); ++h) rankings.push_back(plan.Ranking(h));
    // Heads that hold different entries (after an earlier compression) choose for themselves.
    const bool together = at.first_prompt && at.moment == Moment::kPromptEnd;
    for (int h = 0; h < plan.n_heads(); ++h) {
      const auto n = static_cast<int64_t>(rankings[h].size());
      if (*plan.budget(h) >= n || n < chunk_) continue;
      std::vector<double> sums(rankings[h].begin(), rankings[h].end());
      for (int other = 0; together && other < plan.n_heads(); ++other) {
        for (int64_t i = 0; i < n && other != h; ++i) sums[i] += rankings[other][i];
      }
      Choose(h, sums, plan);
    }
  }

 private:
  void Choose(int h, const std::vector<double>& sums, LayerPlan& plan) const {
    const auto n = static_cast<int64_t>(sums.size());
    const int64_t n_chunks = (n + chunk_ - 1) / chunk_;
    std::vector<float> mean(n_chunks);
    for (int64_t c = 0; c < n_chunks; ++c) {
      const auto first = sums.begin() + c * chunk_,
                 end = sums.begin() + std::min(n, (c + 1) * chunk_);
      mean[c] =
          static_cast<float>(std::accumulate(first, end, 0.0) / static_cast<double>(end - first));
    }
    std::vector<int64_t> order(n_chunks);
    std::iota(order.begin(), order.end(), int64_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t a, int64_t b) { return mean[a] > mean[b]; });
    const auto count = static_cast<double>(*plan.budget(h));
    const double share = plan.exact_budget(h).value_or(count + kCut) / static_cast<double>(n);
    const auto n_kept =
        std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(n_chunks) * share + 1e-9));
    int64_t budget = 0;
    std::vector<float> scores(n);
    for (int64_t r = 0; r < n_chunks; ++r) {  // by rank, so that no two chunks tie
      const int64_t first = order[r] * chunk_, size = std::min(chunk_, n - first);
      std::fill_n(scores.begin() + first, size, static_cast<float>(n_chunks - r));
      if (r < n_kept) budget += size;
    }
    plan.Unprotect(h);  // a protected entry has raised its chunk's mean
    plan.Score(h, std::move(scores));
    plan.Budget(h, budget);
  }

  const int64_t chunk_;
};

Result<std::unique_ptr<Method>> Make(const Params& params) {
  return std::make_unique<ChunkKv>(params.GetInt("chunk"));
}

}  // namespace

extern constinit const MethodInfo kChunkKv = {
    .name = "chunkkv",
    .role = Role::kWrapper,
    .family = "select",
    .summary = "keeps whole chunks of the text, the same in all heads",
    .paper = "arXiv 2502.00299",
    .about =
        "Numbers, names and code survive as wholes or not at all; scorers that keep single entries "
        "lose parts of them. The best wrapper here for retrieval. Pages stay full, so it saves the "
        "most real memory for its budget. Loses where what matters is thinly spread over the "
        "text. One chunk stays, also where the budget is smaller, of a text that has one. Stack "
        "`protect` outside of it if "
        "sinks must stay even in a bad chunk.",
    .example = "chunkkv:chunk=20 + snapkv:window=16,budget=20%",
    .params = kParams,
    .make = &Make,
    .scored = true,
};

}  // namespace kvasir
