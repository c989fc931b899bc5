// Keeps what recent queries look at and other keys do not repeat. Cai et al., R-KV, arXiv
// 2505.24133. Moment: compress at the prompt's end, and while generating whenever `every` tokens
// have come on top of the budget; cost: `window` rows of attention, and for each key cosines with
// others until `spare` like ones are found: where there are none with all, size^2 * head_dim.
//
// Importance I[j]: what the last `window` queries give j, the best of the group, max-pooled over
// neighbours, mean over the queries. Redundancy R = softmax over j of the mean over i of
// cos(k_i, k_j), where each i leaves out itself and the newest `spare` of the keys with a cosine
// above `threshold`: of a family of like keys the newest stay. Score: lambda I - (1 - lambda) R.
#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "methods/evict_params.h"
#include "methods/registry.h"

namespace kvasir {
namespace {

constexpr ParamInfo kParams[] = {
    kBudgetParam,
    {"every", ParamKind::kInteger, "128", "1..65536",
     "generated tokens above the budget at which it is met again"},
    {"window", ParamKind::kInteger, "8", "1..1024", "last queries that vote, and stay"},
    {"kernel", ParamKind::kInteger, "7", "odd 1..63", "width of the max-pooling; 1: none"},
    {"lambda", ParamKind::kNumber, "0.1", "0..1", "weight of importance against redundancy"},
    {"threshold", ParamKind::kNumber, "0.5", "-1..1", "cosine from which two keys are alike"},
    {"spare", ParamKind::kInteger, "1", "0..1024", "the newest of like keys that are spared"},
    {"when", ParamKind::kWord, "always", "prompt|always",
     "act at the prompt's end only, or while generating too"},
};

constexpr int64_t kBlock = 32;  // cosines with so many keys at a time

// Keys of length 1, [head_dim][entries].
std::vector<float> UnitKeys(const HeadCache& head) {
  const int64_t n = head.size(), d = head.format().head_dim;
  const std::vector<float> keys = ReadPlane(head, PlaneKind::kKeys);
  std::vector<float> unit(n * d);
  for (int64_t i = 0; i < n; ++i) {
    double sum = 0;
    for (int64_t c = 0; c < d; ++c) sum += double{keys[i * d + c]} * keys[i * d + c];
    const double scale = sum > 0 ? 1 / std::sqrt(sum) : 0;
    for (int64_t c = 0; c < d; ++c) {
      unit[c * n + i] = static_cast<float>(keys[i * d + c] * scale);
    }
  }
  return unit;
}

class RKv final : public Method {
 public:
  RKv(Budget budget, int64_t every, int window, int kernel, double lambda, double threshold,
      int64_t spare, bool at_decode)
      : budget_(budget),
        every_(every),
        window_(window),
        kernel_(kernel),
        lambda_(lambda),
        threshold_(threshold),
        spare_(spare),
        at_decode_(at_decode) {}

  Needs needs(const ModelInfo&) const override {
    return {.last_queries = window_, .at_decode = at_decode_};
  }

  void Compress(const LayerView& at, Ops& ops, LayerPlan& plan) const override {
    const int64_t keep = budget_.Of(at.shares_of);
    if (at.Fits(keep, every_ - 1)) return;
    const int64_t rows = std::min<int64_t>(window_, at.n_last_queries);
    const auto votes = ops.AttentionMass(at, {.last_rows = rows, .over_group = GroupBy::kMax});
    const auto redundancy = ScoresOnce(ops, at, fmt::format("rkv {} {}", threshold_, spare_),
                                       [&](int h) { return Redundancy(at.heads[h]); });
    for (int h = 0; h < plan.n_heads(); ++h) {
      const int64_t n = at.heads[h].size(), window = std::min(rows, n);
      const std::vector<float> pooled =
          Pool1d(std::span(votes[h]).first(n - window), kernel_, PoolKind::kMax);
      std::vector<float> score = (*redundancy)[h];
      for (int64_t i = 0; i < n; ++i) {
        const double importance = i < n - window ? pooled[i] / static_cast<double>(rows) : 0;
        score[i] = static_cast<float>(lambda_ * importance - (1 - lambda_) * score[i]);
      }
      plan.Score(h, std::move(score));
      plan.ProtectLast(h, rows);
      plan.Budget(h, keep);
    }
  }

