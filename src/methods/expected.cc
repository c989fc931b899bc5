// Keeps the entries that future queries are expected to attend to. Devoto et al., Expected
// Attention, arXiv 2510.00636. Moment: compress at the prompt's end (when=always: also each time
// 128 tokens are above the budget); cost: the queries' covariance along the text, head_dim^2 a
// query, and as much again a key.
//
// Queries are taken as Gaussian, with mean and covariance of the prompt's queries before rotation,
// rotated to the mean of the next `future` positions: E[exp(q k)] = exp(k mu + k^T C k / 2). score
// = softmax of that exponent over the entries after the sinks, mean over the group, plus epsilon,
// times ||v||.
#include <algorithm>
#include <cmath>

#include "methods/evict_params.h"
#include "methods/registry.h"

namespace kvasir {
namespace {

constexpr int64_t kBlock = 16;   // keys whose exponents are computed side by side
constexpr int64_t kSlack = 128;  // generated tokens between two cuts: scores cost much

constexpr ParamInfo kParams[] = {
    kBudgetParam,
    {"future", ParamKind::kInteger, "512", "1..65536", "positions ahead that are averaged over"},
    {"sinks", ParamKind::kInteger, "4", "0..65536",
     "first entries, which stay; their queries do not count"},
    {"covariance", ParamKind::kFlag, "true", "true|false", "use the covariance, or the mean alone"},
    {"vnorm", ParamKind::kFlag, "true", "true|false", "weigh by the norm of the value"},
    {"epsilon", ParamKind::kNumber, "0.02", "0..1", "added before values weigh"},
    {"when", ParamKind::kWord, "prompt", "prompt|always",
     "act at the prompt's end only, or also where generating goes 128 tokens beyond the budget"},
};

struct Options {
  Budget budget;
  int64_t future = 512, sinks = 4;
  bool covariance = true, vnorm = true, always = false;
  double epsilon = 0;
};

class Expected final : public Method {
 public:
  explicit Expected(const Options& options) : options_(options) {}

  Needs needs(const ModelInfo&) const override {
    return {.at_decode = options_.always, .query_stats_from = static_cast<int32_t>(options_.sinks)};
  }

  void Compress(const LayerView& at, Ops& ops, LayerPlan& plan) const override {
    const int64_t keep = options_.budget.Of(at.shares_of);
    if (at.Fits(keep, kSlack - 1)) return;
    const std::string key = fmt::format("expected {} {} {} {} {}", options_.future, options_.sinks,
                                        options_.covariance, options_.vnorm, options_.epsilon);
    std::optional<QueryMoments> queries;
    const auto scores = ScoresOnce(ops, at, key, [&](int h) {
      if (!queries) queries = ops.FutureQueries(at, options_.future);
      return Scores(at, h, *queries);
    });
    for (int h = 0; h < plan.n_heads(); ++h) {
      plan.Score(h, (*scores)[h]);
      plan.ProtectFirst(h, options_.sinks);
      plan.Budget(h, keep);
    }
  }

 private:
  std::vector<float> Scores(const LayerView& at, int h, const QueryMoments& queries) const {
    const int64_t n = at.heads[h].size(), d = at.model.head_dim, group = at.model.group();
    const int64_t first = std::min(options_.sinks, n);
    const std::vector<float> keys = ReadPlane(at.heads[h], PlaneKind::kKeys);
    std::vector<double> scores(n), logits(n), folded(d * d), block(d * kBlock);
    for (int64_t q = h * group; q < (h + 1) * group; ++q) {
      Fold(queries.covariance.data() + q * d * d, d, folded.data());
      for (int64_t i = first; i < n; i += kBlock) {
        const int64_t n_keys = std::min(kBlock, n - i);
        for (int64_t k = 0; k < n_keys * d; ++k) {
          block[k % d * kBlock + k / d] = double{keys[i * d + k]};
        }
        Exponents(block.data(), queries.mean.data() + q * d, folded.data(), d, n_keys,
                  logits.data() + i);
      }
      double most = -INFINITY, total = 0;
      for (int64_t i = first; i < n; ++i) most = std::max(most, logits[i]);
      for (int64_t i = first; i < n; ++i) total += logits[i] = std::exp(logits[i] - most);
      for (int64_t i = first; i < n; ++i) {
        scores[i] += logits[i] / total / static_cast<double>(group);
      }
    }
    if (options_.vnorm) WeighByValues(at.heads[h], scores);
    return std::vector<float>(scores.begin(), scores.end());
  }

