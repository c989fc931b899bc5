// Keeps, in each partition of the text, the entries that stand out against the next partition.
// Liang et al., LagKV, arXiv 2504.04704. Moment: compress at the prompt's end; no attention at all;
// cost: one pass over keys and values.
//
// After the sinks the text is cut into whole partitions of `lag`. Each but the last is normalised,
// a channel at a time, by the minimum and maximum of the next one; an entry's score is the softmax
// over its partition of the standard deviation over channels, keys and values averaged. Without
// `cross` the scores become ranks, so that all partitions keep the same share. Sinks, the last
// whole partition and what follows it score 1.
#include <cmath>
#include <numeric>

#include "methods/evict_params.h"
#include "methods/registry.h"

namespace kvasir {
namespace {

constexpr ParamInfo kParams[] = {
    kBudgetParam,
    {"sinks", ParamKind::kInteger, "16", "0..65536", "first entries that stay"},
    {"lag", ParamKind::kInteger, "128", "2..65536", "entries a partition"},
    {"cross", ParamKind::kFlag, "false", "true|false",
     "partitions compete by score; else each keeps the same share"},
    WhenParam("prompt"),
};

// Adds half the softmax over [lag] of how much the entries of x spread against those of `next`.
void AddSpread(const float* x, const float* next, int64_t lag, int64_t dim, double* scores) {
  std::vector<double> low(dim), range(dim), spread(lag);
  for (int64_t c = 0; c < dim; ++c) {
    float min = next[c], max = next[c];
    for (int64_t i = 1; i < lag; ++i) {
      min = std::min(min, next[i * dim + c]);
      max = std::max(max, next[i * dim + c]);
    }
    low[c] = min;
    range[c] = max > min ? double{max} - min : 1;  // a constant channel says nothing
  }
  double most = 0, total = 0;
  for (int64_t i = 0; i < lag; ++i) {
    double mean = 0, squares = 0;
    for (int64_t c = 0; c < dim; ++c) mean += (x[i * dim + c] - low[c]) / range[c];
    mean /= static_cast<double>(dim);
    for (int64_t c = 0; c < dim; ++c) {
      const double off = (x[i * dim + c] - low[c]) / range[c] - mean;
      squares += off * off;
    }
    spread[i] = std::sqrt(squares / static_cast<double>(dim - 1));
    most = std::max(most, spread[i]);
  }
  for (double& s : spread) total += s = std::exp(s - most);
  for (int64_t i = 0; i < lag; ++i) scores[i] += spread[i] / total / 2;
}

// Numbers become rank / n, the smallest 0; of equals the earlier is smaller.
void Rank(double* scores, int64_t n) {
  std::vector<int64_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return scores[a] < scores[b]; });
  for (int64_t r = 0; r < n; ++r) {
    scores[order[r]] = static_cast<double>(r) / static_cast<double>(n);
  }
}

class LagKv final : public Method {
 public:
  LagKv(Budget budget, int64_t sinks, int64_t lag, bool cross, bool at_decode)
      : budget_(budget), sinks_(sinks), lag_(lag), cross_(cross), at_decode_(at_decode) {}

  Needs needs(const ModelInfo&) const override { return {.at_decode = at_decode_}; }

  void Compress(const LayerView& at, Ops& ops, LayerPlan& plan) const override {
    const int64_t keep = budget_.Of(at.shares_of);
    if (at.Fits(keep)) return;
    const std::string key = fmt::format("lagkv {} {} {}", sinks_, lag_, cross_);
    const auto scores = ScoresOnce(ops, at, key, [&](int h) { return Scores(at.heads[h]); });
    for (int h = 0; h < plan.n_heads(); ++h) {
      plan.Score(h, (*scores)[h]);
      plan.Budget(h, keep);
    }
  }

 private:
  std::vector<float> Scores(const HeadCache& head) const {
    const int64_t n = head.size(), dim = head.format().head_dim;
    std::vector<double> scores(n, 1.0);
    if (n < sinks_ + 2 * lag_) {  // no partition has a next one: the recent stay
      for (int64_t i = sinks_; i < n; ++i) {
        scores[i] = static_cast<double>(i - sinks_) / static_cast<double>(n - sinks_);
      }
    } else {
      const std::vector<float> keys = ReadPlane(head, PlaneKind::kKeys);
      const std::vector<float> values = ReadPlane(head, PlaneKind::kValues);
      for (int64_t first = sinks_; first + 2 * lag_ <= n; first += lag_) {
        std::fill_n(scores.begin() + first, lag_, 0.0);
        for (const std::vector<float>* x : {&keys, &values}) {
          const float* partition = x->data() + first * dim;
          AddSpread(partition, partition + lag_ * dim, lag_, dim, scores.data() + first);
        }
        if (!cross_) Rank(scores.data() + first, lag_);
      }
    }
    return std::vector<float>(scores.begin(), scores.end());
  }

  const Budget budget_;
  const int64_t sinks_, lag_;
  const bool cross_, at_decode_;
};

Result<std::unique_ptr<Method>> Make(const Params& params) {
  KV_RETURN_IF_ERROR(CheckSinks("lagkv", params));
  return std::make_unique<LagKv>(params.GetBudget("budget"), params.GetInt("sinks"),
                                 params.GetInt("lag"), params.GetFlag("cross"),
                                 params.GetWord("when") == "always");
}

}  // namespace

extern constinit const MethodInfo kLagKv = {
    .name = "lagkv",
    .role = Role::kBase,
    .family = "evict",
    .summary = "keeps what stands out against the text that follows it, partition by partition",
    .paper = "arXiv 2504.04704",
    .about =
        "Needs no attention and no queries, so any attention kernel will do and the question may "
        "come later. Every part of the text keeps a share, which spares needles anywhere; the last "
        "one to two partitions stay whole, so a budget near `lag` keeps little else. Prompts "
        "shorter than sinks and two partitions fall back to the most recent entries.",
    .example = "lagkv:budget=50%,lag=64",
    .params = kParams,
    .make = &Make,
    .scored = true,
};

}  // namespace kvasir
