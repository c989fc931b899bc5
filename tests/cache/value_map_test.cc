// Values of which some channels are stored: what is read, what attention gets, what it takes.
#include "cache/value_map.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/cache/heads.h"

namespace kvasir {
namespace {

using testing::ElementsAre;

const std::vector<uint8_t> kChannels = {1, 4, 5, 9, 15};

ValueMapPtr SomeChannels() { return std::make_shared<const ValueMap>(kTestDim, kChannels); }

// The rows, zero where a channel is not stored.
Rows Thinned(Rows rows) {
  for (std::vector<float>& row : rows) {
    for (int c = 0; c < kTestDim; ++c) {
      if (std::ranges::count(kChannels, c) == 0) row[c] = 0;
    }
  }
  return rows;
}

// A head of n entries of which the first n_narrow have lost value channels.
HeadCache NarrowHead(PagePool& pool, int n, int n_narrow) {
  HeadCache head(pool, TestFormat());
  AppendRows(head, RandomRows(n, 1), RandomRows(n, 2));
  head.SetValueMap(SomeChannels());
  const PlaneFormat f32 = head.format().v();
  EXPECT_TRUE(head.Encode({PlaneKind::kValues, f32, 0, n_narrow}, {{}, f32}));
  return head;
}

TEST(ValueMap, GathersAndRestores) {
  const ValueMap map(6, {0, 2, 5});
  const float value[6] = {1, 2, 3, 4, 5, 6};
  float stored[3], back[6];
  map.Gather(value, stored);
  EXPECT_THAT(stored, ElementsAre(1, 3, 6));
  map.Restore(stored, back);
  EXPECT_THAT(back, ElementsAre(1, 0, 3, 0, 0, 6));
  EXPECT_EQ(map.dim(), 3);
  EXPECT_EQ(map, ValueMap(6, {0, 2, 5}));
  EXPECT_FALSE(map == ValueMap(6, {0, 2, 4}));
}

TEST(ValueMap, ChannelsOfADamagedFileAreRefused) {
  const auto good = [](int dim, const std::vector<uint8_t>& channels) {
    return ValueMap::Check(dim, channels).has_value();
  };
  EXPECT_TRUE(good(16, {0, 15}));
  EXPECT_FALSE(good(16, {}));
  EXPECT_FALSE(good(16, {16}));
  EXPECT_FALSE(good(16, {3, 3}));
  EXPECT_FALSE(good(16, {4, 3}));
  EXPECT_FALSE(good(257, {0}));
}

TEST(NarrowValues, ReadZerosAndTakeFewerBytes) {
  PagePool pool;
  const HeadCache head = NarrowHead(pool, 150, 128);
  Rows expected = Thinned(RandomRows(150, 2));
  const Rows whole = RandomRows(150, 2);
  std::copy(whole.begin() + 128, whole.end(), expected.begin() + 128);
  EXPECT_EQ(ReadRows(head, PlaneKind::kValues), expected);
  EXPECT_EQ(ReadRows(head, PlaneKind::kKeys), RandomRows(150, 1));
  EXPECT_EQ(head.n_staged(PlaneKind::kValues), 22);
  // 5 channels of 4 bytes, and what a vector reads behind the last: planes are multiples of 128.
  EXPECT_EQ(head.bytes().values, 2 * (64 * 5 * 4 + 128) + head.format().v_bytes());
  EXPECT_EQ(head.bytes().keys, 3 * head.format().k_bytes());
  EXPECT_EQ(head.bytes().keys + head.bytes().values, pool.used_bytes());
  const HeadCache whole_head(pool, TestFormat());
  EXPECT_GE(head.bytes().facts, whole_head.bytes().facts + head.value_map()->bytes());
}

// The same bits as from values that are zero there.
TEST(NarrowValues, AttentionTakesTheOthersForZero) {
  PagePool pool;
  const HeadCache head = NarrowHead(pool, 150, 128);
  HeadCache zeros(pool, TestFormat());
  Rows values = Thinned(RandomRows(150, 2));
  const Rows whole = RandomRows(150, 2);
  std::copy(whole.begin() + 128, whole.end(), values.begin() + 128);
  AppendRows(zeros, RandomRows(150, 1), values);
  for (const std::vector<float>& query : RandomRows(5, 3, 2)) {
    EXPECT_EQ(AttendAll(head, query), AttendAll(zeros, query));
  }
}

TEST(NarrowValues, EvictingPackingAndForkingKeepThem) {
  PagePool pool;
  HeadCache head = NarrowHead(pool, 300, 256);
  const Rows before = ReadRows(head, PlaneKind::kValues);
  std::vector<int32_t> kept;
  Rows expected;
  for (int i = 1; i < 300; i += 4) {
    kept.push_back(i);
    expected.push_back(before[i]);
  }
  HeadCache fork = head.Fork();
  EXPECT_EQ(fork.value_map(), head.value_map());
  fork.Keep(kept);
  EXPECT_EQ(ReadRows(fork, PlaneKind::kValues), expected);
  EXPECT_EQ(ReadRows(head, PlaneKind::kValues), before);
  // What comes later is whole, and goes through the same map when it is encoded.
  AppendRows(fork, RandomRows(70, 4), RandomRows(70, 5), 300);
  EXPECT_EQ(fork.n_staged(PlaneKind::kValues), 70 + 11);
  const PlaneFormat f32 = fork.format().v();
  ASSERT_TRUE(fork.Encode({PlaneKind::kValues, f32, 0, 81}, {{}, f32}));
  EXPECT_EQ(fork.n_staged(PlaneKind::kValues), 0);
  EXPECT_EQ(fork.run_format(0).v_map, head.value_map());
  EXPECT_EQ(ReadRows(fork, PlaneKind::kValues).back(), Thinned(RandomRows(70, 5)).back());
  fork.Clear();
  EXPECT_FALSE(fork.value_map());
  EXPECT_EQ(head.bytes().keys + head.bytes().values, pool.used_bytes());
}

// What is written has all channels again.
TEST(NarrowValues, MergingMakesAnEntryWhole) {
  PagePool pool;
  HeadCache head = NarrowHead(pool, 64, 64);
  const Rows values = ReadRows(head, PlaneKind::kValues);
  MergeSets sets;
  sets.Add(3, .5f, .5f);
  sets.Add(4, .5f, .5f);
  sets.Close(3);
  ASSERT_TRUE(head.Merge(sets));
  const Rows merged = ReadRows(head, PlaneKind::kValues);
  for (int c = 0; c < kTestDim; ++c) {
    EXPECT_FLOAT_EQ(merged[3][c], (values[3][c] + values[4][c]) / 2);
  }
  EXPECT_EQ(head.n_staged(PlaneKind::kValues), 1);
  EXPECT_EQ(merged[5], values[5]);
  EXPECT_EQ(head.bytes().keys + head.bytes().values, pool.used_bytes());
}

TEST(NarrowValues, ACodecThatCannotHoldThemSaysSo) {
  PagePool pool;
  HeadCache head(pool, TestFormat());
  AppendRows(head, RandomRows(64, 1), RandomRows(64, 2));
  head.SetValueMap(SomeChannels());
  const Status status =
      head.Encode({PlaneKind::kValues, head.format().v(), 0, 64}, {{}, TokenPlane(4, 0)});
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message, testing::HasSubstr("5 channels of values in q4"));
  EXPECT_EQ(ReadRows(head, PlaneKind::kValues), RandomRows(64, 2));
}

}  // namespace
}  // namespace kvasir
