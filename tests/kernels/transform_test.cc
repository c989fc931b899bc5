#include "kernels/transform.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/normal_vector.h"

namespace kvasir {
namespace {

double Dot(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += double{a[i]} * b[i];
  return sum;
}

// FFT of [4, -1, 2, -3] = [2, 2 - 2i, 10, 2 + 2i].
TEST(RealFourier, WorkedByHand) {
  const RealFourier fourier(4);
  const float x[4] = {4, -1, 2, -3};
  float y[4], back[4];
  fourier.Forward(x, y);
  EXPECT_FLOAT_EQ(y[0], 2 / 2.0f);
  EXPECT_FLOAT_EQ(y[1], 2 * std::sqrt(0.5f));
  EXPECT_FLOAT_EQ(y[2], -2 * std::sqrt(0.5f));
  EXPECT_FLOAT_EQ(y[3], 10 / 2.0f);
  fourier.Inverse(y, back);
  for (int i = 0; i < 4; ++i) EXPECT_NEAR(back[i], x[i], 1e-6);
}

TEST(RealFourier, MatchesTheDefinitionInDouble) {
  for (int n : {2, 4, 6, 10, 14, 32, 48, 52, 64, 80, 96, 116, 128, 250}) {
    const RealFourier fourier(n);
    const std::vector<float> x = NormalVector(n, n);
    std::vector<float> y(n), back(n);
    fourier.Forward(x.data(), y.data());
    for (int i = 0; i < n; ++i) {
      const int k = (i + 1) / 2;
      double expected = 0;
      for (int j = 0; j < n; ++j) {
        const double angle = -2 * M_PI * j * k / n;
        expected += x[j] * (i % 2 == 1 || i == 0 ? std::cos(angle) : std::sin(angle));
      }
      expected *= std::sqrt((i == 0 || i == n - 1 ? 1.0 : 2.0) / n);
      ASSERT_NEAR(y[i], expected, 2e-6 * std::sqrt(n)) << "n " << n << " row " << i;
    }
    fourier.Inverse(y.data(), back.data());
    for (int i = 0; i < n; ++i) ASSERT_NEAR(back[i], x[i], 3e-6) << "n " << n;
    std::vector<float> in_place = x;
    fourier.Forward(in_place.data(), in_place.data());
    EXPECT_EQ(in_place, y);
    fourier.Inverse(in_place.data(), in_place.data());
    EXPECT_EQ(in_place, back);
  }
}

// (F q) . (F k) = q . k
TEST(RealFourier, KeepsProducts) {
  for (int n : {32, 64, 96, 128}) {
    const RealFourier fourier(n);
    const std::vector<float> q = NormalVector(n, 1), k = NormalVector(n, 2);
    std::vector<float> fq(n), fk(n);
    fourier.Forward(q.data(), fq.data());
    fourier.Forward(k.data(), fk.data());
    EXPECT_NEAR(Dot(fq, fk), Dot(q, k), 1e-5);
  }
}

TEST(WalshHadamard, WorkedByHandAndItsOwnInverse) {
  std::vector<float> x = {1, 2, 3, 4};
  WalshHadamard(x.data(), 4);
  EXPECT_EQ(x, (std::vector<float>{5, -1, -2, 0}));
  WalshHadamard(x.data(), 4);
  EXPECT_EQ(x, (std::vector<float>{1, 2, 3, 4}));
  std::vector<float> blocks = {1, 3, 5, 9, 2, 2};  // blocks of two
  WalshHadamard(blocks.data(), 6);
  const float r = std::sqrt(0.5f);
  const float expected[6] = {4 * r, -2 * r, 14 * r, -4 * r, 4 * r, 0};
  for (int i = 0; i < 6; ++i) EXPECT_FLOAT_EQ(blocks[i], expected[i]);
}

TEST(WalshHadamard, KeepsProducts) {
  for (int n : {1, 16, 32, 64, 80, 96, 128, 256}) {
    std::vector<float> q = NormalVector(n, 1), k = NormalVector(n, 2);
    const double before = Dot(q, k);
    WalshHadamard(q.data(), n);
    WalshHadamard(k.data(), n);
    EXPECT_NEAR(Dot(q, k), before, 2e-5);
  }
}

}  // namespace
}  // namespace kvasir
