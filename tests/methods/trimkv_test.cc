// TRIM-KV against its sheet: retention by hand, ties, files that do not fit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "methods/registry.h"

namespace kvasir {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class NoOps final : public Ops {
 public:
  std::vector<std::vector<float>> AttentionMass(const LayerView&, const ScoreRequest&) override {
    return {};
  }
  std::vector<float> OutputNorms(const LayerView&, int) override { return {}; }
  QueryMoments FutureQueries(const LayerView&, int64_t) override { return {}; }
  std::vector<float> QueryEnergy(const LayerView&, int, int64_t) override { return {}; }
  std::vector<float> OutputEnergy(const LayerView&, int, int64_t) override { return {}; }
};

// The z of a gate that gives this beta.
float Logit(double beta) { return static_cast<float>(std::log(beta / (1 - beta))); }

// What stays of entries of these orders and gates when `now` tokens were read.
std::vector<int32_t> Kept(const std::string& spec, const std::vector<float>& z, int64_t now) {
  const auto program = Program::Build(spec);
  if (!program) {
    ADD_FAILURE() << program.error().message;
    return {};
  }
  PagePool pool;
  std::vector<HeadCache> heads;
  heads.emplace_back(pool, HeadFormat{.head_dim = 16});
  std::vector<SlotRange> slots;
  EXPECT_TRUE(heads[0].Append(static_cast<int64_t>(z.size()), 0, slots));
  const std::vector<std::vector<float>> gates = {z};
  const ModelInfo model{.n_layers = 1, .n_q_heads = 1, .n_kv_heads = 1, .head_dim = 16};
  const LayerView at{.model = model, .n_prompt = now, .heads = heads, .gates = gates};
  NoOps ops;
  LayerPlan plan(heads);
  (*program)->Compress(at, ops, plan);
  return plan.Resolve(0).value_or(std::vector<int32_t>{-1});
}

const std::vector<float> kBetas = {Logit(.99), Logit(.5), Logit(.9), Logit(.8)};

TEST(TrimKv, TheLeastRetentionGoes) {
  for (const int64_t now : {4, 5, 20}) {
    EXPECT_THAT(Kept("trimkv:budget=3", kBetas, now), ElementsAre(0, 2, 3)) << now;
    EXPECT_THAT(Kept("trimkv:budget=1", kBetas, now), ElementsAre(0)) << now;
  }
}

// beta .9 of place 2 against .8 of place 3: with time the order turns.
TEST(TrimKv, AnOlderTokenOvertakesAYoungerOne) {
  const std::vector<float> z = {Logit(.01), Logit(.01), Logit(.9), Logit(.8)};
  EXPECT_THAT(Kept("trimkv:budget=1", z, 4), ElementsAre(2));  // .81 and .8
  const std::vector<float> closer = {Logit(.01), Logit(.01), Logit(.85), Logit(.8)};
  EXPECT_THAT(Kept("trimkv:budget=1", closer, 4), ElementsAre(3));  // .7225 and .8
  EXPECT_THAT(Kept("trimkv:budget=1", closer, 8), ElementsAre(2));  // .377 and .328
}

TEST(TrimKv, GatesThatAreAllAlikeMakeASlidingWindow) {
  const std::vector<float> alike(10, Logit(.7)), one(10, 200.0f);  // beta 1: log 0
  EXPECT_THAT(Kept("trimkv:budget=3", alike, 10), ElementsAre(7, 8, 9));
  EXPECT_THAT(Kept("trimkv:budget=3", one, 10), ElementsAre(7, 8, 9));
}

// Above f32's resolution of beta itself, log_beta still tells gates apart.
TEST(TrimKv, GatesNearOneAreToldApart) {
  std::vector<float> z(6, 18.0f);  // beta 1 - 1.5e-8
  z[1] = 20.0f;
  EXPECT_THAT(Kept("trimkv:budget=2", z, 100000), ElementsAre(1, 5));
}

TEST(TrimKv, TheWindowStaysWhereItIsAskedFor) {
  const std::vector<float> z = {Logit(.99), Logit(.99), Logit(.5), Logit(.01)};
  EXPECT_THAT(Kept("trimkv:budget=2", z, 10), ElementsAre(0, 1));
  EXPECT_THAT(Kept("trimkv:budget=2,window=1", z, 10), ElementsAre(1, 3));
}

}  // namespace
}  // namespace kvasir
