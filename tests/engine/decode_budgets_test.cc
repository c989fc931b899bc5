// Budgets hold while generating too: those that wrappers share out, and those that `decode` meets
// every n tokens.
#include <numeric>

#include "methods/registry.h"
#include "tests/engine/contract_specs.h"
#include "tests/engine/engine_test_util.h"
#include "tests/engine/made_gates.h"

namespace kvasir::testing_ {
namespace {

class DecodeBudgets : public testing::Test {
 protected:
  using Sizes = std::vector<std::vector<int64_t>>;  // [layers][kv_heads]

  void SetUp() override { KeepMadeGates(*model_); }

  static Sizes Held(const SessionImpl& session) {
    Sizes sizes(session.cache().n_layers());
    for (int l = 0; l < session.cache().n_layers(); ++l) {
      for (const HeadCache& head : session.cache().layer(l)) sizes[l].push_back(head.size());
    }
    return sizes;
  }
  static int64_t Sum(const std::vector<int64_t>& heads) {
    return std::accumulate(heads.begin(), heads.end(), int64_t{0});
  }
  static std::vector<int64_t> Layers(const Sizes& sizes) {
    std::vector<int64_t> layers;
    for (const std::vector<int64_t>& heads : sizes) layers.push_back(Sum(heads));
    return layers;
  }
  std::unique_ptr<SessionImpl> Fed(const std::string& spec) {
    auto session = OpenSession(model_, {.kv = spec});
    EXPECT_TRUE(session->Feed(prompt_, {}));
    return session;
  }

  std::shared_ptr<LoadedModel> model_ = LoadModel(GoldenModel("llama.gguf"));  // 4 layers, 2 heads
  std::vector<int32_t> prompt_ = RandomIds(230, 51), forced_ = RandomIds(150, 52);
};

TEST_F(DecodeBudgets, OfALayerStaysWhereHeadsShareIt) {
  for (const char* spec :
       {"adakv + h2o:budget=60,recent=0", "adakv + h2o:budget=60", "adakv + tova:budget=60",
        "adakv:variant=kvpress + h2o:budget=60,recent=0", "criticalkv + adakv + h2o:budget=60",
        "adakv + keyformer:budget=60,recent=20", "adakv + trimkv:budget=60"}) {
    const auto session = Fed(spec);
    for (int32_t id : forced_) {
      EXPECT_EQ(Layers(Held(*session)), (std::vector<int64_t>(4, 120))) << spec;
      ASSERT_TRUE(session->Step(id));
    }
  }
}

TEST_F(DecodeBudgets, FallOverTheLayersAsAfterThePrompt) {
  const auto tova = Fed("pyramidkv:beta=10 + tova:budget=60");
  EXPECT_EQ(Layers(Held(*tova)), (std::vector<int64_t>{228, 156, 84, 12}));
  for (const char* spec :
       {"pyramidkv:beta=10 + tova:budget=60", "pyramidkv + h2o:budget=60,recent=10%",
        "pyramidkv:variant=kvpress,beta=8 + h2o:budget=60,recent=0",
        "adakv + pyramidkv:beta=10 + tova:budget=60"}) {
    const auto session = Fed(spec);
    const std::vector<int64_t> after_prompt = Layers(Held(*session));
    EXPECT_GT(after_prompt[0], after_prompt[3] + 100) << spec;
    for (int32_t id : forced_) {
      ASSERT_TRUE(session->Step(id));
      EXPECT_EQ(Layers(Held(*session)), after_prompt) << spec;
    }
  }
  // What waits between cuts waits in layers of any budget.
  const auto waits = Fed("pyramidkv:beta=10 + rkv:budget=60,every=20");
  const std::vector<int64_t> after_prompt = Layers(Held(*waits));
  for (int i = 0; i < 60; ++i) ASSERT_TRUE(waits->Step(forced_[i]));
  EXPECT_EQ(Layers(Held(*waits)), after_prompt);
  ASSERT_TRUE(waits->Step(forced_[60]));
  for (int l = 0; l < 4; ++l) EXPECT_EQ(Layers(Held(*waits))[l], after_prompt[l] + 2);
}

// Every base, with a budget of 40 in its own words.
std::string BaseOf40(const MethodInfo& base, LoadedModel& model) {
  if (base.name == "simlayer") return "simlayer:threshold=0,sinks=4,recent=36";
  if (base.name == "razor") {
    return fmt::format("razor:heads={},budget=40,induction=0,echo=0", RazorFile(model));
  }
  std::string spec = fmt::format("{}:budget=40", base.name);
  if (base.name == "finch") spec += ",renumber=false";
  const auto has_window = [](const ParamInfo& param) { return param.name == "window"; };
  if (std::ranges::any_of(base.params, has_window)) spec += ",window=8";
  return spec;
}

TEST_F(DecodeBudgets, OfEveryBaseAreMetByDecode) {
  int n_bases = 0;
  for (const MethodInfo* base : AllMethods()) {
    if (base->role != Role::kBase || base->name == "full" || base->stands_for) continue;
    ++n_bases;
    // Whole windows of 8 go, and those that earlier cuts left short count as whole.
    const int64_t most = 40 + 8 + (base->name == "windowkv" ? 7 : 0);
    for (const char* when : {"", ",when=prompt", ",when=always"}) {
      const std::string spec = "decode:every=8 + " + BaseOf40(*base, *model_) + when;
      if (!Program::Build(spec)) continue;  // it has no such parameter
      const auto session = Fed(spec);
      for (int i = 0; i < std::ssize(forced_); ++i) {
        ASSERT_TRUE(session->Step(forced_[i]));
        if (i < 7) continue;  // the first cut is yet to come
        for (const std::vector<int64_t>& heads : Held(*session)) {
          for (int64_t held : heads) ASSERT_LE(held, most) << spec << " after " << i + 1;
        }
      }
      if (!base->scored) continue;
      const auto shared = Fed("decode:every=8 + adakv + " + BaseOf40(*base, *model_) + when);
      for (int i = 0; i < std::ssize(forced_); ++i) {
        ASSERT_TRUE(shared->Step(forced_[i]));
        for (int64_t held : Layers(Held(*shared))) {
          ASSERT_TRUE(i < 7 || held <= 2 * most) << "adakv, " << spec << " after " << i + 1;
        }
      }
    }
  }
  EXPECT_GE(n_bases, 16);
}

}  // namespace
}  // namespace kvasir::testing_
