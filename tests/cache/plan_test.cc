#include "cache/plan.h"

#include <gtest/gtest.h>

#include <cmath>

namespace kvasir {
namespace {

class PlanTest : public testing::Test {
 protected:
  void SetUp() override {
    heads_.reserve(2);
    for (int h = 0; h < 2; ++h) {
      heads_.emplace_back(pool_, HeadFormat{.head_dim = 16, .k_plane = {}, .v_plane = {}});
      std::vector<SlotRange> slots;
      ASSERT_TRUE(heads_[h].Append(6, 0, slots));
    }
  }
  PagePool pool_;
  std::vector<HeadCache> heads_;
};

using Entries = std::vector<int32_t>;

TEST_F(PlanTest, KeepsTheBestScoresWithinBudget) {
  LayerPlan plan(heads_);
  plan.Score(0, {.30f, .28f, .20f, .12f, .05f, .05f});
  plan.Budget(0, 3);
  EXPECT_EQ(plan.Resolve(0), (Entries{0, 1, 2}));
  EXPECT_EQ(plan.Resolve(1), std::nullopt);  // no wish: all stay
}

TEST_F(PlanTest, EarlierEntryWinsATie) {
  LayerPlan plan(heads_);
  plan.Score(0, {1, 2, 2, 2, 1, 2});
  plan.Budget(0, 2);
  EXPECT_EQ(plan.Resolve(0), (Entries{1, 2}));
}

TEST_F(PlanTest, OneTooManyIsTheLastOfTheWorst) {
  LayerPlan plan(heads_);
  plan.Score(0, {1, 2, 2, 2, 1, 2});
  plan.Budget(0, 5);
  EXPECT_EQ(plan.Resolve(0), (Entries{0, 1, 2, 3, 5}));
  plan.Protect(0, 0, 6);  // the oldest goes where all are protected
  EXPECT_EQ(plan.Resolve(0), (Entries{1, 2, 3, 4, 5}));
}

TEST_F(PlanTest, ProtectedEntriesComeFirstNewestFirst) {
  LayerPlan plan(heads_);
  plan.Score(0, {9, 8, 7, 0, 0, 0});
  plan.Protect(0, 3, 3);
  plan.Budget(0, 4);
  EXPECT_EQ(plan.Resolve(0), (Entries{0, 3, 4, 5}));
  plan.Budget(0, 2);
  EXPECT_EQ(plan.Resolve(0), (Entries{4, 5}));
}

TEST_F(PlanTest, NanScoresGoFirst) {
  LayerPlan plan(heads_);
  plan.Score(0, {NAN, 1, NAN, 2, 3, -5});
  plan.Budget(0, 4);
  EXPECT_EQ(plan.Resolve(0), (Entries{1, 3, 4, 5}));
}

TEST_F(PlanTest, BudgetThatCoversTheLengthChangesNothing) {
  LayerPlan plan(heads_);
  plan.Score(0, {1, 2, 3, 4, 5, 6});
  plan.Budget(0, 6);
  EXPECT_EQ(plan.Resolve(0), std::nullopt);
}

}  // namespace
}  // namespace kvasir
