// Score requests with a softmax of their own: numbers worked by hand, float64, invariants.
#include "kernels/attention_own.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/kernels/attention_case.h"

namespace kvasir {
namespace {

// Known answers of the generator's authors.
TEST(Philox, GivesTheKnownAnswers) {
  EXPECT_EQ(Philox4x32({0, 0, 0, 0}, {0, 0}),
            (Philox{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(Philox4x32({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
            (Philox{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Philox{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Gumbel, HasItsMeanAndVariance) {
  constexpr int kDraws = 1000000;
  double sum = 0, squares = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double z = GumbelAt({1, 2}, i % 7, i, i / 100);
    ASSERT_TRUE(std::isfinite(z));
    sum += z;
    squares += z * z;
  }
  const double mean = sum / kDraws;
  EXPECT_NEAR(mean, 0.5772, 0.01);
  EXPECT_NEAR(squares / kDraws - mean * mean, 1.645, 0.03);
  EXPECT_TRUE(std::isfinite(GumbelOf(0)) && std::isfinite(GumbelOf(~0u)));
}

class OwnMass : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (!CpuSupports(GetParam())) GTEST_SKIP() << "this CPU has no " << IsaName(GetParam());
  }
  AttentionScratch scratch_;
};

// The sheet's row of six logits.
TEST_P(OwnMass, GivesTheWorkedNumbers) {
  const float x[] = {2, 0, 1, -1, .5, .2}, z[] = {.1, 1.5, -.3, 2, 0, -.5};
  std::vector<float> keys(6 * 16), noise(z, z + 6), q(16), mass(64);
  for (int i = 0; i < 6; ++i) keys[i * 16] = x[i];
  noise.resize(64);
  q[0] = 1;
  const PlaneFormat plane = FloatPlane(CodecId::kF32, 16);
  Buffer k(PlaneBytes(plane, PlaneKind::kKeys));
  EncodeEntries(GetParam(), plane, PlaneKind::kKeys, keys.data(), 16, 0, 6, k.data());
  const PageRef page{.k = k.data(), .live = 0x3f};
  const RunRef run{&page, 1, plane, plane};
  const int32_t order = 5;
  ThreadPool pool(1);
  const auto expect = [&](float tau, bool noisy, std::vector<float> expected) {
    const OwnMassJob job{.runs = {&run, 1},
                         .q = q.data(),
                         .q_order = &order,
                         .mass = mass.data(),
                         .n_rows = 1,
                         .head_dim = 16,
                         .q_stride = 16,
                         .mask = {},
                         .tau = tau,
                         .token_noise = noisy ? noise.data() : nullptr};
    OwnSoftmaxMass(GetParam(), {}, {&job, 1}, pool, scratch_);
    for (int i = 0; i < 6; ++i) EXPECT_NEAR(mass[i], expected[i], 6e-5) << tau << noisy << i;
    for (int i = 6; i < 64; ++i) EXPECT_EQ(mass[i], 0);
  };
  expect(1, false, {.5151, .0697, .1895, .0256, .1149, .0851});
  expect(2, false, {.3250, .1196, .1972, .0725, .1535, .1322});
  expect(1, true, {.4131, .2267, .1019, .1375, .0834, .0375});
  expect(2, true, {.2805, .2078, .1393, .1618, .1260, .0845});
}

// The sheet's test 7: no noise hides a token whose logit is 20 above the others at every query, so
// with room for one key token it is the one that stays.
TEST_P(OwnMass, NoSeedHidesAKeyToken) {
  constexpr int kTokens = 64, kPlanted = 23, kRows = 4;
  std::vector<float> keys(kTokens * 16), q(kRows * 16), mass(64);
  keys[kPlanted * 16] = 20;
  for (int r = 0; r < kRows; ++r) q[r * 16] = 1;
  const PlaneFormat plane = FloatPlane(CodecId::kF32, 16);
  Buffer k(PlaneBytes(plane, PlaneKind::kKeys));
  EncodeEntries(GetParam(), plane, PlaneKind::kKeys, keys.data(), 16, 0, kTokens, k.data());
  const PageRef page{.k = k.data(), .live = ~uint64_t{0}};
  const RunRef run{&page, 1, plane, plane};
  const std::vector<int32_t> orders = {63, 64, 65, 66};
  ThreadPool pool(1);
  for (uint32_t seed = 0; seed < 1000; ++seed) {
    const ElementNoise draws{.key = {seed, 1}};
    const OwnMassJob job{.runs = {&run, 1},
                         .q = q.data(),
                         .q_order = orders.data(),
                         .mass = mass.data(),
                         .n_rows = kRows,
                         .head_dim = 16,
                         .q_stride = 16,
                         .mask = {},
                         .element_noise = &draws};
    OwnSoftmaxMass(GetParam(), {}, {&job, 1}, pool, scratch_);
    ASSERT_EQ(std::max_element(mass.begin(), mass.end()) - mass.begin(), kPlanted) << seed;
  }
}

// Rows of several orders over several runs and splits, holes, bias and softcap, against float64.
TEST_P(OwnMass, MatchesFloat64) {
  HeadCase head(GetParam(), 64, 11);
  head.AddRun(CodecId::kF16, CodecId::kF16, 700);
  head.AddRun(Q8Plane(64), Q8Plane(64), 130);
  head.AddBias();
  head.Kill([](int page, int slot) { return (page * 7 + slot) % 5 == 0; });
  constexpr int kRows = 21, kGroup = 3;
  const std::vector<RunRef> runs = head.Runs();
  const std::vector<float> q = head.Normal(kRows * kGroup * 64, 1.0f),
                           noise = head.Normal(head.n_slots(), 1.5f);
  std::vector<int32_t> orders;
  for (int r = 0; r < kRows; ++r) orders.push_back(40 * r);
  const ElementNoise draws{.key = {7, 3}, .first_head = 6, .one_a_group = false};
  for (const float softcap : {0.0f, 20.0f}) {
    for (const bool element : {false, true}) {
      const LogitSpec spec{0.125f, softcap};
      std::vector<float> mass(head.n_slots()), again(head.n_slots()), beside(head.n_slots());
      OwnMassJob job{.runs = runs,
                     .q = q.data(),
                     .q_order = orders.data(),
                     .mass = mass.data(),
                     .n_rows = kRows,
                     .group = kGroup,
                     .head_dim = 64,
                     .q_stride = kGroup * 64,
                     .mask = {},
                     .tau = 1.25f,
                     .token_noise = element ? nullptr : noise.data(),
                     .element_noise = element ? &draws : nullptr};
      ThreadPool one(1), two(2);
      OwnSoftmaxMass(GetParam(), spec, {&job, 1}, one, scratch_);
      job.mass = again.data();
      OwnMassJob other = job;
      other.mass = beside.data();
      const OwnMassJob both[] = {job, other};
      OwnSoftmaxMass(GetParam(), spec, both, two, scratch_);
      EXPECT_EQ(mass, again);
      EXPECT_EQ(mass, beside);
      std::vector<double> expected(head.n_slots());
      double total = 0;
      for (int r = 0; r < kRows; ++r) {
        for (int g = 0; g < kGroup; ++g) {
          std::vector<double> y =
              head.Logits(spec, q.data() + (r * kGroup + g) * 64, 0, orders[r], 0);
          double sum = 0;
          for (int i = 0; i < head.n_slots(); ++i) {
            y[i] += element ? GumbelAt(draws.key, 6 + g, i, orders[r]) : noise[i];
            y[i] = std::exp(y[i] / 1.25);
            sum += y[i];
          }
          for (int i = 0; i < head.n_slots() && sum > 0; ++i) expected[i] += y[i] / sum / kGroup;
        }
      }
      // Queries meet low-bit keys rounded to 16 bits (kernels/attention.h).
      for (int i = 0; i < head.n_slots(); ++i) {
        ASSERT_NEAR(mass[i], expected[i], 2e-4 * expected[i] + 1e-7) << i;
        total += mass[i];
      }
      // Each row gives 1, but for the first, whose only slot is dead.
      EXPECT_NEAR(total, kRows - 1, 1e-4);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllIsas, OwnMass, testing::ValuesIn(AllIsas().begin(), AllIsas().end()),
                         [](const auto& test) { return std::string(IsaName(test.param)); });

}  // namespace
}  // namespace kvasir