  // The same quadratic form in the lower triangle alone: half the work for every key.
  static void Fold(const double* covariance, int64_t d, double* folded) {
    for (int64_t j = 0; j < d; ++j) {
      for (int64_t i = 0; i < j; ++i) {
        folded[j * d + i] = covariance[i * d + j] + covariance[j * d + i];
      }
      folded[j * d + j] = covariance[j * d + j];
    }
  }

  // block: [d][kBlock], keys side by side; folded: [d][d], lower triangle; out: [n_keys]
  void Exponents(const double* block, const double* mean, const double* folded, int64_t d,
                 int64_t n_keys, double* out) const {
    double linear[kBlock] = {}, square[kBlock] = {};
    for (int64_t j = 0; j < d; ++j) {
      const double* channel = block + j * kBlock;
      for (int64_t k = 0; k < kBlock; ++k) linear[k] += channel[k] * mean[j];
      if (!options_.covariance) continue;
      double product[kBlock] = {};
      for (int64_t i = 0; i <= j; ++i) {
        for (int64_t k = 0; k < kBlock; ++k)
          product[k] += block[i * kBlock + k] * folded[j * d + i];
      }
      for (int64_t k = 0; k < kBlock; ++k) square[k] += product[k] * channel[k];
    }
    for (int64_t k = 0; k < n_keys; ++k) out[k] = linear[k] + square[k] / 2;
  }

  void WeighByValues(const HeadCache& head, std::vector<double>& scores) const {
    const std::vector<float> values = ReadPlane(head, PlaneKind::kValues);
    const int64_t d = head.format().head_dim;
    for (size_t i = 0; i < scores.size(); ++i) {
      double sum = 0;
      for (int64_t c = 0; c < d; ++c) sum += double{values[i * d + c]} * values[i * d + c];
      scores[i] = (scores[i] + options_.epsilon) * std::sqrt(sum);
    }
  }

  const Options options_;
};

Result<std::unique_ptr<Method>> Make(const Params& params) {
  KV_RETURN_IF_ERROR(CheckSinks("expected", params));
  return std::make_unique<Expected>(Options{.budget = params.GetBudget("budget"),
                                            .future = params.GetInt("future"),
                                            .sinks = params.GetInt("sinks"),
                                            .covariance = params.GetFlag("covariance"),
                                            .vnorm = params.GetFlag("vnorm"),
                                            .always = params.GetWord("when") == "always",
                                            .epsilon = params.GetNumber("epsilon")});
}

}  // namespace

extern constinit const MethodInfo kExpected = {
    .name = "expected",
    .role = Role::kBase,
    .family = "evict",
    .summary = "keeps what the queries to come are expected to attend to",
    .paper = "arXiv 2510.00636",
    .about =
        "Guesses future queries from the distribution of the prompt's own, at the positions they "
        "will have, so it does not depend on what the last tokens happen to look at. Among the "
        "best at half the entries, and with `adakv`; a single needle that no query of the prompt "
        "resembles is lost at small budgets. Costs the most of the scorers that need no second "
        "pass: head_dim^2 a query and key, so while generating (when=always, or `decode`) it waits "
        "until enough tokens have come. Without epsilon the best scored are few and far apart: "
        "leave it, or use 0.01 as kvpress's own tables do.",
    .example = "adakv + expected:budget=50%",
    .params = kParams,
    .make = &Make,
    .scored = true,
};

}  // namespace kvasir
