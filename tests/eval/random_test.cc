#include "eval/random.h"

#include <gmock/gmock.h>

#include <regex>
#include <set>

namespace kvasir::eval {
namespace {

// The reference outputs of SplitMix64 for state 0.
TEST(Random, IsSplitMix64) {
  Random random(0);
  EXPECT_EQ(random.Next(), 0xe220a8397b1dcdafu);
  EXPECT_EQ(random.Next(), 0x6e789e6aa1b965f4u);
  EXPECT_EQ(random.Next(), 0x06c45d188009454fu);
}

TEST(Random, StreamsDifferByEveryPartOfTheName) {
  const uint64_t first = Random::For("a", 1, 2, 3).Next();
  EXPECT_EQ(Random::For("a", 1, 2, 3).Next(), first);
  EXPECT_NE(Random::For("b", 1, 2, 3).Next(), first);
  EXPECT_NE(Random::For("a", 2, 2, 3).Next(), first);
  EXPECT_NE(Random::For("a", 1, 3, 3).Next(), first);
  EXPECT_NE(Random::For("a", 1, 2, 4).Next(), first);
}

TEST(Random, BelowReachesAllAndNothingElse) {
  Random random(7);
  std::vector<int> counts(5);
  for (int i = 0; i < 5000; ++i) ++counts[static_cast<size_t>(random.Below(5))];
  for (const int n : counts) EXPECT_NEAR(n, 1000, 150);  // five standard deviations
}

TEST(Random, DistinctNumbersAreDistinct) {
  Random random(1);
  for (const auto& [n, k] : {std::pair<int, int>{40, 4}, {10, 10}, {1000, 3}}) {
    const std::vector<int64_t> drawn = random.Distinct(n, k);
    EXPECT_EQ(std::set(drawn.begin(), drawn.end()).size(), static_cast<size_t>(k));
    for (const int64_t value : drawn) EXPECT_TRUE(value >= 0 && value < n);
  }
}

TEST(Random, UuidsAreVersion4AndNumbersHaveTheirDigits) {
  Random random(3);
  const std::regex uuid("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}");
  const std::regex digits("[1-9][0-9]{6}");
  for (int i = 0; i < 50; ++i) {
    EXPECT_TRUE(std::regex_match(random.Uuid(), uuid));
    EXPECT_TRUE(std::regex_match(random.Digits(7), digits));
  }
}

}  // namespace
}  // namespace kvasir::eval
