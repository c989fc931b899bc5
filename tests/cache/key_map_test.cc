#include "cache/key_map.h"

#include <gtest/gtest.h>

#include <climits>
#include <cmath>
#include <numeric>

#include "base/buffer.h"
#include "kernels/codec.h"
#include "tests/normal_vector.h"

namespace kvasir {
namespace {

double Dot(const std::vector<float>& a, const std::vector<float>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

// What maps of all channels must not change: q . k, and the key that comes back.
void ExpectFaithful(int dim, const KeyMap::Parts& parts) {
  const KeyMap map(dim, parts);
  for (uint32_t seed = 0; seed < 20; ++seed) {
    const std::vector<float> q = NormalVector(dim, 2 * seed), k = NormalVector(dim, 2 * seed + 1);
    std::vector<float> mapped_q(map.dim()), mapped_k(map.dim()), back(dim);
    map.MapQuery(q.data(), mapped_q.data());
    map.MapKey(k.data(), mapped_k.data());
    map.Restore(mapped_k.data(), back.data());
    EXPECT_NEAR(Dot(mapped_q, mapped_k), Dot(q, k), 1e-4) << dim;
    for (int c = 0; c < dim; ++c) EXPECT_NEAR(back[c], k[c], 1e-5) << dim << " channel " << c;
  }
}

TEST(KeyMap, KeepsDotProducts) {
  for (int dim : {32, 64, 96, 128}) {
    std::vector<uint8_t> reversed(dim);
    for (int c = 0; c < dim; ++c) reversed[c] = static_cast<uint8_t>(dim - 1 - c);
    std::vector<float> balancer = NormalVector(dim, 7);
    for (float& b : balancer) b = std::exp(b);
    using Transform = KeyMap::Transform;
    ExpectFaithful(dim, {});
    ExpectFaithful(dim, {.channels = reversed});
    ExpectFaithful(dim, {.balancer = balancer});
    ExpectFaithful(dim, {.transform = Transform::kHadamard});
    ExpectFaithful(dim, {.transform = Transform::kFourier});
    ExpectFaithful(
        dim, {.channels = reversed, .transform = Transform::kFourier, .transform_from = dim / 2});
    ExpectFaithful(dim, {.channels = reversed,
                         .balancer = balancer,
                         .transform = Transform::kHadamard,
                         .transform_from = dim / 4});
  }
}

// MiKV's sheet, test 4: the balancer of its example, and what balanced keys in 2 bits give.
TEST(KeyMap, BalancesAsMiKvDoes) {
  const std::vector<float> q = {8, 1, .5, 1}, k = {.5, 1, 4, 1};
  const KeyMap map(4, {.balancer = {4, std::sqrt(0.5f), std::sqrt(0.125f), 1}});
  float mapped_q[4], mapped_k[4];
  map.MapQuery(q.data(), mapped_q);
  map.MapKey(k.data(), mapped_k);
  EXPECT_NEAR(mapped_q[0], 2, 1e-6);
  EXPECT_NEAR(mapped_k[2], 4 * 0.35355f, 1e-4);
  EXPECT_NEAR(mapped_q[0] * mapped_k[0] + mapped_q[1] * mapped_k[1] + mapped_q[2] * mapped_k[2] +
                  mapped_q[3] * mapped_k[3],
              8, 1e-5);
}

// The same example's logits: keys as they are and balanced, in 2 bits, one group a key.
TEST(KeyMap, BalancedKeysLoseLess) {
  const std::vector<std::vector<float>> q = {{8, 1, .5, 1}, {-4, .5, -1, .25}},
                                        k = {{.5, 1, 4, 1}, {-.25, 2, -8, .5}, {.1, -1.5, 6, -1}};
  PlaneFormat format = TokenPlane(2, 4, 8);
  format.f32_scales = true;
  const auto rms = [&](const std::vector<float>& balancer) {
    const KeyMap map(4, {.balancer = balancer});
    double sum = 0;
    for (const auto& key : k) {
      Buffer plane(PlaneBytes(format, PlaneKind::kKeys));
      std::vector<float> mapped(4), stored(4), back(4);
      map.MapKey(key.data(), mapped.data());
      EncodeEntries(Isa::kAvx2, format, PlaneKind::kKeys, mapped.data(), 4, 0, 1, plane.data());
      DecodeEntries(format, PlaneKind::kKeys, plane.data(), 0, 1, stored.data(), 4);
      map.Restore(stored.data(), back.data());
      for (const auto& query : q) sum += std::pow(Dot(query, back) - Dot(query, key), 2);
    }
    return std::sqrt(sum / 6);
  };
  EXPECT_NEAR(rms({1, 1, 1, 1}), 4.716, 1e-3);
  EXPECT_NEAR(rms({4, std::sqrt(0.5f), std::sqrt(0.125f), 1}), 0.710, 1e-3);
}

// ThinK's sheet, test 3: gathered queries against narrow keys are full queries against keys that
// are 0 where channels went.
TEST(KeyMap, DroppedChannelsAreZero) {
  constexpr int kDim = 64;
  std::vector<uint8_t> kept;
  for (int c = 0; c < kDim; c += 3) kept.push_back(static_cast<uint8_t>(c));
  const KeyMap map(kDim, {.channels = kept});
  EXPECT_TRUE(map.drops_channels());
  EXPECT_EQ(map.dim(), 22);
  const std::vector<float> q = NormalVector(kDim, 1), k = NormalVector(kDim, 2);
  std::vector<float> mapped_q(22), mapped_k(22), zero_filled(kDim);
  map.MapQuery(q.data(), mapped_q.data());
  map.MapKey(k.data(), mapped_k.data());
  map.Restore(mapped_k.data(), zero_filled.data());
  EXPECT_NEAR(Dot(mapped_q, mapped_k), Dot(q, zero_filled), 1e-5);
  for (int c = 0; c < kDim; ++c) EXPECT_EQ(zero_filled[c], c % 3 == 0 ? k[c] : 0);
}

TEST(KeyMap, PartsOfADamagedFileAreRefused) {
  using Transform = KeyMap::Transform;
  EXPECT_TRUE(KeyMap::Check(16, {}));
  EXPECT_FALSE(KeyMap::Check(16, {.channels = {16}}));
  EXPECT_FALSE(KeyMap::Check(16, {.channels = std::vector<uint8_t>(17)}));
  EXPECT_FALSE(KeyMap::Check(16, {.balancer = {1, 2}}));
  EXPECT_FALSE(KeyMap::Check(2, {.balancer = {1, NAN}}));
  EXPECT_FALSE(KeyMap::Check(2, {.balancer = {1, -1}}));
  EXPECT_FALSE(KeyMap::Check(16, {.transform_from = 17}));
  EXPECT_FALSE(KeyMap::Check(16, {.transform_from = -1}));
  EXPECT_FALSE(KeyMap::Check(16, {.transform_from = INT_MIN}));
  EXPECT_FALSE(KeyMap::Check(16, {.transform = Transform::kFourier, .transform_from = 3}));
  EXPECT_FALSE(KeyMap::Check(16, {.transform = static_cast<Transform>(9)}));
}

}  // namespace
}  // namespace kvasir
