// TRIM-KV against its sheet: retention by hand, ties, files that do not fit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
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

// Scores of entries 0, 1, … when `now` tokens were read.
std::vector<float> ScoresAt(const std::vector<float>& z, int64_t now) {
  const auto program = Program::Build("trimkv:budget=1");
  PagePool pool;
  std::vector<HeadCache> heads;
  heads.emplace_back(pool, HeadFormat{.head_dim = 16});
  std::vector<SlotRange> slots;
  EXPECT_TRUE(heads[0].Append(std::ssize(z), 0, slots));
  const std::vector<std::vector<float>> gates = {z};
  const ModelInfo model{.n_layers = 1, .n_q_heads = 1, .n_kv_heads = 1, .head_dim = 16};
  const LayerView at{.model = model, .n_prompt = now, .heads = heads, .gates = gates};
  NoOps ops;
  LayerPlan plan(heads);
  (*program)->Compress(at, ops, plan);
  return {plan.scores(0).begin(), plan.scores(0).end()};
}

// The sheet's tests 2 and 6, as printed.
TEST(TrimKv, ScoresAreThoseOfTheSheet) {
  const std::pair<int64_t, std::vector<float>> cases[] = {{4, {.9606f, .125f, .81f, .8f}},
                                                          {5, {.95099f, .0625f, .729f, .64f}},
                                                          {20, {.81791f, 0, .15009f, .02252f}}};
  for (const auto& [now, retention] : cases) {
    const std::vector<float> scores = ScoresAt(kBetas, now);
    for (int i = 0; i < 4; ++i) EXPECT_NEAR(std::exp(scores[i]), retention[i], 5e-5) << now;
  }
  EXPECT_NEAR(ScoresAt({10, 18}, 2)[1], -1.523e-8, 1e-11);   // logsigmoid(18), age 1
  EXPECT_NEAR(ScoresAt({18, 10}, 2)[1], -4.540e-5, 1e-8);    // logsigmoid(10)
  EXPECT_NEAR(ScoresAt({10, 18}, 32768)[0], -1.4876, 5e-5);  // an age of 32768
}

// Test 8: one entry goes with each token, the one of least retention, of equals the older.
TEST(TrimKv, EveryTokenIsTheLoopOverTheLeast) {
  constexpr int kBudget = 8;
  const auto program = Program::Build(fmt::format("trimkv:budget={}", kBudget));
  PagePool pool;
  std::vector<HeadCache> heads;
  heads.emplace_back(pool, HeadFormat{.head_dim = 16});
  const ModelInfo model{.n_layers = 1, .n_q_heads = 1, .n_kv_heads = 1, .head_dim = 16};
  NoOps ops;
  std::vector<float> z;
  std::vector<int32_t> held;
  uint32_t seed = 1;
  for (int32_t i = 0; i < 200; ++i) {
    seed = seed * 1664525u + 1013904223u;
    z.push_back(static_cast<float>(seed >> 29));  // 0 to 7: many are alike
    held.push_back(i);
    std::vector<SlotRange> slots;
    ASSERT_TRUE(heads[0].Append(1, i, slots));
    std::vector<std::vector<float>> gates(1);
    for (int32_t entry : held) gates[0].push_back(z[entry]);
    const LayerView at{.model = model,
                       .moment = Moment::kDecode,
                       .n_prompt = 1,
                       .n_generated = i,
                       .heads = heads,
                       .gates = gates};
    LayerPlan plan(heads);
    (*program)->Compress(at, ops, plan);
    if (const auto kept = plan.Resolve(0)) heads[0].Keep(*kept);
    const auto retention = [&](int32_t entry) {
      return static_cast<float>(i + 1 - entry) * -std::log1p(std::exp(-z[entry]));
    };
    if (std::ssize(held) > kBudget) {
      held.erase(std::ranges::min_element(held, std::ranges::less(), retention));
    }
    ASSERT_EQ(heads[0].Orders(), held) << i;
  }
}

TEST(TrimKv, TheWindowStaysWhereItIsAskedFor) {
  const std::vector<float> z = {Logit(.99), Logit(.99), Logit(.5), Logit(.01)};
  EXPECT_THAT(Kept("trimkv:budget=2", z, 10), ElementsAre(0, 1));
  EXPECT_THAT(Kept("trimkv:budget=2,window=1", z, 10), ElementsAre(1, 3));
}

}  // namespace
}  // namespace kvasir
