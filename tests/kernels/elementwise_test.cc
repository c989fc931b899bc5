#include "kernels/elementwise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace kvasir {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<float> Random(size_t n, uint32_t seed, float spread) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, spread);
  std::vector<float> x(n);
  for (float& v : x) v = normal(random);
  if (n > 3) x[n / 3] *= 30.0f;  // an outlier
  return x;
}

// Absolute plus relative: float rounding of the steps, never more than a few ulps.
void ExpectNear(double expected, float actual, double relative, double absolute = 1e-30) {
  EXPECT_NEAR(expected, actual, std::abs(expected) * relative + absolute);
}

class Elementwise : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (!CpuSupports(GetParam())) GTEST_SKIP() << "this CPU lacks " << IsaName(GetParam());
  }
};

TEST_P(Elementwise, RmsNormMatchesDouble) {
  for (int n : {1, 2, 15, 16, 17, 33, 64, 65, 576, 1000}) {
    const std::vector<float> x = Random(2 * n, n, 3.0f), weight = Random(n, n + 1, 1.0f);
    std::vector<float> out(2 * n), plain(n);
    RmsNorm(GetParam(), Mat(x.data(), 2, n), weight.data(), 1e-5f, Mat(out.data(), 2, n));
    RmsNorm(GetParam(), Mat(x.data() + n, 1, n), nullptr, 1e-5f, Mat(plain.data(), 1, n));
    for (int row = 0; row < 2; ++row) {
      double sum = 0;
      for (int i = 0; i < n; ++i) sum += static_cast<double>(x[row * n + i]) * x[row * n + i];
      const double factor = 1.0 / std::sqrt(sum / n + 1e-5);
      for (int i = 0; i < n; ++i) {
        ExpectNear(x[row * n + i] * factor * weight[i], out[row * n + i], 1e-6);
        if (row == 1) ExpectNear(x[row * n + i] * factor, plain[i], 1e-6);
      }
    }
  }
}

TEST_P(Elementwise, RopeTurnsAPairByHand) {
  // A quarter turn: (1, 2) becomes (-2, 1).
  RopeTable table{.inv_freq = {M_PI / 2}};
  float c, s;
  RopeAngles(table, 1, &c, &s);
  float x[4] = {1, 2, 3, 4};
  RotateHead(GetParam(), table, &c, &s, x);
  EXPECT_NEAR(x[0], -2.0f, 1e-6);
  EXPECT_NEAR(x[1], 1.0f, 1e-6);
  EXPECT_EQ(x[2], 3.0f);  // partial rotary leaves the rest
  EXPECT_EQ(x[3], 4.0f);
}

TEST_P(Elementwise, RopeMatchesDoubleInBothOrders) {
  for (int pairs : {1, 4, 8, 15, 16, 17, 32, 48, 64}) {
    for (bool neox : {false, true}) {
      RopeTable table{.inv_freq = {}, .neox = neox, .attention_factor = 1.25f};
      for (int i = 0; i < pairs; ++i) table.inv_freq.push_back(std::pow(1e5, -1.0 * i / pairs));
      const int dim = 2 * pairs + 3, n_heads = 3;
      const std::vector<float> x = Random(dim * n_heads, pairs, 1.0f);
      for (int32_t position : {0, 1, 77, -5000, 1000003, -2000000000}) {
        std::vector<float> y = x, c(pairs), s(pairs);
        RopeAngles(table, position, c.data(), s.data());
        RotateHeads(GetParam(), table, c.data(), s.data(), y.data(), n_heads, dim);
        for (int head = 0; head < n_heads; ++head) {
          const float* from = x.data() + head * dim;
          const float* to = y.data() + head * dim;
          for (int i = 0; i < pairs; ++i) {
            const int a = neox ? i : 2 * i, b = neox ? i + pairs : 2 * i + 1;
            const double angle = position * table.inv_freq[i];
            const double size = std::abs(from[a]) + std::abs(from[b]);
            EXPECT_NEAR(1.25 * (from[a] * std::cos(angle) - from[b] * std::sin(angle)), to[a],
                        3e-7 * size);
            EXPECT_NEAR(1.25 * (from[a] * std::sin(angle) + from[b] * std::cos(angle)), to[b],
                        3e-7 * size);
          }
          for (int i = 2 * pairs; i < dim; ++i) EXPECT_EQ(from[i], to[i]);
        }
      }
    }
  }
}

