#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "kvasir/kvasir.h"

namespace kvasir {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> LogOf(std::vector<float> probabilities) {
  for (float& p : probabilities) p = std::log(p);
  return probabilities;
}

std::map<int32_t, double> DrawnShares(const SamplingOptions& options,
                                      const std::vector<float>& logits, int n = 20000) {
  Sampler sampler(options);
  std::map<int32_t, double> shares;
  for (int i = 0; i < n; ++i) shares[sampler.Sample(logits, {})] += 1.0 / n;
  return shares;
}

TEST(Sampler, GreedyTakesTheMostLikelyAndTheLowerOfEquals) {
  Sampler sampler({});
  EXPECT_EQ(sampler.Sample(std::vector<float>{1, 5, 3}, {}), 1);
  EXPECT_EQ(sampler.Sample(std::vector<float>{1, 5, 5}, {}), 1);
  EXPECT_EQ(sampler.Sample(std::vector<float>{-kInf, -7, -kInf}, {}), 1);
}

TEST(Sampler, GreedyFindsTheBestWhereverItIs) {
  Sampler sampler({});
  for (const size_t n : {1, 15, 16, 17, 33, 50}) {  // around what goes through vectors at a time
    for (size_t best = 0; best < n; ++best) {
      std::vector<float> logits(n, -2);
      logits[best] = -1;
      logits[n - 1] = -1;  // of equals the lower one
      EXPECT_EQ(sampler.Sample(logits, {}), static_cast<int32_t>(best)) << n;
    }
    EXPECT_EQ(sampler.Sample(std::vector<float>(n, -kInf), {}), 0) << n;
    std::vector<float> logits(n, kNan);
    logits[n - 1] = -kInf;
    EXPECT_EQ(sampler.Sample(logits, {}), 0) << n;
  }
}

TEST(Sampler, NanNeverWins) {
  const std::vector<float> logits = {kNan, 1, 2, kNan};
  EXPECT_EQ(Sampler({}).Sample(logits, {}), 2);
  EXPECT_EQ(Sampler({.repeat_penalty = 1.1f}).Sample(logits, {}), 2);
  EXPECT_EQ(DrawnShares({.temperature = 1}, logits, 1000).count(0), 0u);
  const std::vector<float> nothing(4, kNan);
  EXPECT_EQ(Sampler({.temperature = 1}).Sample(nothing, {}), 0);
}

TEST(Sampler, SharesFollowTheSoftmax) {
  const auto shares = DrawnShares({.temperature = 1, .seed = 3}, LogOf({0.5f, 0.3f, 0.2f}));
  EXPECT_NEAR(shares.at(0), 0.5, 0.015);  // 4 standard errors of 20000 draws
  EXPECT_NEAR(shares.at(1), 0.3, 0.015);
  EXPECT_NEAR(shares.at(2), 0.2, 0.015);
}

TEST(Sampler, TemperatureFlattens) {
  // At temperature 2 the weights are the square roots: 0.8 and 0.2 become 2 to 1.
  const auto shares = DrawnShares({.temperature = 2, .seed = 3}, LogOf({0.8f, 0.2f}));
  EXPECT_NEAR(shares.at(0), 2.0 / 3, 0.015);
}

TEST(Sampler, TopKKeepsExactlyK) {
  const auto shares = DrawnShares({.temperature = 5, .top_k = 2}, LogOf({0.1f, 0.4f, 0.2f, 0.3f}));
  EXPECT_EQ(shares.size(), 2u);
  EXPECT_TRUE(shares.count(1) && shares.count(3));
}

TEST(Sampler, TopPKeepsTheFewestThatReachIt) {
  const std::vector<float> logits = LogOf({0.1f, 0.5f, 0.25f, 0.15f});
  EXPECT_EQ(DrawnShares({.temperature = 1, .top_p = 0.4f}, logits).size(), 1u);
  EXPECT_EQ(DrawnShares({.temperature = 1, .top_p = 0.7f}, logits).size(), 2u);
  EXPECT_EQ(DrawnShares({.temperature = 1, .top_p = 0.8f}, logits).size(), 3u);
}

TEST(Sampler, TopPOfAFlatDistributionSortsOn) {
  const std::vector<float> flat(1000, 0.0f);
  const auto shares = DrawnShares({.temperature = 1, .top_p = 0.5f}, flat, 10000);
  EXPECT_EQ(shares.size(), 500u);
  EXPECT_LT(shares.rbegin()->first, 500) << "of equals the lower ids stay";
}

TEST(Sampler, MinPIsAShareOfTheBest) {
  const std::vector<float> logits = LogOf({0.5f, 0.3f, 0.15f, 0.05f});
  EXPECT_EQ(DrawnShares({.temperature = 1, .min_p = 0.2f}, logits).size(), 3u);
  EXPECT_EQ(DrawnShares({.temperature = 1, .min_p = 0.5f}, logits).size(), 2u);
  EXPECT_EQ(DrawnShares({.temperature = 1, .min_p = 1}, logits).size(), 1u);
}

TEST(Sampler, RepeatPenaltyActsOnTheLast64TokensOnceEach) {
  const std::vector<float> logits = {3, 2.5f, -1};
  Sampler sampler({.repeat_penalty = 1.3f});
  EXPECT_EQ(sampler.Sample(logits, {}), 0);
  EXPECT_EQ(sampler.Sample(logits, std::vector<int32_t>{0}), 1);
  // Seen many times is seen once: 3 / 1.3 = 2.3 is above 2.2.
  EXPECT_EQ(sampler.Sample(std::vector<float>{3, 2.2f}, std::vector<int32_t>(60, 0)), 0);
  std::vector<int32_t> old(65, 1);
  old[0] = 0;
  EXPECT_EQ(sampler.Sample(logits, old), 0) << "the 65th token back is forgotten";
  EXPECT_EQ(sampler.Sample(logits, std::vector<int32_t>{-5, 900}), 0) << "strange ids are ignored";
}

TEST(Sampler, RepeatPenaltyLowersNegativeLogitsToo) {
  Sampler sampler({.repeat_penalty = 2});
  EXPECT_EQ(sampler.Sample(std::vector<float>{-1, -1.5f}, std::vector<int32_t>{0}), 1);
}

TEST(Sampler, TheSeedDecides) {
  const std::vector<float> logits(50, 0.0f);
  const auto draw = [&](uint64_t seed) {
    Sampler sampler({.temperature = 1, .seed = seed});
    std::vector<int32_t> ids;
    for (int i = 0; i < 20; ++i) ids.push_back(sampler.Sample(logits, {}));
    return ids;
  };
  EXPECT_EQ(draw(7), draw(7));
  EXPECT_NE(draw(7), draw(8));
}

}  // namespace
}  // namespace kvasir
