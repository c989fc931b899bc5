#include "engine/find_heads.h"

#include <gmock/gmock.h>

#include <cmath>
#include <numeric>

#include "engine/side_file_io.h"
#include "tests/engine/engine_test_util.h"

namespace kvasir::testing_ {
namespace {

using testing::HasSubstr;

TEST(ScoreCopies, TellsEchoFromInduction) {
  const std::vector<Copy> copies = CopiesInBlocks(0, 3, 2);
  const CopyScores echo = ScoreCopies(copies, 1, [](int64_t i, int64_t j) { return j == i - 3; });
  EXPECT_EQ(echo.echo, 1);
  EXPECT_EQ(echo.induction, 0);
  const CopyScores induction =
      ScoreCopies(copies, 1, [](int64_t i, int64_t j) { return j == i - 2; });
  EXPECT_EQ(induction.echo, 0);
  EXPECT_EQ(induction.induction, 1);
}

TEST(ScoreCopies, CountsEveryEarlierCopy) {
  int64_t n = 0;
  ScoreCopies(CopiesInBlocks(5, 64, 4), 1, [&](int64_t i, int64_t j) {
    EXPECT_TRUE(j >= 5 && j <= i && ((i - j) % 64 == 0 || (i - j) % 64 == 63));
    return n++;
  });
  EXPECT_EQ(n, 2 * 6 * 64);
}

// At a few places from the log-sum-exps: as from the whole softmax.
TEST(ScoreCopies, SparseIsDense) {
  constexpr int64_t kBlock = 64, kN = 4 * kBlock, kDim = 16;
  std::vector<float> q, k;
  for (int32_t id : RandomIds(kN * kDim, 1)) q.push_back(static_cast<float>(id) / 250 - 1);
  for (int32_t id : RandomIds(kN * kDim, 2)) k.push_back(static_cast<float>(id) / 250 - 1);
  const auto logit = [&](int64_t i, int64_t j) {
    return std::inner_product(q.begin() + i * kDim, q.begin() + (i + 1) * kDim,
                              k.begin() + j * kDim, 0.0f);
  };
  std::vector<double> dense(kN * kN), lse(kN);
  for (int64_t i = 0; i < kN; ++i) {
    double sum = 0;
    for (int64_t j = 0; j <= i; ++j) sum += dense[i * kN + j] = std::exp(double{logit(i, j)});
    for (int64_t j = 0; j <= i; ++j) dense[i * kN + j] /= sum;
    lse[i] = std::log(sum);
  }
  const std::vector<Copy> copies = CopiesInBlocks(0, kBlock, 4);
  const auto a = ScoreCopies(copies, 1, [&](int64_t i, int64_t j) { return dense[i * kN + j]; });
  const auto b = ScoreCopies(copies, 1, [&](int64_t i, int64_t j) {
    return std::exp(logit(i, j) - static_cast<float>(lse[i]));
  });
  EXPECT_NEAR(a.echo, b.echo, 1e-5);
  EXPECT_NEAR(a.induction, b.induction, 1e-5);
}

TEST(FindHeads, IsTheSameForAnyNumberOfThreadsAndFitsTheModel) {
  const ProbeOptions probe{.block = 40, .repeats = 4, .n_seeds = 2};
  const auto one = FindHeads(*LoadModel(GoldenModel("llama.gguf")), probe);
  const auto two = FindHeads(*LoadModel(GoldenModel("llama.gguf"), 2), probe);
  ASSERT_TRUE(one && two);
  for (const char* name : {"echo", "induction"}) {
    const SideTensor& scores = one->file.tensors.at(name);
    EXPECT_EQ(scores.shape, (std::vector<int64_t>{4, 2}));
    EXPECT_EQ(scores.values, two->file.tensors.at(name).values);
    for (const float score : scores.values) EXPECT_TRUE(score >= 0 && score <= 1) << score;
  }
  EXPECT_EQ(one->file.notes.at("block"), "40");
}

TEST(FindHeads, LayersWithAWindowAreNotRanked) {
  const auto model = LoadModel(GoldenModel("gemma2.gguf"));
  const auto found = FindHeads(*model, {.block = 20, .repeats = 3, .n_seeds = 1});
  ASSERT_TRUE(found) << found.error().message;
  for (size_t i = 0; i < found->file.tensors.at("echo").values.size(); ++i) {
    const bool windowed = model->config().layers[i / model->config().n_kv_heads].window > 0;
    EXPECT_EQ(found->file.tensors.at("echo").values[i] < 0, windowed);
    EXPECT_EQ(found->file.tensors.at("induction").values[i] < 0, windowed);
  }
}

// The rows that say the number, and the places before its tokens where it stands.
TEST(PlantedNumber, IsTheSameTokensInBothPlaces) {
  const auto model = LoadModel(GoldenModel("llama.gguf"));
  const auto probe = PlantedNumber(*model, 1500, 1);
  ASSERT_TRUE(probe) << probe.error().message;
  EXPECT_GE(probe->copies.size(), 2u);
  for (const Copy& at : probe->copies) {
    EXPECT_EQ(probe->tokens[at.row + 1], probe->tokens[at.copy + 1]);
    EXPECT_LT(at.copy + probe->reach, at.row);
  }
  EXPECT_EQ(probe->copies.back().row + 2, std::ssize(probe->tokens));
  EXPECT_LE(std::ssize(probe->tokens), 1500 + 50);
  EXPECT_EQ(probe->tokens, PlantedNumber(*model, 1500, 1)->tokens);
  EXPECT_NE(probe->tokens, PlantedNumber(*model, 1500, 2)->tokens);
  const auto none = PlantedNumber(*model, 200, 1);
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().message, HasSubstr("too few"));
}

TEST(FindHeads, ReadsATextWithANumberWhereAsked) {
  const auto found =
      FindHeads(*LoadModel(GoldenModel("llama.gguf")),
                {.text = ProbeOptions::Text::kNumber, .n_tokens = 1500, .n_seeds = 1});
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->file.notes.at("probe"), "number");
  EXPECT_GT(found->even, 0);
  for (const float score : found->file.tensors.at("induction").values) {
    EXPECT_TRUE(score >= 0 && score <= 1) << score;
  }
}

TEST(FindHeads, StopsWhenAsked) {
  const auto found = FindHeads(*LoadModel(GoldenModel("llama.gguf")), {.block = 10},
                               [](int64_t, int64_t) { return false; });
  ASSERT_FALSE(found);
  EXPECT_THAT(found.error().message, HasSubstr("interrupted"));
}

}  // namespace
}  // namespace kvasir::testing_
