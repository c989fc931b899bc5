// What acts while generating too: `when=always` of methods that are otherwise done with the prompt.
#include <algorithm>

#include "tests/engine/engine_test_util.h"

namespace kvasir::testing_ {
namespace {

class WhenAlways : public testing::Test {
 protected:
  std::unique_ptr<SessionImpl> Fed(const std::string& spec) {
    auto session = OpenSession(model_, {.kv = spec});
    EXPECT_TRUE(session->Feed(prompt_, {}));
    return session;
  }
  std::shared_ptr<LoadedModel> model_ = LoadModel(GoldenModel("llama.gguf"));
  std::vector<int32_t> prompt_ = RandomIds(200, 31), forced_ = RandomIds(300, 32);
};

TEST_F(WhenAlways, ExpectedCutsBackOnce128TokensAreAboveItsBudget) {
  const auto always = Fed("expected:budget=40,when=always"), prompt = Fed("expected:budget=40");
  const HeadCache& head = always->cache().layer(2)[1];
  EXPECT_EQ(head.Orders(), prompt->cache().layer(2)[1].Orders());
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(always->Step(forced_[i]) && prompt->Step(forced_[i]));
    EXPECT_EQ(head.size(), 40 + (i + 1) % 128) << i;
    EXPECT_EQ(prompt->cache().layer(2)[1].size(), 41 + i);
  }
  EXPECT_EQ(head.Orders()[3], 3);  // the sinks
  const auto wrapped = Fed("decode:every=100 + expected:budget=40");
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(wrapped->Step(forced_[i]));
  EXPECT_EQ(wrapped->cache().layer(2)[1].size(), 40);
}

// Queries of generated tokens count: cutting one text at once or as prompt and answer is the same
// as long as nothing went in between.
TEST_F(WhenAlways, ExpectedLearnsFromGeneratedQueries) {
  auto stepped = OpenSession(model_, {.kv = "decode:every=100,prompt=false + expected:budget=40"});
  auto at_once = OpenSession(model_, {.kv = "expected:budget=40"});
  ASSERT_TRUE(stepped->Feed(prompt_, {}));
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(stepped->Step(forced_[i]));
  std::vector<int32_t> text = prompt_;
  text.insert(text.end(), forced_.begin(), forced_.begin() + 100);
  ASSERT_TRUE(at_once->Feed(text, {}));
  for (int l = 0; l < 4; ++l) {
    EXPECT_EQ(stepped->cache().layer(l)[0].Orders(), at_once->cache().layer(l)[0].Orders()) << l;
  }
}

TEST_F(WhenAlways, LazyLayersStaySmallAndOthersWhole) {
  const auto session = Fed("simlayer:threshold=0.01,recent=32,when=always");
  const auto prompt = Fed("simlayer:threshold=0.01,recent=32");
  const auto none = Fed("simlayer:threshold=1,recent=32,when=always");
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(session->Step(forced_[i]) && prompt->Step(forced_[i]) && none->Step(forced_[i]));
  }
  for (int l = 0; l < 4; ++l) {
    const std::vector<int32_t> orders = session->cache().layer(l)[0].Orders();
    ASSERT_EQ(orders.size(), 35u);
    EXPECT_EQ(orders[3], 3);
    EXPECT_EQ(orders[4], 250 - 31);
    EXPECT_EQ(orders.back(), 249);
    EXPECT_EQ(prompt->cache().layer(l)[0].size(), 35 + 50);
    EXPECT_EQ(none->cache().layer(l)[0].size(), 250);
  }
}

TEST_F(WhenAlways, WindowsAreWholeInEveryChoice) {
  const auto session = Fed("windowkv:budget=80,size=8,window=16,layers=2,pyramid=flat,when=always");
  int n_cuts = 0;
  int64_t before = session->cache().layer(0)[0].size();
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(session->Step(forced_[i]));
    const HeadCache& head = session->cache().layer(0)[0];
    if (head.size() > before) {
      before = head.size();
      continue;
    }
    before = head.size();
    ++n_cuts;
    const std::vector<int32_t> orders = head.Orders();
    EXPECT_EQ(session->cache().layer(1)[1].Orders(), orders);  // the group's choice
    EXPECT_LE(orders.size(), 80u + 7);
    const int32_t end = 200 + i + 1, first_of_last = end - 16;
    for (int32_t order = 0; order < end; ++order) {
      const bool in = std::ranges::binary_search(orders, order);
      if (order >= first_of_last || order < 8) {
        EXPECT_TRUE(in) << order;
      } else if (order / 8 == (order + 1) / 8 && order + 1 < first_of_last) {
        EXPECT_EQ(in, std::ranges::binary_search(orders, order + 1)) << order << " at " << end;
      }
    }
  }
  EXPECT_GE(n_cuts, 3);
  // A further turn is cut too.
  ASSERT_TRUE(session->Feed(RandomIds(200, 33), {}));
  EXPECT_LE(session->cache().layer(0)[0].size(), 80 + 7);
}

// What it takes to go on acting is saved and restored.
TEST_F(WhenAlways, SavedSessionsGoOnAlike) {
  const std::string path = testing::TempDir() + "/kvasir_when_always.bin";
  for (const char* spec : {"expected:budget=40,when=always", "decode:every=50 + expected:budget=40",
                           "simlayer:threshold=0.01,recent=32,when=always",
                           "windowkv:budget=80,window=16,layers=2,when=always",
                           "think:ratio=50% + mikv:lo_bits=2 + h2o:budget=20%"}) {
    const auto session = Fed(spec);
    for (int i = 0; i < 60; ++i) ASSERT_TRUE(session->Step(forced_[i]));
    ASSERT_TRUE(session->Save(path));
    const auto loaded = OpenSession(model_, {.kv = spec});
    ASSERT_TRUE(loaded->Load(path)) << spec;
    for (int i = 60; i < 220; ++i) {
      ASSERT_TRUE(session->Step(forced_[i]) && loaded->Step(forced_[i]));
      ASSERT_TRUE(std::ranges::equal(session->logits(), loaded->logits())) << spec << " " << i;
    }
  }
}

}  // namespace
}  // namespace kvasir::testing_
