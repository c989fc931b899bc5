// Trap 3.7: several query heads share a KV head, and a score of each must become one of the KV
// head. Worked by hand: entry i has the key e_i, so a query's channels are its logits.
#include <gmock/gmock.h>

#include <array>
#include <cmath>

#include "kernels/attention.h"
#include "tests/kernels/attention_case.h"

namespace kvasir {
namespace {

constexpr int kDim = 16, kEntries = 3;
using Weights = std::array<float, kEntries>;  // of the entries, up to a factor

// What the softmax makes of them: .25 .25 .5, .5 .25 .25, .125 .75 .125, .125 .125 .75.
constexpr std::array<Weights, 4> kHeads = {{{1, 1, 2}, {2, 1, 1}, {1, 6, 1}, {1, 1, 6}}};

class GroupMass : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (!CpuSupports(GetParam())) GTEST_SKIP() << "this CPU lacks " << IsaName(GetParam());
    const PlaneFormat plane = FloatPlane(CodecId::kF32, kDim);
    head_.AddRun(
        plane, plane, kEntries, [](int entry, int channel) { return entry == channel ? 1.f : 0.f; },
        [](int, int) { return 0.f; });
    runs_ = head_.Runs();
  }

  // The mass that one row gives, of query heads [first, first + group) of those of `heads`.
  std::vector<float> Mass(std::span<const Weights> heads, int first, int group,
                          GroupReduce reduce) {
    std::vector<float> q(heads.size() * kDim);
    for (size_t h = 0; h < heads.size(); ++h) {
      for (int i = 0; i < kEntries; ++i) q[h * kDim + i] = std::log(heads[h][i]);
    }
    const float* const own = q.data() + first * kDim;
    const auto stride = static_cast<int64_t>(q.size());
    const int32_t order = kEntries;
    std::vector<float> out(group * kDim), lse(group), mass(head_.n_slots());
    ThreadPool pool(1);
    const AttendJob attend{.runs = runs_,
                           .q = own,
                           .q_order = &order,
                           .out = out.data(),
                           .lse = lse.data(),
                           .n_rows = 1,
                           .group = group,
                           .head_dim = kDim,
                           .q_stride = stride,
                           .out_stride = group * kDim,
                           .mask = {}};
    Attend(GetParam(), {.scale = 1}, {&attend, 1}, pool, scratch_);
    const MassJob job{.runs = runs_,
                      .q = own,
                      .q_order = &order,
                      .lse = lse.data(),
                      .mass = mass.data(),
                      .n_rows = 1,
                      .group = group,
                      .head_dim = kDim,
                      .q_stride = stride,
                      .mask = {},
                      .over_group = reduce};
    AttentionMass(GetParam(), {.scale = 1}, {&job, 1}, pool, scratch_);
    mass.resize(kEntries);
    return mass;
  }
  static auto Near(float a, float b, float c) {
    using testing::FloatNear;
    return testing::ElementsAre(FloatNear(a, 1e-6f), FloatNear(b, 1e-6f), FloatNear(c, 1e-6f));
  }

  HeadCase head_{GetParam(), kDim, 1};
  std::vector<RunRef> runs_;
  AttentionScratch scratch_;
};

TEST_P(GroupMass, OfFourHeadsWorkedByHand) {
  EXPECT_THAT(Mass(kHeads, 0, 4, GroupReduce::kMean), Near(.25f, .34375f, .40625f));
  EXPECT_THAT(Mass(kHeads, 0, 4, GroupReduce::kSum), Near(1, 1.375f, 1.625f));
  EXPECT_THAT(Mass(kHeads, 0, 4, GroupReduce::kMax), Near(.5f, .75f, .75f));
}

// The two groups of a layer with four query heads and two KV heads.
TEST_P(GroupMass, AGroupIsOfNeighbours) {
  EXPECT_THAT(Mass(kHeads, 0, 2, GroupReduce::kMean), Near(.375f, .25f, .375f));
  EXPECT_THAT(Mass(kHeads, 2, 2, GroupReduce::kMean), Near(.125f, .4375f, .4375f));
}

TEST_P(GroupMass, OfOneHeadIsTheHeadsOwn) {
  for (const GroupReduce reduce : {GroupReduce::kMean, GroupReduce::kSum, GroupReduce::kMax}) {
    EXPECT_THAT(Mass(kHeads, 2, 1, reduce), Near(.125f, .75f, .125f));
  }
}

// Where all heads of a group see the same, the group is one head; sums count it four times.
TEST_P(GroupMass, OfFourAlikeIsThatOfOne) {
  const std::array<Weights, 4> alike = {kHeads[1], kHeads[1], kHeads[1], kHeads[1]};
  EXPECT_THAT(Mass(alike, 0, 4, GroupReduce::kMean), Near(.5f, .25f, .25f));
  EXPECT_THAT(Mass(alike, 0, 4, GroupReduce::kMax), Near(.5f, .25f, .25f));
  EXPECT_THAT(Mass(alike, 0, 4, GroupReduce::kSum), Near(2, 1, 1));
}

INSTANTIATE_TEST_SUITE_P(AllIsas, GroupMass, testing::ValuesIn(AllIsas().begin(), AllIsas().end()),
                         [](const auto& test) { return std::string(IsaName(test.param)); });

}  // namespace
}  // namespace kvasir