// Every activation over the whole range of interest, against double.
TEST_P(Elementwise, ActivationsMatchDouble) {
  std::vector<float> gate;
  for (float x = -100.0f; x <= 100.0f; x += 0.0373f) gate.push_back(x);
  for (float x = 1e-8f; x < 1.0f; x *= 1.7f) gate.push_back(x), gate.push_back(-x);
  const std::vector<float> up(gate.size(), 1.5f);
  std::vector<float> silu(gate.size()), gelu(gate.size()), capped = gate;
  SwiGlu(GetParam(), gate, up.data(), silu.data());
  GeGlu(GetParam(), gate, up.data(), gelu.data());
  Softcap(GetParam(), capped, 30.0f);
  for (size_t i = 0; i < gate.size(); ++i) {
    const double x = gate[i];
    if (x > -87) ExpectNear(1.5 * x / (1 + std::exp(-x)), silu[i], 1e-6);
    const double u = std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
    // Rounding of u itself is felt far out on the left, where the result is tiny.
    const double gelu_error = 1e-6 + (u < 0 ? 4e-7 * -u : 0.0);
    if (u > -43) ExpectNear(1.5 * x / (1 + std::exp(-2 * u)), gelu[i], gelu_error);
    ExpectNear(30 * std::tanh(x / 30), capped[i], 1e-6);
  }
  float edge[4] = {kInf, -kInf, 0.0f, std::nanf("")};
  Softcap(GetParam(), edge, 30.0f);
  EXPECT_EQ(edge[0], 30.0f);
  EXPECT_EQ(edge[1], -30.0f);
  EXPECT_EQ(edge[2], 0.0f);
  EXPECT_TRUE(std::isnan(edge[3]));
}

TEST_P(Elementwise, ARowsBitsDoNotDependOnItsPlace) {
  // Vector body and tail do the same operations: any sub-range equals the whole.
  const std::vector<float> gate = Random(100, 5, 4.0f), up = Random(100, 6, 1.0f);
  std::vector<float> whole(100), part(100);
  SwiGlu(GetParam(), gate, up.data(), whole.data());
  for (int begin = 0; begin < 40; ++begin) {
    SwiGlu(GetParam(), std::span(gate).subspan(begin, 45), up.data() + begin, part.data());
    for (int i = 0; i < 45; ++i) ASSERT_EQ(part[i], whole[begin + i]);
  }
}

TEST_P(Elementwise, AddAndScaleAreExact) {
  for (int n = 0; n < 70; ++n) {
    const std::vector<float> a = Random(n, n, 1.0f), b = Random(n, n + 9, 1.0f);
    std::vector<float> sum(n), scaled = a;
    Add(GetParam(), a, b.data(), sum.data());
    Scale(GetParam(), scaled, 0.3f);
    for (int i = 0; i < n; ++i) {
      EXPECT_EQ(sum[i], a[i] + b[i]);
      EXPECT_EQ(scaled[i], a[i] * 0.3f);
    }
  }
}

TEST_P(Elementwise, ArgMaxTakesTheFirstOfEqualsAndNoNan) {
  for (int n = 1; n < 70; ++n) {
    std::vector<float> x(n, -3.0f);
    EXPECT_EQ(ArgMax(GetParam(), x), 0);
    x[n / 2] = 2.0f;
    x[n - 1] = 2.0f;
    EXPECT_EQ(ArgMax(GetParam(), x), n / 2);
    x[0] = std::nanf("");
    EXPECT_EQ(ArgMax(GetParam(), x), n == 1 ? 0 : n / 2 == 0 ? n - 1 : n / 2);
  }
}

TEST_P(Elementwise, SoftmaxMatchesDouble) {
  for (int n : {1, 5, 16, 31, 512, 513, 5000, 49152}) {
    std::vector<float> x = Random(n, n, 5.0f);
    if (n > 10) x[4] = -kInf;
    double max = -kInf, sum = 0;
    for (float v : x) max = std::max<double>(max, v);
    for (float v : x) sum += std::exp(v - max);
    std::vector<float> p(n);
    const float lse = Softmax(GetParam(), x, p.data());
    EXPECT_EQ(lse, LogSumExp(GetParam(), x));
    EXPECT_NEAR(lse, max + std::log(sum), 1e-6 * std::abs(max + std::log(sum)) + 1e-7);
    for (int i = 0; i < n; ++i) {
      // The rounding of x - max is worth up to 2^-24 |x - max|; below e^-87 results are 0.
      const double expected = std::exp(x[i] - max) / sum;
      if (std::isinf(x[i])) {
        EXPECT_EQ(p[i], 0.0f);
      } else {
        ExpectNear(expected, p[i], 1e-6 + 1.2e-7 * (max - x[i]), 1e-37);
      }
    }
  }
  const std::vector<float> none(20, -kInf);
  EXPECT_EQ(LogSumExp(GetParam(), none), -kInf);
}

INSTANTIATE_TEST_SUITE_P(AllIsas, Elementwise,
                         testing::ValuesIn(AllIsas().begin(), AllIsas().end()),
                         [](const auto& test) { return std::string(IsaName(test.param)); });

}  // namespace
}  // namespace kvasir
