// Numbers worked by hand (the sheets of H2O, PyramidKV and Ada-KV), on heads of given scores.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/methods/acting.h"

namespace kvasir {
namespace {

using testing::ElementsAre;
using Scores = std::vector<std::vector<float>>;

// No method here may compute anything but from its entries' places.
class NoOps final : public Ops {
 public:
  Scores AttentionMass(const LayerView&, const ScoreRequest&) override { return {}; }
  // For criticalkv: the later an entry, the more it weighs.
  std::vector<float> OutputNorms(const LayerView& at, int h) override {
    std::vector<float> norms(at.heads[h].size());
    for (size_t i = 0; i < norms.size(); ++i) norms[i] = static_cast<float>(i + 1) * .01f;
    return norms;
  }
  QueryMoments FutureQueries(const LayerView&, int64_t) override { return {}; }
  std::vector<float> QueryEnergy(const LayerView&, int, int64_t) override { return {}; }
  std::vector<float> OutputEnergy(const LayerView&, int, int64_t) override { return {}; }
};

class Given final : public Method {
 public:
  Needs needs(const ModelInfo&) const override { return {.at_decode = true}; }
  void Compress(const LayerView& at, Ops&, LayerPlan& plan) const override {
    for (int h = 0; h < plan.n_heads(); ++h) {
      plan.Score(h, at.mass[h]);
      plan.Budget(h, budget);
      plan.Protect(h, at.heads[h].size() - window, window);
    }
  }
  static inline int64_t budget = 0, window = 0;
};

constexpr MethodInfo kGiven = {.name = "given",
                               .role = Role::kBase,
                               .family = "evict",
                               .summary = "",
                               .paper = "",
                               .about = "",
                               .example = "given",
                               .params = {},
                               .make = [](const Params&) -> Result<std::unique_ptr<Method>> {
                                 return std::make_unique<Given>();
                               },
                               .scored = true};

// What stays of heads with these scores, in a layer of a model of 32.
std::vector<std::vector<int32_t>> Kept(const std::string& spec, const Scores& scores,
                                       int64_t budget = 0, int64_t window = 0, int layer = 0,
                                       int64_t n_generated = 0) {
  Given::budget = budget;
  Given::window = window;
  PagePool pool;
  std::vector<HeadCache> heads;
  std::vector<SlotRange> slots;
  for (const std::vector<float>& head : scores) {
    heads.emplace_back(pool, HeadFormat{.head_dim = 16});
    EXPECT_TRUE(heads.back().Append(static_cast<int64_t>(head.size()), 0, slots));
  }
  const MethodInfo* more[] = {&kGiven};
  const auto program = Program::Build(spec, more);
  if (!program) {
    ADD_FAILURE() << program.error().message;
    return {};
  }
  const auto n_heads = static_cast<int>(heads.size());
  const ModelInfo model{
      .n_layers = 32, .n_q_heads = n_heads, .n_kv_heads = n_heads, .head_dim = 16};
  const LayerView at{.model = model,
                     .layer = layer,
                     .moment = n_generated > 0 ? Moment::kDecode : Moment::kPromptEnd,
                     .n_prompt = heads[0].size() - n_generated,
                     .n_generated = n_generated,
                     .heads = heads,
                     .mass = scores};
  NoOps ops;
  LayerPlan plan(heads);
  (*program)->Compress(at, ops, plan);
  std::vector<std::vector<int32_t>> kept;
  for (int h = 0; h < n_heads; ++h) {
    kept.push_back(plan.Resolve(h).value_or(std::vector<int32_t>{-1}));  // -1: all
  }
  return kept;
}

const Scores kTwoHeads = {{.30f, .28f, .20f, .12f, .05f, .05f},
                          {.90f, .04f, .02f, .02f, .01f, .01f}};

TEST(AdaKv, SharesAddUpToWhatTheLayerHad) {
  EXPECT_THAT(Kept("adakv:floor=20% + given", kTwoHeads, 2),
              ElementsAre(ElementsAre(0, 1, 2), ElementsAre(0)));
  EXPECT_THAT(Kept("adakv:floor=100% + given", kTwoHeads, 2),
              ElementsAre(ElementsAre(0, 1), ElementsAre(0, 1)));
  EXPECT_THAT(Kept("adakv:floor=20% + given", {kTwoHeads[0], kTwoHeads[0]}, 2),
              ElementsAre(ElementsAre(0, 1), ElementsAre(0, 1)));
}

// The sheet's option: heads weigh .58 and .78, so the second one's .18 is above the first one's
// .20.
TEST(AdaKv, WeighsHeadsByWhatTheirShareHolds) {
  const Scores scores = {kTwoHeads[0], {.60f, .18f, .07f, .05f, .05f, .05f}};
  EXPECT_THAT(Kept("adakv:floor=20% + given", scores, 2),
              ElementsAre(ElementsAre(0, 1, 2), ElementsAre(0)));
  EXPECT_THAT(Kept("adakv:floor=20%,normalize=true + given", scores, 2),
              ElementsAre(ElementsAre(0, 1), ElementsAre(0, 1)));
  // The protected one is no candidate, and what is negative has no share to weigh.
  EXPECT_THAT(Kept("adakv:floor=20%,normalize=true + given", scores, 3, 1),
              ElementsAre(ElementsAre(0, 1, 5), ElementsAre(0, 1, 5)));
  const Scores negative = {{-.1f, -.2f, -.3f, -.9f}, {-.4f, -.5f, -.6f, -.7f}};
  EXPECT_EQ(Kept("adakv:normalize=true + given", negative, 2), Kept("adakv + given", negative, 2));
  EXPECT_EQ(Kept("adakv:normalize=true + given", {{0, 0, 0}, {1, 1, 0}}, 1),
            Kept("adakv + given", {{0, 0, 0}, {1, 1, 0}}, 1));
}

// What is safe stays the best there is for a wrapper outside, however little it weighs there.
TEST(AdaKv, WhatIsSafeIsSafeFromWrappersOutside) {
  // Of 8 each head's first four are safe at 50%, which weigh least.
  const Scores scores = {{.8f, .7f, .6f, .5f, .4f, .3f, .2f, .1f, .0f, .0f},
                         {.8f, .7f, .6f, .5f, .4f, .3f, .2f, .1f, .0f, .0f}};
  const auto kept = Kept("criticalkv:first=0 + adakv:variant=kvpress,floor=50% + given", scores, 8);
  for (const std::vector<int32_t>& head : kept) {
    EXPECT_EQ(head.size(), 8u);
    EXPECT_THAT(std::vector(head.begin(), head.begin() + 4), ElementsAre(0, 1, 2, 3));
  }
}

// A text of less than a chunk is the base's; a count is not exceeded but by a short last
// chunk.
TEST(ChunkKv, CountsChunks) {
  const auto n_kept = [](const std::string& chunk, int n, int64_t budget) {
    std::vector<float> scores(n);
    for (int i = 0; i < n; ++i) scores[i] = static_cast<float>(n - i);
    return Kept("chunkkv:chunk=" + chunk + " + given", {scores}, budget)[0].size();
  };
  EXPECT_EQ(n_kept("20", 19, 7), 7u);
  EXPECT_EQ(n_kept("20", 20, 7), 1u);  // -1: the only chunk, and all there is
  EXPECT_EQ(n_kept("20", 600, 119), 100u);
  EXPECT_EQ(n_kept("20", 600, 120), 120u);
  EXPECT_EQ(n_kept("20", 597, 298), 300u);  // half of 597, as a ratio has it: 15 of 30 chunks
}

TEST(AdaKv, FirstLayersShareEvenlyWhereAsked) {
  const auto even = ElementsAre(ElementsAre(0, 1), ElementsAre(0, 1));
  EXPECT_THAT(Kept("adakv:skip=2 + given", kTwoHeads, 2, 0, 1), even);
  EXPECT_THAT(Kept("adakv:skip=2 + given", kTwoHeads, 2, 0, 2),
              ElementsAre(ElementsAre(0, 1, 2), ElementsAre(0)));
}

TEST(AdaKv, ProtectedEntriesAreNotShared) {
  EXPECT_THAT(Kept("adakv:floor=20% + given", kTwoHeads, 3, 1),
              ElementsAre(ElementsAre(0, 1, 2, 5), ElementsAre(0, 5)));
}

// Heads that an earlier cut left with 100 and 20 entries, and a generated token each: the layer
// holds two budgets on, though 60 is no limit to the second head.
TEST(AdaKv, TheLayersSumStaysWhileGenerating) {
  const auto sizes = [](const std::string& spec, const Scores& scores) {
    std::vector<size_t> held;
    const auto kept = Kept(spec, scores, 60, 0, 0, 1);
    for (size_t h = 0; h < kept.size(); ++h) {
      const bool all = kept[h] == std::vector<int32_t>{-1};
      held.push_back(all ? scores[h].size() : kept[h].size());
    }
    return held;
  };
  const std::vector<float> low(101, .1f), high(101, .5f);
  const Scores second_is_high = {low, {high.begin(), high.begin() + 21}};
  const Scores first_is_high = {high, {low.begin(), low.begin() + 41}};
  const Scores few = {{low.begin(), low.begin() + 90}, {low.begin(), low.begin() + 30}};
  // Its share, .8 * 21 + .2 * 60, is more than the small head has: the other holds the rest.
  EXPECT_THAT(sizes("adakv + given", second_is_high), ElementsAre(99, 21));
  EXPECT_THAT(sizes("adakv:variant=kvpress + given", second_is_high), ElementsAre(99, 21));
  EXPECT_THAT(sizes("adakv + given", first_is_high), ElementsAre(93, 27));
  EXPECT_THAT(sizes("adakv:variant=kvpress + given", first_is_high), ElementsAre(101, 19));
  EXPECT_THAT(sizes("adakv + given", few), ElementsAre(90, 30));  // two budgets in all
  EXPECT_THAT(sizes("adakv:variant=kvpress + given", few), ElementsAre(90, 30));
}

// Budget 128, window 8, beta 20, 32 layers, 8000 entries: 234, 227, …, 17 and the window.
TEST(PyramidKv, FallsByEqualSteps) {
  const Scores scores = {std::vector<float>(8000, 1.0f)};
  int64_t sum = 0;
  for (int layer = 0; layer < 32; ++layer) {
    const auto kept = Kept("pyramidkv:beta=20 + given", scores, 128, 8, layer);
    EXPECT_EQ(kept[0].size(), 234u - 7u * layer + 8u);
    sum += static_cast<int64_t>(kept[0].size()) - 8;
  }
  EXPECT_EQ(sum, 4016);
}

// Budget 2048: 3978, 3853, …, 103 and the window; in all 65296 for 32 times 2040.
TEST(PyramidKv, FallsByEqualStepsAtLargeBudgets) {
  const Scores scores = {std::vector<float>(8000, 1.0f)};
  int64_t sum = 0;
  for (int layer = 0; layer < 32; ++layer) {
    const auto kept = Kept("pyramidkv:beta=20 + given", scores, 2048, 8, layer);
    EXPECT_EQ(kept[0].size(), 3978u - 125u * layer + 8u);
    sum += static_cast<int64_t>(kept[0].size()) - 8;
  }
  EXPECT_EQ(sum, 65296);
}

// The sheet's option: the same ends, and 32 * base in all; also where a first layer is all there
// is.
TEST(PyramidKv, KeepsTheTotalWhereAsked) {
  struct Case {
    int n;
    int64_t budget, first, last;
    const char* beta;
  };
  for (const Case& c : {Case{8000, 128, 234, 6, "20"}, Case{8000, 2048, 3978, 102, "20"},
                        Case{4200, 2048, 3978, 102, "20"}, Case{4085, 2048, 4077, 3, "1000"}}) {
    const Scores scores = {std::vector<float>(c.n, 1.0f)};
    int64_t sum = 0, before = c.n;
    for (int layer = 0; layer < 32; ++layer) {
      const auto spec = fmt::format("pyramidkv:beta={},exact_total=true + given", c.beta);
      const auto kept = Kept(spec, scores, c.budget, 8, layer)[0];
      const bool all = kept == std::vector<int32_t>{-1};
      const int64_t others = (all ? c.n : std::ssize(kept)) - 8;
      EXPECT_LE(others, before);
      before = others;
      sum += others;
      if (layer == 0) {
        EXPECT_EQ(others, c.first);
      } else if (layer == 31) {
        EXPECT_EQ(others, c.last);
      }
    }
    EXPECT_EQ(sum, 32 * (c.budget - 8)) << c.n << " " << c.budget;
  }
}

// n below the budget: all stay; below twice the base: no ramp; a first layer of more than there is:
// all of it, and the last gets what that leaves.
TEST(PyramidKv, TakesTheBranchesOfTheSheet) {
  const auto kept = [](const std::string& spec, int n, int layer) {
    return Kept(spec, {std::vector<float>(n, 1.0f)}, 2048, 8, layer)[0].size();
  };
  for (int layer : {0, 16, 31}) {
    EXPECT_EQ(kept("pyramidkv + given", 2048, layer), 1u);  // -1: all
    EXPECT_EQ(kept("pyramidkv + given", 4079, layer), 2048u);
  }
  // 2 * 2040 - 2040 / 1000 = 4078 of 4077: min 3, step (4077 - 3) / 31 = 131.
  EXPECT_EQ(kept("pyramidkv:beta=1000 + given", 4085, 0), 1u);
  EXPECT_EQ(kept("pyramidkv:beta=1000 + given", 4085, 31), 4077u - 31 * 131 + 8);
}

// However little a head's scores are, it has its floor; a flat head has more than a peaked one.
TEST(AdaKv, FloorsHoldAndFlatHeadsGetMore) {
  const std::vector<float> flat(50, .02f);
  std::vector<float> peaked(50, .001f), none(50, 0.0f);
  peaked[20] = .95f;
  for (const int64_t n_generated : {0, 5}) {
    for (const double floor : {.2, .5}) {
      const auto spec = fmt::format("adakv:floor={} + given", floor);
      const auto kept = Kept(spec, {flat, peaked, none}, 10, 0, 0, n_generated);
      EXPECT_EQ(kept[0].size() + kept[1].size() + kept[2].size(), 30u);
      for (const auto& head : kept) EXPECT_GE(head.size(), static_cast<size_t>(10 * floor));
      EXPECT_GT(kept[0].size(), kept[1].size());
      EXPECT_GE(kept[1].size(), kept[2].size());
    }
  }
}

TEST(Streaming, KeepsTheFirstAndTheLast) {
  EXPECT_THAT(Kept("streaming:budget=5,sinks=2", {std::vector<float>(7)}),
              ElementsAre(ElementsAre(0, 1, 4, 5, 6)));
}

// With the next token the oldest of the window goes; `renumber` gives slots as positions.
TEST(Streaming, SlidesWithEveryToken) {
  for (const bool renumber : {false, true}) {
    ActingLayer layer(std::string(renumber ? "renumber + " : "") + "streaming:budget=5,sinks=2");
    layer.Append(RandomRows(7, 1), RandomRows(7, 2));
    layer.Act({});
    EXPECT_THAT(layer.head().Orders(), ElementsAre(0, 1, 4, 5, 6));
    layer.Append(RandomRows(1, 3), RandomRows(1, 4));
    layer.Act({}, Moment::kDecode);
    EXPECT_THAT(layer.head().Orders(), ElementsAre(0, 1, 5, 6, 7));
    if (renumber) {
      EXPECT_THAT(layer.head().Positions(), ElementsAre(0, 1, 2, 3, 4));
    } else {
      EXPECT_THAT(layer.head().Positions(), ElementsAre(0, 1, 5, 6, 7));
    }
  }
}

// Uniform attention over four tokens: the first has the most mass, the last is recent.
TEST(H2o, KeepsHeavyHittersAndTheRecent) {
  const Scores mass = {{2.0833f, 1.0833f, .5833f, .25f}};
  EXPECT_THAT(Kept("h2o:budget=2,recent=50%", mass), ElementsAre(ElementsAre(0, 3)));
  EXPECT_THAT(Kept("h2o:budget=2,variant=kvpress", mass), ElementsAre(ElementsAre(0, 1)));
}

// Head budgets leave heads with fewer entries than are recent: those keep all.
TEST(RecentEntries, AreAllThereWhereAHeadHasFewer) {
  const Scores mass = {std::vector<float>(4, 1.0f), std::vector<float>(40, 1.0f)};
  for (const char* spec : {"h2o:budget=20", "keyformer:budget=20,recent=10"}) {
    const auto kept = Kept(spec, mass);
    EXPECT_THAT(kept[0], ElementsAre(-1)) << spec;
    ASSERT_EQ(kept[1].size(), 20u) << spec;
    EXPECT_EQ(kept[1][10], 30) << spec;
  }
}

// Trap 3.23: sums favour what stood there first. Ten tokens that attend to all they see alike, but
// twice as much to a needle planted at 6: 2/8 + 2/9 + 2/10 + 2/11 from four queries, where entry 3
// has 1.04 from seven.
TEST(H2o, ALateNeedleNeedsItsAgeDividedOut) {
  const Scores mass = {{2.877f, 1.877f, 1.377f, 1.044f, .794f, .594f, .854f, .302f, .191f, .091f}};
  const std::string spec = "h2o:budget=6,recent=34%";
  EXPECT_THAT(Kept(spec, mass), ElementsAre(ElementsAre(0, 1, 2, 3, 8, 9)));
  EXPECT_THAT(Kept(spec + ",normalise=true", mass), ElementsAre(ElementsAre(0, 1, 2, 6, 8, 9)));
}

// While generating the same: without it what was heavy in the prompt stays for ever. A prompt of 8,
// and 4 generated tokens, of which the first gets .4 from each query since.
TEST(H2o, WhatStaysIsFrozenUnlessAgeIsDividedOut) {
  const Scores mass = {{2.4f, 2.2f, 2, .9f, .9f, .9f, .8f, .7f, 1.6f, .3f, .2f, .1f}};
  const std::string spec = "h2o:budget=5,recent=40%";
  EXPECT_THAT(Kept(spec, mass, 0, 0, 0, 4), ElementsAre(ElementsAre(0, 1, 2, 10, 11)));
  EXPECT_THAT(Kept(spec + ",normalise=true", mass, 0, 0, 0, 4),
              ElementsAre(ElementsAre(0, 1, 8, 10, 11)));
}

// The sheet's row, as the only one: without noise and with.
TEST(Keyformer, KeepsKeyTokensAndTheRecent) {
  const std::string spec = "keyformer:budget=4,recent=2";
  EXPECT_THAT(Kept(spec, {{.5151f, .0697f, .1895f, .0256f, .1149f, .0851f}}),
              ElementsAre(ElementsAre(0, 2, 4, 5)));
  EXPECT_THAT(Kept(spec, {{.4131f, .2267f, .1019f, .1375f, .0834f, .0375f}}),
              ElementsAre(ElementsAre(0, 1, 4, 5)));
}

// A prompt of 8 and 3 generated tokens, of which the first has been looked at most: it has left the
// window of 2 and stays, but for the form that the paper's code has.
TEST(Keyformer, AGeneratedTokenBecomesAKeyToken) {
  const Scores mass = {{3, 1, 2, 1, 1, 1, 1, 1, 9, 0, 0}};
  EXPECT_THAT(Kept("keyformer:budget=4,recent=2", mass, 0, 0, 0, 3),
              ElementsAre(ElementsAre(0, 8, 9, 10)));
  EXPECT_THAT(Kept("keyformer:budget=4,recent=2,freeze=true", mass, 0, 0, 0, 3),
              ElementsAre(ElementsAre(0, 1, 9, 10)));
  EXPECT_THAT(
      Kept("keyformer:budget=4,recent=2,normalise=true", {{9, 8, 6.2f, 1, 1, 1}}, 0, 0, 0, 2),
      ElementsAre(ElementsAre(1, 2, 4, 5)));
}

// Chunks of two by mean .29, .16, .05 and .47, .02, .01: both heads keep the first.
TEST(ChunkKv, KeepsWholeChunksInAllHeads) {
  EXPECT_THAT(Kept("chunkkv:chunk=2 + given", kTwoHeads, 3),
              ElementsAre(ElementsAre(0, 1), ElementsAre(0, 1)));
  EXPECT_THAT(Kept("chunkkv:chunk=4 + given", kTwoHeads, 3),
              ElementsAre(ElementsAre(0, 1, 2, 3), ElementsAre(0, 1, 2, 3)));
}

TEST(Protect, StaysWithinTheBudgetTheNewestFirst) {
  EXPECT_THAT(Kept("protect:sinks=1,window=2 + given", {{.1f, .9f, .8f, .2f, .3f}}, 4),
              ElementsAre(ElementsAre(0, 1, 3, 4)));
  EXPECT_THAT(Kept("protect:sinks=1,window=2 + given", {{.1f, .9f, .8f, .2f, .3f}}, 2),
              ElementsAre(ElementsAre(3, 4)));
}

TEST(Stacks, ThatMakeNoSenseAreRefused) {
  const auto error = [](std::string_view spec) {
    const auto program = Program::Build(spec);
    return program ? std::string() : program.error().message;
  };
  EXPECT_THAT(error("adakv + streaming"), testing::HasSubstr("'streaming' writes none"));
  EXPECT_THAT(error("protect + protect + knorm"), testing::HasSubstr("twice"));
  EXPECT_EQ(error("decode + expected"), "");
  EXPECT_THAT(error("decode + renumber + snapkv"), testing::HasSubstr("renumbers"));
  EXPECT_EQ(error("decode + renumber + tova"), "");
}

}  // namespace
}  // namespace kvasir
