// The tests of the method's sheet that need no model.
#include <gmock/gmock.h>

#include "tests/methods/acting.h"

namespace kvasir {
namespace {

using testing::ElementsAre;

// What stays where the last two tokens gave the others these votes.
std::vector<int32_t> Kept(const std::string& params, std::vector<float> votes) {
  votes.resize(votes.size() + 2);
  const auto n = static_cast<int>(votes.size());
  ActingLayer layer("snapkv:window=2," + params);
  layer.n_last_queries = 2;
  layer.Append(RandomRows(n, 1), RandomRows(n, 2));
  layer.Act(votes);
  return layer.head().Orders();
}

TEST(SnapKv, WorkedExample) {
  const std::vector<float> votes = {.30f, .90f, .10f, .15f};
  for (const char* pool : {"kernel=1", "kernel=3,pool=avg", "kernel=3,pool=max"}) {
    EXPECT_THAT(Kept(fmt::format("budget=4,{}", pool), votes), ElementsAre(0, 1, 4, 5)) << pool;
  }
  EXPECT_THAT(Kept("budget=5,kernel=1", votes), ElementsAre(0, 1, 3, 4, 5));
  EXPECT_THAT(Kept("budget=5,kernel=3,pool=avg", votes), ElementsAre(0, 1, 2, 4, 5));
  EXPECT_THAT(Kept("budget=5,kernel=3,pool=max", votes), ElementsAre(0, 1, 2, 4, 5));
}

TEST(SnapKv, PoolsAsTheSheetDoes) {
  const std::vector<float> votes = {.30f, .90f, .10f, .15f};
  const std::vector<float> mean = {.4f, .43333f, .38333f, .08333f}, most = {.9f, .9f, .9f, .15f};
  for (int i = 0; i < 4; ++i) {
    EXPECT_NEAR(Pool1d(votes, 3, PoolKind::kMean)[i], mean[i], 1e-5);
    EXPECT_EQ(Pool1d(votes, 3, PoolKind::kMax)[i], most[i]);
  }
}

// A planted token stays with any budget, and its neighbours with it where there is room.
TEST(SnapKv, APlantedTokenStaysWithItsNeighbours) {
  for (const int planted : {5, 40, 90}) {
    std::vector<float> votes(98, .01f);
    votes[planted] = 1.9f;
    EXPECT_THAT(Kept("budget=3,kernel=1", votes), ElementsAre(planted, 98, 99));
    EXPECT_THAT(Kept("budget=9,kernel=7,pool=max", votes),
                ElementsAre(planted - 3, planted - 2, planted - 1, planted, planted + 1,
                            planted + 2, planted + 3, 98, 99));
  }
}

// The best query head of a group votes for all, where that is asked for.
TEST(SnapKv, GroupsVoteByTheirMeanOrTheirBest) {
  class TwoQueryHeads final : public Ops {
   public:
    std::vector<std::vector<float>> AttentionMass(const LayerView&,
                                                  const ScoreRequest& request) override {
      const std::vector<float> first = {.8f, 0, .3f, 0, 0}, second = {0, 0, .6f, 0, 0};
      std::vector<float> votes(5);
      for (int i = 0; i < 5; ++i) {
        votes[i] = request.over_group == GroupBy::kMax ? std::max(first[i], second[i])
                                                       : (first[i] + second[i]) / 2;
      }
      return {votes};
    }
    std::vector<float> OutputNorms(const LayerView&, int) override { return {}; }
    QueryMoments FutureQueries(const LayerView&, int64_t) override { return {}; }
    std::vector<float> QueryEnergy(const LayerView&, int, int64_t) override { return {}; }
    std::vector<float> OutputEnergy(const LayerView&, int, int64_t) override { return {}; }
  };
  for (const auto& [group, kept] : {std::pair("mean", 2), std::pair("max", 0)}) {
    ActingLayer layer(std::string("snapkv:window=1,budget=2,kernel=1,group=") + group);
    layer.Append(RandomRows(5, 1), RandomRows(5, 2));
    const LayerView at{
        .model = layer.model(), .n_prompt = 5, .heads = layer.heads(), .n_last_queries = 1};
    TwoQueryHeads ops;
    LayerPlan plan(layer.heads());
    layer.program().Compress(at, ops, plan);
    EXPECT_THAT(*plan.Resolve(0), ElementsAre(kept, 4)) << group;
  }
}

TEST(SnapKv, TheWindowStays) {
  std::vector<float> votes(98, 1.0f);
  EXPECT_THAT(Kept("budget=2%", votes), ElementsAre(98, 99));  // as a count it is refused
  EXPECT_THAT(Kept("budget=1%", votes), ElementsAre(99));
  EXPECT_EQ(Kept("budget=100", votes).size(), 100u);
}

}  // namespace
}  // namespace kvasir
