// Keys that move: by every kind of rope a model may have (trap 3.13), and often (3.12).
#include "engine/rope_cache.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/engine/engine_test_util.h"

namespace kvasir::testing_ {
namespace {

std::vector<float> RandomKey(int dim, uint32_t seed) {
  std::vector<float> key(dim);
  for (float& x : key) {
    seed = seed * 1664525u + 1013904223u;
    x = static_cast<float>(seed >> 8) * 0x1p-23f - 1;
  }
  return key;
}

void RotateTo(const RopeTable& table, int32_t position, std::vector<float>& key) {
  std::vector<float> angles(table.n_rot());
  float* const sin = angles.data() + table.n_rot() / 2;
  RopeAngles(table, position, angles.data(), sin);
  RotateHead(Isa::kAvx2, table, angles.data(), sin, key.data());
}

double Distance(std::span<const float> a, std::span<const float> b) {
  double difference = 0, length = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
    length += double{b[i]} * b[i];
  }
  return std::sqrt(difference / length);
}

class MovedKeys : public testing::TestWithParam<std::string> {};

TEST_P(MovedKeys, AreAsIfRotatedThereAtFirst) {
  const auto model = LoadModel(GoldenModel(GetParam() + ".gguf"));
  ASSERT_NE(model, nullptr);
  Forward& forward = model->forward();
  for (int l = 0; l < model->config().n_layers; ++l) {
    for (const auto& [from, to] : {std::pair(0, 1), {1, 0}, {5, 300}, {3000, 17}, {40, 30000}}) {
      const std::vector<float> key = RandomKey(model->config().head_dim, 7 + l);
      std::vector<float> moved = key, there = key;
      RotateTo(forward.rope(l), from, moved);
      RotateTo(forward.rope(l), to, there);
      forward.rotator(l).Rotate(moved.data(), from, to);
      EXPECT_LT(Distance(moved, there), 1e-6) << "layer " << l << ", " << from << " to " << to;
    }
  }
}

// In the first layer a key depends on its token and its position alone.
TEST_P(MovedKeys, AreThoseOfATextThatBeginsLater) {
  const auto model = LoadModel(GoldenModel(GetParam() + ".gguf"));
  ASSERT_NE(model, nullptr);
  constexpr int kShift = 37, kLast = 60;  // windows of 96 hold these
  const std::vector<int32_t> text = RandomIds(120, 1);
  std::vector<int32_t> later = RandomIds(kShift, 2);
  later.insert(later.end(), text.begin(), text.end());
  const auto keys_of = [&](const std::vector<int32_t>& ids, int h) {
    const auto session = OpenSession(model, {.kv_type = "f32"});
    EXPECT_TRUE(session->Feed(ids, {}));
    const HeadCache& head = session->cache().layer(0)[h];
    std::vector<float> keys(size_t{kLast} * model->config().head_dim);
    head.Read(PlaneKind::kKeys, head.size() - kLast, kLast, keys.data());
    return keys;
  };
  for (int h = 0; h < model->config().n_kv_heads; ++h) {
    std::vector<float> moved = keys_of(text, h);
    for (int i = 0; i < kLast; ++i) {
      const int position = static_cast<int>(text.size()) - kLast + i;
      model->forward().rotator(0).Rotate(moved.data() + int64_t{i} * model->config().head_dim,
                                         position, position + kShift);
    }
    EXPECT_LT(Distance(moved, keys_of(later, h)), 1e-5) << "head " << h;
  }
}

INSTANTIATE_TEST_SUITE_P(Ropes, MovedKeys,
                         testing::Values("llama", "llama-linear", "llama3-rope", "qwen2-yarn",
                                         "qwen3", "gemma2", "gemma3", "phi3"),
                         [](const testing::TestParamInfo<std::string>& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// A hundred evictions out of the middle, each followed by a renumbering that moves every key,
// against one rotation; and what the codec alone loses.
struct Drift {
  double moved = 0, rounded = 0;  // RMS over all keys, relative
  double most = 0;                // of one key, moved
};

Drift DriftOf(CodecId codec) {
  const auto model = LoadModel(GoldenModel("llama.gguf"));
  const int dim = model->config().head_dim;
  const RopeTable& rope = model->forward().rope(0);
  const KeyRotator& rotator = model->forward().rotator(0);
  const PlaneFormat plane = FloatPlane(codec, dim);
  PagePool pool;
  HeadCache head(pool, {.head_dim = dim, .k_plane = plane, .v_plane = plane});
  std::vector<SlotRange> slots;
  EXPECT_TRUE(head.Append(1200, 0, slots));
  for (const SlotRange& range : slots) {
    for (int i = 0; i < range.n; ++i) {
      std::vector<float> key = RandomKey(dim, range.row + i);
      RotateTo(rope, range.row + i, key);
      EncodeEntries(Isa::kAvx2, plane, PlaneKind::kKeys, key.data(), dim, range.slot + i, 1,
                    range.k);
      EncodeEntries(Isa::kAvx2, plane, PlaneKind::kValues, key.data(), dim, range.slot + i, 1,
                    range.v);
    }
  }
  for (int64_t round = 0; round < 100; ++round) {
    std::vector<int32_t> kept;
    for (int64_t i = 0; i < head.size(); ++i) {
      // Ten go, far apart, so that what stays moves by eleven distances.
      if ((i + round * 7) % (head.size() / 10) != 0) kept.push_back(static_cast<int32_t>(i));
    }
    head.Keep(kept);
    EXPECT_TRUE(head.Renumber(rotator));
  }
  const std::vector<int32_t> orders = head.Orders();
  std::vector<float> keys(orders.size() * dim), once, rounded(keys.size());
  head.Read(PlaneKind::kKeys, 0, head.size(), keys.data(), &rotator);
  std::vector<std::byte> bytes(PlaneBytes(plane, PlaneKind::kKeys));
  Drift drift;
  for (size_t i = 0; i < orders.size(); ++i) {
    std::vector<float> key = RandomKey(dim, orders[i]);
    RotateTo(rope, static_cast<int32_t>(i), key);
    drift.most = std::max(drift.most, Distance(std::span(keys).subspan(i * dim, dim), key));
    EncodeEntries(Isa::kAvx2, plane, PlaneKind::kKeys, key.data(), dim, 0, 1, bytes.data());
    DecodeEntries(plane, PlaneKind::kKeys, bytes.data(), 0, 1, rounded.data() + i * dim, dim);
    once.insert(once.end(), key.begin(), key.end());
  }
  drift.moved = Distance(keys, once);
  drift.rounded = Distance(rounded, once);
  return drift;
}

TEST(RenumberedKeys, DoNotDriftInF32) { EXPECT_LT(DriftOf(CodecId::kF32).most, 1e-5); }

// Rounded when they were appended and when they were first moved, and never again.
TEST(RenumberedKeys, AreRoundedTwiceIn16Bits) {
  for (CodecId codec : {CodecId::kF16, CodecId::kBF16}) {
    const Drift drift = DriftOf(codec);
    EXPECT_LT(drift.moved, 1.6 * drift.rounded);
    EXPECT_GT(drift.rounded, codec == CodecId::kF16 ? 1e-4 : 1e-3);
    EXPECT_LT(drift.moved, codec == CodecId::kF16 ? 1e-3 : 1e-2);
    RecordProperty(FormatName(FloatPlane(codec, 0)), std::to_string(drift.moved));
    RecordProperty(FormatName(FloatPlane(codec, 0)) + "_once", std::to_string(drift.rounded));
  }
}

}  // namespace
}  // namespace kvasir::testing_