 private:
  std::vector<float> Redundancy(const HeadCache& head) const {
    const int64_t n = head.size(), d = head.format().head_dim;
    const std::vector<float> unit = UnitKeys(head);
    std::vector<double> sums = CosineSums(unit, n, d);
    for (int64_t i = 0; i < n; ++i) LeaveOutLike(unit, i, n, d, sums);
    std::vector<float> redundancy(n);
    double total = 0;
    for (int64_t j = 0; j < n; ++j) total += std::exp(sums[j] / static_cast<double>(n));
    for (int64_t j = 0; j < n; ++j) {
      redundancy[j] = static_cast<float>(std::exp(sums[j] / static_cast<double>(n)) / total);
    }
    return redundancy;
  }

  // Over all keys but itself: the product with the sum of all.
  static std::vector<double> CosineSums(const std::vector<float>& unit, int64_t n, int64_t d) {
    std::vector<double> sums(n);
    for (int64_t c = 0; c < d; ++c) {
      const std::span<const float> channel(unit.data() + c * n, n);
      const double total = std::accumulate(channel.begin(), channel.end(), 0.0);
      for (int64_t j = 0; j < n; ++j) sums[j] += channel[j] * (total - channel[j]);
    }
    return sums;
  }

  // The newest `spare` keys like key i lose its cosine. From the end backwards: as a rule they are
  // near.
  void LeaveOutLike(const std::vector<float>& unit, int64_t i, int64_t n, int64_t d,
                    std::vector<double>& sums) const {
    int64_t n_left = spare_;
    for (int64_t end = n; end > 0 && n_left > 0; end -= kBlock) {
      const int64_t first = std::max<int64_t>(0, end - kBlock), size = end - first;
      std::array<float, kBlock> cosines = {};
      for (int64_t c = 0; c < d; ++c) {
        const float* channel = unit.data() + c * n;
        for (int64_t j = 0; j < size; ++j) cosines[j] += channel[i] * channel[first + j];
      }
      for (int64_t j = size - 1; j >= 0 && n_left > 0; --j) {
        if (first + j == i || cosines[j] <= threshold_) continue;
        sums[first + j] -= cosines[j];
        --n_left;
      }
    }
  }

  const Budget budget_;
  const int64_t every_;
  const int window_, kernel_;
  const double lambda_, threshold_;
  const int64_t spare_;
  const bool at_decode_;
};

Result<std::unique_ptr<Method>> Make(const Params& params) {
  if (params.GetWord("when") == "prompt") {
    KV_RETURN_IF_ERROR(params.Without({"every"}, "when=prompt cuts once"));
  }
  return std::make_unique<RKv>(
      params.GetBudget("budget"), params.GetInt("every"), static_cast<int>(params.GetInt("window")),
      static_cast<int>(params.GetInt("kernel")), params.GetNumber("lambda"),
      params.GetNumber("threshold"), params.GetInt("spare"), params.GetWord("when") == "always");
}

}  // namespace

extern constinit const MethodInfo kRKv = {
    .name = "rkv",
    .role = Role::kBase,
    .family = "evict",
    .summary = "keeps what recent queries look at and other keys do not repeat",
    .paper = "arXiv 2505.24133",
    .about =
        "For long reasoning, where a model says the same thing again and again: attention alone "
        "keeps every repetition. Bounds the cache while generating, between `budget` and `every` "
        "- 1 entries more. Compares all pairs of keys, so a prompt of many thousand tokens is "
        "compressed slowly (the square of its length): use `snapkv` for those. Redundancy weighs "
        "nine times as much as importance by default, which for one question about a document "
        "keeps the unusual rather than the asked-for: raise `lambda` there.",
    .example = "rkv:budget=1024,every=128",
    .params = kParams,
    .make = &Make,
    .scored = true,
};

}  // namespace kvasir
