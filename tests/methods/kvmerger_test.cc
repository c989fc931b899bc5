// The tests of the method's sheet: worked numbers, then what must hold for all.
#include <gmock/gmock.h>

#include <cmath>
#include <numeric>

#include "methods/adjacent_sets.h"
#include "tests/methods/acting.h"

namespace kvasir {
namespace {

using testing::ElementsAre;
using testing::FloatNear;
using testing::Pointwise;

const Rows kKeys = {{1, 0}, {.98f, .2f}, {0, 1}, {.1f, 1}, {.3f, .95f}, {-1, .1f}};
const Rows kValues = {{1, 0}, {2, 0}, {0, 3}, {0, 6}, {3, 0}, {1, 1}};
const std::vector<float> kMass = {.5f, .1f, .3f, .9f, .2f, .4f};
// Nothing is protected but the newest entry, which is a set of its own in the example anyway.
const std::string kPlain = "kvmerger:mode=threshold,recent=0,heavy=0,sinks=0,skip=none";

std::vector<float> CosinesOf(const Rows& keys) {
  std::vector<float> flat;
  for (const auto& key : keys) flat.insert(flat.end(), key.begin(), key.end());
  return AdjacentCosines(flat, static_cast<int64_t>(keys[0].size()));
}

void ExpectRow(const std::vector<float>& row, const std::vector<float>& expected, float error) {
  EXPECT_THAT(row, Pointwise(FloatNear(error), expected));
}

TEST(AdjacentSets, CosinesOfTheWorkedExample) {
  ExpectRow(CosinesOf(kKeys), {.9798f, .2f, .9950f, .9788f, -.2048f}, 1e-4f);
}

TEST(AdjacentSets, AreRunsAboveTheThreshold) {
  const std::vector<float> cosines = CosinesOf(kKeys);
  const std::vector<bool> all(5, true);
  EXPECT_THAT(JoinAbove(cosines, all, .75f, 8), ElementsAre(0, 2, 5, 6));
  EXPECT_THAT(JoinAbove(cosines, all, 1, 8), ElementsAre(0, 1, 2, 3, 4, 5, 6));
  // From the end backwards, two at most.
  EXPECT_THAT(JoinAbove(cosines, all, .75f, 2), ElementsAre(0, 2, 3, 5, 6));
  // Entry 3 is protected.
  EXPECT_THAT(JoinAbove(cosines, {true, true, false, false, true}, .75f, 8),
              ElementsAre(0, 2, 3, 4, 5, 6));
}

TEST(AdjacentSets, MeetEveryTargetExactly) {
  std::vector<float> flat;
  for (const auto& row : RandomRows(200, 7)) flat.insert(flat.end(), row.begin(), row.end());
  const std::vector<float> cosines = AdjacentCosines(flat, kTestDim);
  std::vector<bool> may_join(199, true);
  for (int fixed : {0, 1, 50, 51, 52, 120})
    may_join[fixed] = may_join[std::max(0, fixed - 1)] = false;
  int least = 1;
  for (const bool may : may_join) least += !may;
  for (int longest : {2, 8}) {
    for (int target = least; target <= 200; ++target) {
      const std::vector<int32_t> begins = JoinToTarget(cosines, may_join, target, longest);
      ASSERT_EQ(static_cast<int>(begins.size()) - 1, target);
      ASSERT_EQ(begins.front(), 0);
      ASSERT_EQ(begins.back(), 200);
      for (size_t s = 0; s + 1 < begins.size(); ++s) {
        ASSERT_LT(begins[s], begins[s + 1]);
        for (int i = begins[s]; i + 1 < begins[s + 1]; ++i) ASSERT_TRUE(may_join[i]);
        ASSERT_LE(begins[s + 1] - begins[s], target >= 120 ? 8 : 200);
      }
    }
  }
}

TEST(KvMerger, WorkedExampleAtSigma5) {
  for (const auto& [scaling, v0, v1] :
       {std::tuple("mean", std::vector{1.4998f, 0.f}, std::vector{.9995f, 3.00085f}),
        std::tuple("mean_logn", std::vector{1.4998f, 0.f}, std::vector{.9995f, 3.00085f}),
        std::tuple("paper", std::vector{2.9996f, 0.f}, std::vector{2.9985f, 9.00255f})}) {
    ActingLayer layer(kPlain + ",sigma=5,scaling=" + scaling);
    layer.Append(kKeys, kValues);
    layer.Act(kMass);
    EXPECT_THAT(layer.head().Orders(), ElementsAre(0, 3, 5));
    EXPECT_THAT(layer.head().Positions(), ElementsAre(0, 3, 5));
    EXPECT_THAT(layer.head().Column(kCountColumn), ElementsAre(2, 3, 1));
    const Rows keys = ReadRows(layer.head(), PlaneKind::kKeys, 2);
    ExpectRow(keys[0], {.9900f, .09996f}, 1e-4f);
    ExpectRow(keys[1], {.1333f, .98334f}, 1e-4f);
    ExpectRow(keys[2], {-1, .1f}, 0);
    const Rows values = ReadRows(layer.head(), PlaneKind::kValues, 2);
    ExpectRow(values[0], v0, 1e-4f);
    ExpectRow(values[1], v1, 1e-4f);
    const bool counts = std::string(scaling) == "mean_logn";
    ExpectRow(layer.head().Column(kBiasColumn),
              {counts ? std::log(2.0f) : 0, counts ? std::log(3.0f) : 0, 0}, 1e-6f);
  }
}

TEST(KvMerger, WorkedExampleAtSigmaOneHalf) {
  ActingLayer layer(kPlain + ",sigma=0.5");
  layer.Append(kKeys, kValues);
  layer.Act(kMass);
  ExpectRow(ReadRows(layer.head(), PlaneKind::kKeys, 2)[1], {.12956f, .98416f}, 1e-5f);
}

// Test 4.
TEST(KvMerger, WeightsArePositiveSumToOneAndArePivotsFirst) {
  for (const char* kernel : {"sigma=5", "sigma=0.5", "kernel=rms", "kernel=two_pass"}) {
    ActingLayer layer(std::string("kvmerger:budget=25%,recent=0,heavy=0,sinks=0,") + kernel);
    layer.Append(RandomRows(100, 3), RandomRows(100, 4));
    std::vector<std::vector<float>> mass(1);
    for (const auto& row : RandomRows(100, 5)) mass[0].push_back(row[0] + 1);
    const LayerView at{
        .model = layer.model(), .n_prompt = 100, .heads = layer.heads(), .mass = mass};
    GivenOps ops;
    LayerPlan plan(layer.heads());
    layer.program().Compress(at, ops, plan);
    const MergeSets* sets = plan.merges(0);
    ASSERT_NE(sets, nullptr);
    ASSERT_GE(sets->n_sets(), 10);
    for (int64_t s = 0; s < sets->n_sets(); ++s) {
      double sum = 0;
      float most = 0, pivot = 0;
      for (int32_t m = sets->begin[s]; m < sets->begin[s + 1]; ++m) {
        EXPECT_GT(sets->k_weights[m], 0) << kernel;
        sum += sets->k_weights[m];
        most = std::max(most, sets->k_weights[m]);
        if (sets->members[m] == sets->into[s]) pivot = sets->k_weights[m];
      }
      EXPECT_NEAR(sum, 1, 1e-5) << kernel;
      EXPECT_EQ(pivot, most) << kernel;
    }
  }
}

TEST(KvMerger, AProtectedEntryIsASetOfItsOwn) {
  ActingLayer layer("kvmerger:mode=threshold,recent=0,heavy=17%,sinks=0,skip=none");
  layer.Append(kKeys, kValues);
  layer.Act(kMass);  // 17 % of 6 is one: entry 3 has the most attention
  EXPECT_THAT(layer.head().Orders(), ElementsAre(0, 2, 3, 4, 5));
}

TEST(KvMerger, LatestOfEqualPivotsWins) {
  ActingLayer layer(kPlain);
  layer.Append(kKeys, kValues);
  layer.Act({1, 1, 1, 1, 1, 1});
  EXPECT_THAT(layer.head().Orders(), ElementsAre(1, 4, 5));
}

TEST(KvMerger, KernelsOfGivenAndOwnWidth) {
  const auto keys_at = [](const std::string& more) {
    ActingLayer layer(kPlain + more);
    layer.Append(kKeys, kValues);
    layer.Act(kMass);
    return ReadRows(layer.head(), PlaneKind::kKeys, 2)[1];
  };
  ExpectRow(keys_at(",sigma=1000000"), {.4f / 3, 2.95f / 3}, 1e-6f);  // the plain mean
  ExpectRow(keys_at(",sigma=0"), {.1f, 1}, 0);                        // the pivot
  // rms: the mean square distance is (.01 + 0 + .0425) / 3 = .0175.
  const double g2 = std::exp(-.01 / .035), g4 = std::exp(-.0425 / .035), sum = g2 + 1 + g4;
  ExpectRow(
      keys_at(",kernel=rms"),
      {static_cast<float>((.1 + .3 * g4) / sum), static_cast<float>((g2 + 1 + .95 * g4) / sum)},
      1e-5f);
  // two_pass: sigma from the weights at that width.
  const double sigma = sum / (std::sqrt(2.0) * 3), h2 = std::exp(-.01 / (2 * sigma * sigma)),
               h4 = std::exp(-.0425 / (2 * sigma * sigma)), h = h2 + 1 + h4;
  ExpectRow(keys_at(",kernel=two_pass"),
            {static_cast<float>((.1 + .3 * h4) / h), static_cast<float>((h2 + 1 + .95 * h4) / h)},
            1e-5f);
}

TEST(KvMerger, ParallelKeysOfOtherLengthAreKeptApart) {
  ActingLayer layer(kPlain + ",gap=0.3");
  layer.Append({{1, 0}, {2, 0}, {2.5f, 0}, {0, 1}}, {{1}, {2}, {3}, {4}});
  layer.Act({1, 1, 1, 1});
  EXPECT_THAT(layer.head().Orders(), ElementsAre(0, 2, 3));  // 1 | 2 2.5 | the newest
}

TEST(KvMerger, ScalingsKeepOrLoseTheNumerator) {
  Rows keys = RandomRows(30, 1), values = RandomRows(30, 2);
  for (int i = 10; i < 16; ++i) keys[i] = keys[10], values[i] = values[10];
  const std::vector<float> query = RandomRows(1, 3)[0];
  const auto output = [&](const std::string& scaling) {
    ActingLayer layer(kPlain + ",eps=0.9999,scaling=" + scaling);
    layer.Append(keys, values);
    const std::vector<float> before = AttendAll(layer.head(), query);
    layer.Act(std::vector<float>(30, 1));
    EXPECT_EQ(layer.head().size(), 25);
    return std::pair(before, AttendAll(layer.head(), query));
  };
  const auto [before, exact] = output("mean_logn");
  ExpectRow(exact, before, 1e-6f);
  // The share of the set, by hand.
  double set = 0, all = 0;
  for (int i = 0; i < 30; ++i) {
    const double e = std::exp(std::inner_product(query.begin(), query.end(), keys[i].begin(), 0.0));
    all += e;
    if (i >= 10 && i < 16) set += e;
  }
  const double missing = set - set / 6;
  const auto [b1, paper] = output("paper");
  const auto [b2, mean] = output("mean");
  for (int c = 0; c < kTestDim; ++c) {
    EXPECT_NEAR(paper[c], before[c] * all / (all - missing), 1e-5);  // larger: less denominator
    EXPECT_NEAR(mean[c], (before[c] * all - values[10][c] * missing) / (all - missing), 1e-5);
  }
}

TEST(KvMerger, MergingInTwoStepsIsMergingAtOnce) {
  const Rows keys = {{1, 0}, {1, .1f}, {1, .2f}, {1, .3f}, {1, .4f}, {-1, 0}};
  for (const std::string scaling : {"mean_logn", "paper", "mean"}) {
    const std::string spec = kPlain + ",sigma=1000000,when=always,tail=1,scaling=" + scaling;
    ActingLayer at_once(spec), twice(spec + ",longest=3");
    for (ActingLayer* layer : {&at_once, &twice}) layer->Append(keys, kValues);
    at_once.Act(kMass);
    twice.Act(kMass);
    EXPECT_THAT(twice.head().Column(kCountColumn), ElementsAre(2, 3, 1));
    twice.Act({.6f, .9f, .4f}, Moment::kDecode);
    EXPECT_EQ(twice.head().Orders(), at_once.head().Orders());
    EXPECT_EQ(twice.head().Column(kCountColumn), at_once.head().Column(kCountColumn));
    for (PlaneKind kind : {PlaneKind::kKeys, PlaneKind::kValues}) {
      const Rows a = ReadRows(twice.head(), kind, 2), b = ReadRows(at_once.head(), kind, 2);
      for (size_t i = 0; i < a.size(); ++i) ExpectRow(a[i], b[i], 1e-5f);
    }
  }
}

float Sum(const std::vector<float>& x) { return std::accumulate(x.begin(), x.end(), 0.0f); }

std::vector<float> RandomMass(int64_t n, uint32_t seed) {
  std::vector<float> mass;
  for (const auto& row : RandomRows(static_cast<int>(n), seed)) mass.push_back(1.5f + row[0]);
  return mass;
}

TEST(KvMerger, CountsAddUpToTheTextWhileGenerating) {
  ActingLayer layer("kvmerger:budget=40,when=always,tail=10", 2);
  layer.Append(RandomRows(100, 1), RandomRows(100, 2));
  layer.Act(RandomMass(100, 3));
  EXPECT_EQ(layer.head().size(), 40);
  for (int i = 0; i < 100; ++i) {
    layer.Append(RandomRows(1, 10 + i), RandomRows(1, 200 + i));
    layer.Act(RandomMass(layer.head().size(), i), Moment::kDecode);
    ASSERT_LE(layer.head().size(), 50);
    ASSERT_EQ(Sum(layer.head().Column(kCountColumn)), 101 + i);
    const std::vector<int32_t> orders = layer.head().Orders();
    ASSERT_TRUE(std::is_sorted(orders.begin(), orders.end()));
    ASSERT_EQ(orders.back(), 100 + i);  // the newest is never merged
  }
}

TEST(KvMerger, NoSetCrossesTheBorderOfATurn) {
  ActingLayer layer("kvmerger:budget=30%");
  const Rows alike(100, std::vector<float>{1, 1});
  layer.Append(alike, alike);
  layer.Act(RandomMass(100, 1));
  EXPECT_EQ(layer.head().size(), 30);
  const std::vector<int32_t> first = layer.head().Orders();
  layer.Append(alike, alike);
  layer.Act(RandomMass(130, 2), Moment::kPromptEnd, /*start=*/100);
  EXPECT_EQ(layer.head().size(), 60);
  const std::vector<int32_t> orders = layer.head().Orders();
  EXPECT_TRUE(std::equal(first.begin(), first.end(), orders.begin()));  // stays as it was
  const std::vector<float> counts = layer.head().Column(kCountColumn);
  EXPECT_EQ(Sum({counts.begin(), counts.begin() + 30}), 100);
  EXPECT_EQ(Sum(counts), 200);
}

TEST(KvMerger, SkippedLayersAreMadeUpFor) {
  for (const auto& [budget, skips] :
       {std::pair("50%", true), std::pair("20%", true), std::pair("10%", false)}) {
    int64_t total = 0;
    for (int l = 0; l < 30; ++l) {
      ActingLayer layer("kvmerger:skip=auto,budget=" + std::string(budget), 1, 30, l);
      layer.Append(RandomRows(500, 1), RandomRows(500, 2));
      layer.Act(RandomMass(500, 3));
      const bool whole = layer.head().size() == 500;
      EXPECT_EQ(whole, skips && (l < 2 || l == 29)) << budget << " layer " << l;
      total += layer.head().size();
    }
    const double expected = 0.01 * std::stod(budget) * 500 * 30;
    EXPECT_LE(total, expected);
    EXPECT_GE(total, expected - 30) << budget;
  }
}

TEST(KvMerger, BudgetsBelowWhatIsProtectedAreMetAllTheSame) {
  for (int budget : {1, 2, 3, 5, 10}) {
    ActingLayer layer("kvmerger:heavy=50%,recent=50%,budget=" + std::to_string(budget));
    layer.Append(RandomRows(100, 1), RandomRows(100, 2));
    layer.Act(RandomMass(100, 3));
    EXPECT_EQ(layer.head().size(), std::max(2, budget));  // the newest, and all others in one
  }
}

TEST(KvMerger, EpsOfOneChangesNothing) {
  ActingLayer layer(kPlain + ",eps=1");
  layer.Append(kKeys, kValues);
  layer.Act(kMass);
  EXPECT_EQ(ReadRows(layer.head(), PlaneKind::kKeys, 2), kKeys);
  EXPECT_EQ(ReadRows(layer.head(), PlaneKind::kValues, 2), kValues);
}

}  // namespace
}  // namespace kvasir
