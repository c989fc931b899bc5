#include "eval/statistics.h"

#include <gmock/gmock.h>

#include <vector>

namespace kvasir::eval {
namespace {

// Wilson 1927 at 19 of 20: (0.95 + 0.0960365) / 1.192073 -+ …; the known interval.
TEST(MeanOf, SharesHaveWilsonsInterval) {
  std::vector<double> values(20, 1.0);
  values[3] = 0;
  const Estimate share = MeanOf(values);
  EXPECT_DOUBLE_EQ(share.mean, 0.95);
  EXPECT_NEAR(share.low, 0.7639, 5e-4);
  EXPECT_NEAR(share.high, 0.9911, 5e-4);
  const Estimate all = MeanOf(std::vector<double>(20, 1.0));
  EXPECT_NEAR(all.low, 0.8389, 5e-4);  // 20 / (20 + z²)
  EXPECT_EQ(all.high, 1);
}

// The bootstrap's standard error of a mean is s / sqrt(n): 0 … 99 have s 28.9, so ±5.66.
TEST(MeanOf, OtherValuesHaveABootstrapInterval) {
  std::vector<double> values;
  for (int i = 0; i < 100; ++i) values.push_back(i);
  const Estimate mean = MeanOf(values);
  EXPECT_DOUBLE_EQ(mean.mean, 49.5);
  EXPECT_NEAR(mean.low, 49.5 - 5.66, 0.4);
  EXPECT_NEAR(mean.high, 49.5 + 5.66, 0.4);
  EXPECT_EQ(MeanOf(values).low, mean.low);  // the seed is fixed
}

TEST(PairedDifference, IsOfPairsAndNotOfGroups) {
  std::vector<double> a, b;
  for (int i = 0; i < 50; ++i) {
    b.push_back(i % 7);
    a.push_back(b.back() + 0.5);  // the same step for each pair: no doubt is left
  }
  const Estimate difference = PairedDifference(a, b);
  EXPECT_DOUBLE_EQ(difference.mean, 0.5);
  EXPECT_DOUBLE_EQ(difference.low, 0.5);
  EXPECT_DOUBLE_EQ(difference.high, 0.5);
}

}  // namespace
}  // namespace kvasir::eval
