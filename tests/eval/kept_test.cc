#include "eval/kept.h"

#include <cmath>

#include "eval/record.h"
#include "tests/eval/eval_test_util.h"

namespace kvasir::eval {
namespace {

std::unique_ptr<SessionImpl> Read(const std::shared_ptr<LoadedModel>& model, const char* spec) {
  std::vector<int32_t> ids;
  for (int i = 0; i < 400; ++i) ids.push_back(4 + (i * 37) % 500);
  auto session = SessionImpl::Open(model, {.kv = spec});
  if (!session || !(*session)->Feed(ids, {})) ADD_FAILURE() << spec;
  return std::move(*session);
}

TEST(KeptSummary, ShowsSinksAndWindowAndIsSmall) {
  const auto model = TinyModel();
  const auto session = Read(model, "streaming:budget=104");
  const Json kept = KeptSummary(session->cache(), 400);
  ASSERT_EQ(kept["entries"].size(), 4u);  // layers
  EXPECT_EQ(kept["entries"][0], Json({104, 104}));
  const auto line = kept["map"][0].get<std::string>();
  EXPECT_EQ(line.size(), kept["bins"].get<size_t>());
  EXPECT_NE(line.front(), '0');  // four sinks
  EXPECT_EQ(line[line.size() / 2], '0');
  EXPECT_EQ(line.back(), '9');
  EXPECT_LT(kept.dump().size(), 2048u);
  const Json all = KeptSummary(Read(model, "full")->cache(), 400);
  for (const Json& full : all["map"]) {
    EXPECT_EQ(full.get<std::string>().find_first_not_of('9'), std::string::npos);
  }
}

TEST(RecallOf, IsTheShareOfEvidenceThatHeadsHold) {
  const auto session = Read(TinyModel(), "streaming:budget=104");  // 0 … 3 and 300 … 399
  EXPECT_DOUBLE_EQ(RecallOf(session->cache(), std::vector<TokenSpan>{{310, 320}}).mean, 1);
  EXPECT_DOUBLE_EQ(RecallOf(session->cache(), std::vector<TokenSpan>{{100, 120}}).mean, 0);
  const Recall half = RecallOf(session->cache(), std::vector<TokenSpan>{{290, 310}});
  EXPECT_DOUBLE_EQ(half.mean, 0.5);
  EXPECT_DOUBLE_EQ(half.best_head, 0.5);
  EXPECT_THAT(half.by_layer, testing::Each(0.5));
}

// p = (.7, .2, .1), q = (.6, .3, .1): KL(p || q) = 0.026812 nats.
TEST(TextDistance, IsInNats) {
  const std::vector<float> p = {std::log(0.7f), std::log(0.2f), std::log(0.1f)};
  const std::vector<float> q = {std::log(0.6f), std::log(0.3f), std::log(0.1f)};
  TextDistance distance;
  distance.Add(1, Distribution(p), q);
  distance.Add(2, Distribution(p), p);
  const Json figures = distance.Figures();
  EXPECT_NEAR(figures["kl_mean"].get<double>(), 0.026812 / 2, 1e-6);
  EXPECT_NEAR(figures["kl_max"].get<double>(), 0.026812, 1e-6);
  EXPECT_NEAR(figures["nll"].get<double>(), -(std::log(0.3) + std::log(0.1)) / 2, 1e-6);
  EXPECT_NEAR(figures["perplexity"].get<double>(), 1 / std::sqrt(0.03), 1e-5);
  EXPECT_EQ(figures["top1"], 1.0);
  EXPECT_EQ(figures["first_divergence"], 2);  // none: as many as there are positions
}

TEST(TextTasks, FullIsAtNoDistanceFromItself) {
  const auto model = TinyModel();
  for (const char* task : {"kl", "attention", "ppl_strided", "ppl_sliding"}) {
    const RunOptions options = {.tasks = {TheTask(task)},
                                .lengths = {400},
                                .n_samples = 2,
                                .specs = {"full", "streaming:budget=20%"}};
    ResultFile results;
    RunAll(model, options, results);
    ASSERT_EQ(results.outcomes().size(), 4u);
    const auto& full = results.outcomes()[0].figures;
    EXPECT_EQ(full.at("kl_max"), 0) << task;
    EXPECT_EQ(full.at("top1"), 1) << task;
    EXPECT_EQ(full.at("nll"), full.at("nll_full")) << task;
    EXPECT_GT(results.outcomes()[1].figures.at("kl_mean"), 0) << task;
    EXPECT_EQ(results.outcomes()[1].figures.at("nll_full"), full.at("nll")) << task;
    EXPECT_EQ(full.at("attention_error"), 0) << task;
    EXPECT_GT(results.outcomes()[1].figures.at("attention_error"), 0.01) << task;
  }
}

}  // namespace
}  // namespace kvasir::eval
