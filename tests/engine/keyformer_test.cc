// Keyformer in a session, against its sheet.
#include "tests/engine/engine_test_util.h"

namespace kvasir::testing_ {
namespace {

class Keyformer : public testing::Test {
 protected:
  std::vector<std::vector<float>> Run(std::string_view spec) {
    auto session = OpenSession(model_, {.kv = std::string(spec)});
    return Feed(*session, prompt_, forced_);
  }
  std::shared_ptr<LoadedModel> model_ = LoadModel(GoldenModel("llama.gguf"));
  std::vector<int32_t> prompt_ = RandomIds(150, 21), forced_ = RandomIds(30, 22);
};

TEST_F(Keyformer, WithoutNoiseAndTemperatureIsH2o) {
  EXPECT_EQ(Run("keyformer:budget=60,recent=30,noise=off,tau_end=1"),
            Run("h2o:budget=60,recent=50%"));
  // A softmax of its own that differs by rounding alone: the temperature that nobody waits for.
  const auto own = Run("keyformer:budget=60,recent=30,noise=off,tau_end=1.001,steps=1000000000");
  const auto plain = Run("h2o:budget=60,recent=50%");
  for (size_t i = 0; i < own.size(); ++i) {
    for (size_t c = 0; c < own[i].size(); ++c) ASSERT_NEAR(own[i][c], plain[i][c], 1e-4);
  }
}

TEST_F(Keyformer, OutputsAreThoseOfFullWhateverTheSeedWhileNothingIsDropped) {
  const auto full = Run("full");
  for (const char* noise : {"token", "element", "element,shared=true"}) {
    for (const char* seed : {"0", "17", "4294967295"}) {
      EXPECT_EQ(Run(fmt::format("keyformer:budget=180,noise={},seed={}", noise, seed)), full);
    }
  }
}

TEST_F(Keyformer, SeedsAndKindsOfNoiseKeepDifferentEntries) {
  const auto base = Run("keyformer:budget=20,recent=5");
  EXPECT_NE(Run("keyformer:budget=20,recent=5,seed=1"), base);
  EXPECT_NE(Run("keyformer:budget=20,recent=5,noise=element"), base);
  EXPECT_NE(Run("keyformer:budget=20,recent=5,noise=element,shared=true"),
            Run("keyformer:budget=20,recent=5,noise=element"));
}

TEST_F(Keyformer, HoldsItsBudgetAndTheLastEntries) {
  auto session = OpenSession(model_, {.kv = "keyformer:budget=40,recent=25%"});
  ASSERT_TRUE(session->Feed(prompt_, {}));
  for (size_t step = 0;; ++step) {
    const auto n = static_cast<int32_t>(prompt_.size() + step);
    for (int l = 0; l < session->cache().n_layers(); ++l) {
      for (const HeadCache& head : session->cache().layer(l)) {
        const std::vector<int32_t> orders = head.Orders();
        ASSERT_EQ(orders.size(), 40u);
        for (int i = 0; i < 10; ++i) ASSERT_EQ(orders[30 + i], n - 10 + i);
      }
    }
    if (step == forced_.size()) break;
    ASSERT_TRUE(session->Step(forced_[step]));
  }
}

TEST(MassRule, TemperatureRisesToItsEnd) {
  const MassRule rule{.tau_first = 1, .tau_last = 2, .tau_step = 1.0f / 128};
  EXPECT_EQ(rule.Tau(0), 1.0f);
  EXPECT_EQ(rule.Tau(64), 1.5f);
  EXPECT_EQ(rule.Tau(128), 2.0f);
  EXPECT_EQ(rule.Tau(200), 2.0f);
}

}  // namespace
}  // namespace kvasir::testing_
