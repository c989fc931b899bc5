// WindowKV against its sheet: windows, ties, budgets of groups, sharing within a group.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

#include "methods/registry.h"

namespace kvasir {
namespace {

using Votes = std::vector<std::vector<float>>;  // [q_heads][entries]

class GivenVotes final : public Ops {
 public:
  explicit GivenVotes(Votes votes) : votes_(std::move(votes)) {}
  Votes AttentionMass(const LayerView&, const ScoreRequest& request) override {
    EXPECT_EQ(request.over_group, GroupBy::kNone);
    ++n_calls;
    return votes_;
  }
  std::vector<float> OutputNorms(const LayerView&, int) override { return {}; }
  QueryMoments FutureQueries(const LayerView&, int64_t) override { return {}; }
  std::vector<float> QueryEnergy(const LayerView&, int, int64_t) override { return {}; }
  std::vector<float> OutputEnergy(const LayerView&, int, int64_t) override { return {}; }
  int n_calls = 0;

 private:
  const Votes votes_;
};

// What each layer keeps of n entries; empty where it keeps all. `window` queries voted.
class WindowKv : public testing::Test {
 protected:
  std::vector<std::vector<int32_t>> Run(const std::string& spec, const Votes& votes, int64_t window,
                                        int n_layers = 1, std::vector<int> full_layers = {}) {
    const auto program = Program::Build(spec);
    if (!program) {
      ADD_FAILURE() << program.error().message;
      return {};
    }
    const auto n = static_cast<int64_t>(votes[0].size());
    const auto n_q = static_cast<int>(votes.size());
    PagePool pool;
    std::vector<SlotRange> slots;
    std::vector<HeadCache> heads;
    for (int h = 0; h < (n_q + 1) / 2; ++h) {
      heads.emplace_back(pool, HeadFormat{.head_dim = 16});
      EXPECT_TRUE(heads.back().Append(n, 0, slots));
    }
    const ModelInfo model{.n_layers = n_layers,
                          .n_q_heads = n_q,
                          .n_kv_heads = static_cast<int>(heads.size()),
                          .head_dim = 16,
                          .full_layers = full_layers};
    std::vector<std::vector<int32_t>> notes(n_layers), kept;
    GivenVotes ops(votes);
    for (int layer = 0; layer < n_layers; ++layer) {
      if (!full_layers.empty() && std::ranges::count(full_layers, layer) == 0) continue;
      const LayerView at{.model = model,
                         .layer = layer,
                         .n_prompt = n,
                         .heads = heads,
                         .n_last_queries = window,
                         .notes = notes};
      LayerPlan plan(heads);
      (*program)->Compress(at, ops, plan);
      kept.push_back(plan.Resolve(0).value_or(std::vector<int32_t>()));
      for (int h = 1; h < plan.n_heads(); ++h) {
        EXPECT_EQ(plan.Resolve(h).value_or(std::vector<int32_t>()), kept.back());
      }
    }
    n_calls_ = ops.n_calls;
    return kept;
  }
  static std::vector<int32_t> Range(int first, int end) {
    std::vector<int32_t> x(end - first);
    std::iota(x.begin(), x.end(), first);
    return x;
  }
  int n_calls_ = 0;
};

std::vector<int32_t> operator+(std::vector<int32_t> a, const std::vector<int32_t>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// r = 14 and the last two; the mean ties windows 0 and 2, the lower index wins.
TEST_F(WindowKv, WorkedExample) {
  // The sheet's .9 = .5 + .4 in numbers that floats hold exactly, so that it is a tie.
  const Votes t = {{.875f, 0, 0, 0, .3f, .3f, .3f, .3f, .5f, .375f, 0, 0, .1f, .2f, 0, 0}};
  const std::string spec = "windowkv:budget=10,size=4,window=2,pyramid=flat,first_window=false";
  EXPECT_EQ(Run(spec + ",top=4", t, 2)[0], Range(0, 8) + Range(14, 16));
  EXPECT_EQ(Run(spec + ",top=2", t, 2)[0], Range(0, 4) + Range(8, 12) + Range(14, 16));
}

// A share that the last tokens alone exceed: the newest of those.
TEST_F(WindowKv, AShareBelowTheWindowKeepsTheNewest) {
  const Votes t = {std::vector<float>(40, 1.0f)};
  EXPECT_EQ(Run("windowkv:budget=10%", t, 16)[0], Range(36, 40));
  EXPECT_EQ(Run("windowkv:budget=40%", t, 16)[0], Range(24, 40));
}

TEST_F(WindowKv, SelectionArithmetic) {
  const auto n_kept = [&](int review, int budget, int size) {
    const Votes t = {std::vector<float>(review + 4, 1.0f)};
    const auto kept = Run(fmt::format("windowkv:budget={},size={},window=4,pyramid=flat,top={}",
                                      budget + 4, size, size),
                          t, 4);
    return static_cast<int>(kept[0].size()) - 4;
  };
  EXPECT_EQ(n_kept(100, 40, 8), 5 * 8);
  EXPECT_EQ(n_kept(97, 41, 8), 6 * 8);
  EXPECT_EQ(n_kept(5, 2, 8), 0);
  EXPECT_EQ(n_kept(40, 40, 8), -4);  // all of them: nothing is done
}

TEST_F(WindowKv, BudgetsFallOverTheGroups) {
  const Votes t = {std::vector<float>(9000, 1.0f)};
  const auto budgets = [&](int c, int n_layers, int gamma, const std::string& pyramid) {
    std::vector<int> n;
    const auto spec = fmt::format("windowkv:budget={},size=1,window=4,layers={},pyramid={}", c + 4,
                                  gamma, pyramid);
    for (const auto& kept : Run(spec, t, 4, n_layers))
      n.push_back(static_cast<int>(kept.size()) - 4);
    return n;
  };
  const auto groups = [&](int c, int n_layers, int gamma, const std::string& pyramid = "code") {
    const std::vector<int> all = budgets(c, n_layers, gamma, pyramid);
    std::vector<int> first;
    for (int l = 0; l < n_layers; ++l) {
      EXPECT_EQ(all[l], all[l / gamma * gamma]);
      if (l % gamma == 0) first.push_back(all[l]);
    }
    return first;
  };
  using testing::ElementsAre;
  EXPECT_THAT(groups(512, 32, 8), ElementsAre(732, 586, 440, 292));
  EXPECT_THAT(groups(1024, 32, 8), ElementsAre(1463, 1171, 879, 585));
  EXPECT_THAT(groups(2048, 32, 8), ElementsAre(2926, 2341, 1756, 1170));
  EXPECT_THAT(groups(512, 28, 7), ElementsAre(768, 598, 428, 256));
  EXPECT_THAT(groups(1024, 28, 7), ElementsAre(1536, 1195, 854, 512));
  EXPECT_THAT(groups(2048, 28, 7), ElementsAre(3072, 2390, 1708, 1024));
  EXPECT_THAT(groups(512, 32, 8, "paper"), ElementsAre(987, 670, 353, 36));
  EXPECT_THAT(groups(1024, 32, 8, "paper"), ElementsAre(1974, 1340, 707, 73));
  EXPECT_THAT(groups(512, 32, 8, "flat"), ElementsAre(512, 512, 512, 512));
  EXPECT_THAT(groups(512, 8, 8), ElementsAre(512));
  // 30 layers: the last group is short, the average stays.
  const std::vector<int> all = budgets(512, 30, 8, "code");
  EXPECT_NEAR(std::accumulate(all.begin(), all.end(), 0) / 30.0, 512, 1);
}

TEST_F(WindowKv, AGroupChoosesOnceAndSlidingWindowsAreNotOfIt) {
  std::mt19937 random(5);
  std::uniform_real_distribution<float> uniform;
  Votes t(4, std::vector<float>(300));
  for (auto& head : t) {
    for (float& x : head) x = uniform(random);
  }
  const auto kept =
      Run("windowkv:budget=100,size=8,window=16,layers=2,lambda=14", t, 16, 8, {1, 3, 4, 7});
  EXPECT_EQ(n_calls_, 2);
  ASSERT_EQ(kept.size(), 4u);
  EXPECT_EQ(kept[0], kept[1]);
  EXPECT_EQ(kept[2], kept[3]);
  EXPECT_GT(kept[0].size(), kept[2].size());
  for (const auto& entries : kept) {  // whole windows, the first one, and the last 16
    EXPECT_EQ(entries.front(), 0);
    const std::vector<bool> in = [&] {
      std::vector<bool> x(300);
      for (int32_t i : entries) x[i] = true;
      return x;
    }();
    for (int i = 0; i < 284; ++i) EXPECT_EQ(in[i], in[i / 8 * 8]) << i;
    for (int i = 284; i < 300; ++i) EXPECT_TRUE(in[i]);
  }
}

// Single tokens, no groups: the best by the mean over all heads.
TEST_F(WindowKv, WindowsOfOneAreTheBestTokens) {
  std::mt19937 random(6);
  std::uniform_real_distribution<float> uniform;
  Votes t(4, std::vector<float>(80));
  std::vector<std::pair<double, int>> order;
  for (auto& head : t) {
    for (float& x : head) x = uniform(random);
  }
  for (int i = 0; i < 76; ++i) order.emplace_back(-(t[0][i] + t[1][i] + t[2][i] + t[3][i]), i);
  std::sort(order.begin(), order.end());
  std::vector<int32_t> best;
  for (int i = 0; i < 20; ++i) best.push_back(order[i].second);
  std::sort(best.begin(), best.end());
  EXPECT_EQ(
      Run("windowkv:budget=24,size=1,window=4,layers=1,pyramid=flat,first_window=false", t, 4)[0],
      best + Range(76, 80));
  // The best head decides: its peak wins over what all heads like a little.
  Votes peaks(4, std::vector<float>(20, .1f));
  peaks[2][9] = .3f;
  for (auto& head : peaks) head[3] = .2f;
  const std::string spec =
      "windowkv:budget=5,size=1,window=4,layers=1,pyramid=flat,first_window=false";
  EXPECT_EQ(Run(spec, peaks, 4)[0], std::vector<int32_t>{3} + Range(16, 20));
  EXPECT_EQ(Run(spec + ",heads=max", peaks, 4)[0], std::vector<int32_t>{9} + Range(16, 20));
}

TEST_F(WindowKv, ANeedleAcrossABorderSurvives) {
  Votes t(2, std::vector<float>(400, .01f));
  for (auto& head : t) std::fill(head.begin() + 197, head.begin() + 203, .1f);
  for (const int size : {8, 20, 40}) {
    const auto kept =
        Run(fmt::format("windowkv:budget={},size={},window=8,pyramid=flat,first_window=false",
                        2 * size + 8, size),
            t, 8)[0];
    EXPECT_EQ(kept, Range(200 - size, 200 + size) + Range(392, 400));
  }
}

// The sheet's test 9: windows of a page go with their page; what stays is not copied.
TEST_F(WindowKv, WindowsOfAPageAreFreedWithoutACopy) {
  constexpr int kPages = 12, kTokens = kPages * kPageEntries;
  PagePool pool;
  std::vector<SlotRange> slots;
  std::vector<HeadCache> heads;
  heads.emplace_back(pool, HeadFormat{.head_dim = 16});
  ASSERT_TRUE(heads[0].Append(kTokens, 0, slots));
  Votes t = {std::vector<float>(kTokens)};
  for (int i = 0; i < kTokens; ++i) t[0][i] = static_cast<float>(i / kPageEntries * 5 % kPages);
  const auto planes = [&] {
    std::vector<const std::byte*> all;
    for (int p = 0; p < heads[0].runs()[0].n_pages; ++p) {
      all.push_back(heads[0].runs()[0].pages[p].k);
      all.push_back(heads[0].runs()[0].pages[p].v);
    }
    return all;
  };
  const std::vector<const std::byte*> before = planes();
  const int64_t bytes = pool.used_bytes();
  const ModelInfo model{.n_layers = 1, .n_q_heads = 1, .n_kv_heads = 1, .head_dim = 16};
  std::vector<std::vector<int32_t>> notes(1);
  const LayerView at{.model = model,
                     .n_prompt = kTokens,
                     .heads = heads,
                     .n_last_queries = kPageEntries,
                     .notes = notes};
  GivenVotes ops(t);
  LayerPlan plan(heads);
  const auto program =
      Program::Build("windowkv:budget=384,size=64,window=64,pyramid=flat,first_window=false");
  ASSERT_TRUE(program);
  (*program)->Compress(at, ops, plan);
  class NoRotation final : public KeyRotator {
    void Rotate(float*, int32_t, int32_t) const override {}
  };
  ASSERT_TRUE(plan.Execute(NoRotation()));
  // Of 11 review windows 6 are dropped: those of scores 0 to 5, by pages 0, 5, 10, 3, 8 and 1.
  const std::vector<const std::byte*> after = planes();
  ASSERT_EQ(after.size(), 2u * (kPages - 6));
  size_t next = 0;
  for (const int page : {2, 4, 6, 7, 9, 11}) {
    EXPECT_EQ(after[next++], before[2 * page]);
    EXPECT_EQ(after[next++], before[2 * page + 1]);
  }
  EXPECT_EQ(pool.used_bytes(), bytes / kPages * (kPages - 6));
}

TEST_F(WindowKv, SettingsThatContradictEachOtherAreRefused) {
  const auto error = [](std::string_view spec) {
    const auto program = Program::Build(spec);
    return program ? std::string() : program.error().message;
  };
  EXPECT_THAT(error("windowkv:layers=15"), testing::HasSubstr("larger lambda"));
  EXPECT_EQ(error("windowkv:layers=15,pyramid=paper"), "");
  EXPECT_THAT(error("windowkv:size=8,top=9"), testing::HasSubstr("top=1..8"));
  EXPECT_THAT(error("adakv + windowkv"), testing::HasSubstr("writes none"));
}

}  // namespace
}  // namespace kvasir
