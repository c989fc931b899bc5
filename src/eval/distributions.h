// Distributions from logits, in double.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace kvasir {

struct TokenScore {
  int32_t id = 0;
  double logprob = 0;
};

double LogSumExp(std::span<const float> logits);
int32_t ArgMax(std::span<const float> logits);  // the lowest of equals
// The k most likely, best first; of equals the lower id.
std::vector<TokenScore> TopTokens(std::span<const float> logits, double log_sum_exp, int64_t k);
// What others are compared with, by many at a time.
struct Distribution {
  explicit Distribution(std::span<const float> logits);
  std::vector<float> logits;
  double log_sum_exp = 0;
  std::vector<double> log_p, p;  // by token
  int32_t best = 0;
};
// KL(p || q) in nats.
double KlDivergence(const Distribution& p, std::span<const float> q_logits, double q_log_sum_exp);
double KlDivergence(std::span<const float> p_logits, std::span<const float> q_logits);
// The smallest value that at least `share` of the values do not exceed; 0 of none.
double Percentile(std::vector<double> values, double share);
// The middle value, or the mean of the two in the middle; 0 of none.
double Median(std::vector<double> values);

}  // namespace kvasir
