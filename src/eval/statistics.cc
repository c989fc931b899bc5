#include "eval/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/result.h"
#include "eval/random.h"

namespace kvasir::eval {
namespace {

constexpr int kResamples = 10000;
constexpr uint64_t kSeed = 95;
constexpr double kZ = 1.959963984540054;  // normal quantile of 0.975

double Mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

Estimate Bootstrap(std::span<const double> values) {
  const auto n = static_cast<int64_t>(values.size());
  Random random(kSeed);
  std::vector<double> means;
  means.reserve(kResamples);
  for (int r = 0; r < kResamples; ++r) {
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += values[static_cast<size_t>(random.Below(n))];
    means.push_back(sum / static_cast<double>(n));
  }
  std::sort(means.begin(), means.end());
  return {Mean(values), means[kResamples / 40], means[kResamples - 1 - kResamples / 40]};
}

Estimate Wilson(std::span<const double> values) {
  const auto n = static_cast<double>(values.size());
  const double p = Mean(values), z2 = kZ * kZ;
  const double middle = (p + z2 / (2 * n)) / (1 + z2 / n);
  const double half = kZ * std::sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n);
  return {p, std::max(0.0, middle - half), std::min(1.0, middle + half)};
}

}  // namespace

Estimate MeanOf(std::span<const double> values, bool are_scores) {
  if (values.empty()) return {};
  const bool binary = are_scores && std::all_of(values.begin(), values.end(),
                                                [](double v) { return v == 0 || v == 1; });
  return binary ? Wilson(values) : Bootstrap(values);
}

Estimate PairedDifference(std::span<const double> a, std::span<const double> b) {
  KV_CHECK(a.size() == b.size());
  if (a.empty()) return {};
  std::vector<double> differences;
  for (size_t i = 0; i < a.size(); ++i) differences.push_back(a[i] - b[i]);
  return Bootstrap(differences);
}

}  // namespace kvasir::eval
