// The tests of the method's sheet that need no model.
#include <gmock/gmock.h>

#include <numeric>

#include "tests/methods/acting.h"

namespace kvasir {
namespace {

using testing::HasSubstr;

// Scores that fall by head, so that the first heads retrieve; echo rises.
SideFile HeadFile(int n_layers, int n_heads) {
  SideFile file{
      .path = "heads.safetensors", .kind = "razor-heads", .model = {}, .notes = {}, .tensors = {}};
  SideTensor induction{{n_layers, n_heads}, {}}, echo = induction;
  for (int i = 0; i < n_layers * n_heads; ++i) {
    induction.values.push_back(1.0f - 0.001f * static_cast<float>(i));
    echo.values.push_back(0.001f * static_cast<float>(i));
  }
  file.tensors["induction"] = induction;
  file.tensors["echo"] = echo;
  return file;
}

Status Bind(ActingLayer& layer, const SideFile& file) {
  return layer.program().Bind(layer.model(),
                              [&](const SideFileWish&) -> Result<SideFile> { return file; });
}

// Which of a model's heads are kept whole.
int64_t CountWhole(const std::string& spec, int n_layers, int n_heads, const SideFile& file) {
  int64_t whole = 0;
  for (int l = 0; l < n_layers; ++l) {
    ActingLayer layer(spec, n_heads, n_layers, l);
    EXPECT_TRUE(Bind(layer, file));
    layer.Append(RandomRows(40, 1), RandomRows(40, 2));
    layer.Act(std::vector<float>(40));
    for (int h = 0; h < n_heads; ++h) whole += layer.head(h).size() == 40;
  }
  return whole;
}

TEST(Razor, TakesTheSharesOfHeads) {
  SideFile file = HeadFile(32, 8);
  const std::string spec = "razor:min_buffer=10,share=0";
  EXPECT_EQ(CountWhole(spec, 32, 8, file), 36 + 3);  // no head is best at both
  EXPECT_EQ(CountWhole(spec + ",echo=0", 32, 8, file), 36);
  EXPECT_EQ(CountWhole(spec + ",induction=0", 32, 8, file), 3);
  EXPECT_EQ(CountWhole(spec + ",induction=1", 32, 8, file), 256);
  file.tensors["echo"] = file.tensors["induction"];
  EXPECT_EQ(CountWhole(spec, 32, 8, file), 36);  // the best at both
  // Equal scores: the lower (layer, head), and no more than the share.
  for (auto& [name, tensor] : file.tensors)
    std::fill(tensor.values.begin(), tensor.values.end(), 1.0f);
  EXPECT_EQ(CountWhole(spec, 32, 8, file), 36);
  // Layers with a window are not ranked: 16 of 32 are left, 14 % of 128.
  for (auto& [name, tensor] : file.tensors) std::fill_n(tensor.values.begin(), 128, -1.0f);
  EXPECT_EQ(CountWhole(spec, 32, 8, file), 18);
}

TEST(Razor, KeepsSinksBufferAndOneMore) {
  ActingLayer layer("razor:min_buffer=100,share=20%,induction=0,echo=0", 1);
  ASSERT_TRUE(Bind(layer, HeadFile(1, 1)));
  layer.Append(RandomRows(1000, 1), RandomRows(1000, 2));
  layer.Act(std::vector<float>(1000));
  EXPECT_EQ(layer.head().size(), 4 + 200 + 1);
  EXPECT_EQ(layer.head().n_folded(), 1000 - 204);
  const std::vector<int32_t> orders = layer.head().Orders();
  EXPECT_THAT((std::vector<int32_t>{orders.begin(), orders.begin() + 6}),
              testing::ElementsAre(0, 1, 2, 3, 4, 800));
  EXPECT_EQ(orders.back(), 999);
}

TEST(Razor, ShortTextsAreKeptWhole) {
  ActingLayer layer("razor:min_buffer=100,share=20%");
  ASSERT_TRUE(Bind(layer, HeadFile(1, 1)));
  layer.Append(RandomRows(104, 1), RandomRows(104, 2));
  layer.Act(std::vector<float>(104));
  EXPECT_EQ(layer.head().size(), 104);
  EXPECT_EQ(layer.head().n_folded(), 0);
}

// The sheet's ten thousand tokens, scaled down by ten with the buffer.
TEST(Razor, StaysBoundedWhileGenerating) {
  ActingLayer layer("razor:min_buffer=150,share=20%,induction=0,echo=0");
  ASSERT_TRUE(Bind(layer, HeadFile(1, 1)));
  layer.Append(RandomRows(500, 1), RandomRows(500, 2));
  layer.Act(std::vector<float>(500));
  for (int64_t n = 501; n <= 1500; ++n) {
    layer.Append(RandomRows(1, static_cast<uint32_t>(n)), RandomRows(1, 7));
    layer.Act(std::vector<float>(layer.head().size()), Moment::kDecode);
    const HeadCache& head = layer.head();
    ASSERT_LE(head.size(), 4 + std::max<int64_t>(150, n / 5) + 64 + 1);
    ASSERT_GE(head.size(), 4 + std::max<int64_t>(150, n / 5) + 1);
    ASSERT_EQ(head.n_folded() + head.size() - 1, n);
    const std::vector<float> counts = head.Column(kCountColumn);
    ASSERT_EQ(std::accumulate(counts.begin(), counts.end(), 0.0f), static_cast<float>(n));
  }
}

TEST(Razor, PromptOnlyEvictsNothingLater) {
  ActingLayer layer("razor:min_buffer=50,share=0,induction=0,echo=0,when=prompt");
  ASSERT_TRUE(Bind(layer, HeadFile(1, 1)));
  EXPECT_FALSE(layer.program().needs(layer.model()).at_decode);
}

TEST(Razor, CompensationCountsOnceOrIsOff) {
  for (const auto& [word, size, bias] :
       {std::tuple("one", 55, 0.0f), std::tuple("off", 54, 0.0f)}) {
    ActingLayer layer("razor:min_buffer=50,share=0,induction=0,echo=0,compensate=" +
                      std::string(word));
    ASSERT_TRUE(Bind(layer, HeadFile(1, 1)));
    layer.Append(RandomRows(200, 1), RandomRows(200, 2));
    layer.Act(std::vector<float>(200));
    EXPECT_EQ(layer.head().size(), size);
    EXPECT_EQ(layer.head().Column(kBiasColumn)[4], bias);
  }
}

// Section 6: F N + (H - F) (min(N, N0 + Lb) + 1) entries of 2 d b bytes, to the byte; the pool
// holds those in whole pages.
TEST(Razor, MemoryIsWhatTheFormulaSays) {
  for (const int64_t n : {8000, 20000, 128000}) {
    PagePool pool;
    const HeadFormat format{.head_dim = 128};
    const ModelInfo model{.n_layers = 1, .n_q_heads = 8, .n_kv_heads = 8, .head_dim = 128};
    auto built = Program::Build("razor");
    ASSERT_TRUE(built);
    ASSERT_TRUE((*built)->Bind(model, [](const SideFileWish&) -> Result<SideFile> {
      return HeadFile(1, 8);  // round(14 % of 8) = 1 and round(1 % of 8) = 0
    }));
    std::vector<HeadCache> heads;
    std::vector<SlotRange> slots;
    for (int h = 0; h < 8; ++h) {
      heads.emplace_back(pool, format);
      ASSERT_TRUE(heads[h].Append(n, 0, slots));  // zeros: nothing here looks at numbers
    }
    const LayerView at{.model = model, .n_prompt = n, .heads = heads, .mass = {}};
    GivenOps ops;
    LayerPlan plan(heads);
    (*built)->Compress(at, ops, plan);
    ASSERT_TRUE(plan.Execute(NoRotation()));
    int64_t entries = 0, pages = 0;
    for (const HeadCache& head : heads) {
      entries += head.size();
      pages += head.n_slots() / kPageEntries;
    }
    const int64_t local = std::min(n, 4 + std::max<int64_t>(4000, n / 5)) + 1;
    EXPECT_EQ(entries * 2 * 128 * 2, (n + 7 * local) * 2 * 128 * 2) << n;
    EXPECT_EQ(pool.used_bytes(), pages * (format.k_bytes() + format.v_bytes()));
    EXPECT_LE(pool.used_bytes(), (entries + 8 * 64) * 2 * 128 * 2 * 9 / 8);
  }
}

TEST(Razor, BudgetIsAnAverageOverAllHeads) {
  for (const int budget : {100, 200, 500}) {
    int64_t total = 0;
    for (int l = 0; l < 8; ++l) {
      ActingLayer layer("razor:budget=" + std::to_string(budget), 4, 8, l);
      ASSERT_TRUE(Bind(layer, HeadFile(8, 4)));  // 4 of 32 retrieve
      layer.Append(RandomRows(600, 1), RandomRows(600, 2));
      layer.Act(std::vector<float>(600));
      for (int h = 0; h < 4; ++h) total += layer.head(h).size();
    }
    EXPECT_LE(total, budget * 32);
    EXPECT_GE(total, (budget - 1) * 32);
  }
}

TEST(Razor, RefusesWhatDoesNotFit) {
  ActingLayer layer("razor:budget=10%", 4, 8);
  EXPECT_THAT(Bind(layer, HeadFile(8, 4)).error().message, HasSubstr("4 of 32 heads whole"));
  EXPECT_THAT(Bind(layer, HeadFile(8, 2)).error().message, HasSubstr("[8, 2]"));
  const auto both = Program::Build("razor:budget=50%,share=10%");
  ASSERT_FALSE(both);
  EXPECT_THAT(both.error().message,
              HasSubstr("budget says how long the buffer is; leave share out"));
}

}  // namespace
}  // namespace kvasir
