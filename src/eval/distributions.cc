#include "eval/distributions.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace kvasir {

int32_t ArgMax(std::span<const float> logits) {
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

double LogSumExp(std::span<const float> logits) {
  const double top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - top);
  return top + std::log(sum);
}

std::vector<TokenScore> TopTokens(std::span<const float> logits, double log_sum_exp, int64_t k) {
  std::vector<int32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  const auto end = ids.begin() + std::min<int64_t>(k, static_cast<int64_t>(ids.size()));
  std::partial_sort(ids.begin(), end, ids.end(), [&](int32_t a, int32_t b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  });
  std::vector<TokenScore> top;
  for (auto id = ids.begin(); id != end; ++id) top.push_back({*id, logits[*id] - log_sum_exp});
  return top;
}

Distribution::Distribution(std::span<const float> its_logits)
    : logits(its_logits.begin(), its_logits.end()),
      log_sum_exp(LogSumExp(logits)),
      log_p(logits.size()),
      p(logits.size()),
      best(ArgMax(logits)) {
  for (size_t id = 0; id < logits.size(); ++id) {
    log_p[id] = logits[id] - log_sum_exp;
    p[id] = std::exp(log_p[id]);
  }
}

double KlDivergence(const Distribution& p, std::span<const float> q_logits, double q_log_sum_exp) {
  double sum = 0;
  for (size_t id = 0; id < q_logits.size(); ++id) {
    if (p.p[id] > 0) sum += p.p[id] * (p.log_p[id] - (q_logits[id] - q_log_sum_exp));
  }
  return std::max(sum, 0.0);  // rounding may leave a hair below
}

double KlDivergence(std::span<const float> p_logits, std::span<const float> q_logits) {
  return KlDivergence(Distribution(p_logits), q_logits, LogSumExp(q_logits));
}

double Percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(values.size())));
  const size_t index = std::min(std::max<size_t>(rank, 1), values.size()) - 1;
  std::nth_element(values.begin(), values.begin() + static_cast<int64_t>(index), values.end());
  return values[index];
}

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace kvasir
