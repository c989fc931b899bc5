// Entries that change their format: where they lie, what they decode to, and what happens to bytes.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "cache/cache_file.h"
#include "cache/kv_cache.h"
#include "tests/cache/heads.h"
#include "tests/normal_vector.h"

namespace kvasir {
namespace {

constexpr int kDim = 32;
const PlaneFormat kKeys2 = ChannelPlane(2, 0), kValues2 = TokenPlane(2, 0);

class EncodeTest : public testing::Test {
 protected:
  PagePool pool_;
  const HeadFormat format_{.head_dim = kDim,
                           .k_plane = FloatPlane(CodecId::kF32, 0),
                           .v_plane = FloatPlane(CodecId::kF32, 0)};
  HeadCache head_{pool_, format_};

  // The key and the value of an order: the same whenever they are asked for.
  static std::vector<float> Vector(int order, bool key) {
    return NormalVector(kDim, 2 * order + (key ? 1 : 0));
  }
  static void Append(HeadCache& head, int n, int first_order) {
    std::vector<SlotRange> slots;
    ASSERT_TRUE(head.Append(n, first_order, slots));
    for (const SlotRange& range : slots) {
      for (int i = 0; i < range.n; ++i) {
        const int order = first_order + range.row + i;
        EncodeEntries(Isa::kAvx2, head.format().k(), PlaneKind::kKeys, Vector(order, true).data(),
                      kDim, range.slot + i, 1, range.k);
        EncodeEntries(Isa::kAvx2, head.format().v(), PlaneKind::kValues,
                      Vector(order, false).data(), kDim, range.slot + i, 1, range.v);
      }
    }
  }
  // The largest difference between what is held and what was appended.
  static double Error(const HeadCache& head, PlaneKind kind) {
    const std::vector<int32_t> orders = head.Orders();
    std::vector<float> x(orders.size() * kDim);
    head.Read(kind, 0, head.size(), x.data());
    double worst = 0;
    for (size_t i = 0; i < orders.size(); ++i) {
      const std::vector<float> real = Vector(orders[i], kind == PlaneKind::kKeys);
      for (int c = 0; c < kDim; ++c) {
        worst = std::max<double>(worst, std::abs(real[c] - x[i * kDim + c]));
      }
    }
    return worst;
  }
  static std::vector<float> All(const HeadCache& head, PlaneKind kind) {
    std::vector<float> x(head.size() * kDim);
    head.Read(kind, 0, head.size(), x.data());
    return x;
  }
  static std::vector<int32_t> Range(int first, int n, int step = 1) {
    std::vector<int32_t> range;
    for (int i = 0; i < n; ++i) range.push_back(first + i * step);
    return range;
  }
  // The oldest n staged entries of one plane.
  static StoredSpan Oldest(const HeadCache& head, PlaneKind kind, int64_t n) {
    return {kind, kind == PlaneKind::kKeys ? head.format().k() : head.format().v(), 0, n};
  }
  void ExpectAccounted() const {
    EXPECT_EQ(head_.bytes().keys + head_.bytes().values, pool_.used_bytes());
  }
};

TEST_F(EncodeTest, OnlyWhatIsEncodedChanges) {
  Append(head_, 200, 0);
  const int64_t full = pool_.used_bytes();
  ASSERT_TRUE(head_.Encode(Oldest(head_, PlaneKind::kKeys, 128), {kKeys2, kValues2}));
  EXPECT_EQ(head_.Orders(), Range(0, 200));
  EXPECT_EQ(head_.Positions(), Range(0, 200));
  EXPECT_EQ(head_.n_staged(PlaneKind::kKeys), 72);
  EXPECT_EQ(head_.n_staged(PlaneKind::kValues), 72);
  EXPECT_EQ(head_.n_stored(PlaneKind::kKeys, kKeys2), 128);
  EXPECT_EQ(head_.Entries({PlaneKind::kKeys, kKeys2, 5, 3}), Range(5, 3));
  EXPECT_EQ(head_.Entries(Oldest(head_, PlaneKind::kKeys, 2)), Range(128, 2));
  std::vector<float> x(kDim);
  head_.Read(PlaneKind::kKeys, 128, 1, x.data());
  EXPECT_EQ(x, Vector(128, true));
  // Half a step of a grid over 32 normal numbers.
  EXPECT_LT(Error(head_, PlaneKind::kKeys), 1.6);
  EXPECT_LT(Error(head_, PlaneKind::kValues), 1.6);
  EXPECT_GT(Error(head_, PlaneKind::kKeys), 0.1);
  EXPECT_EQ(pool_.used_bytes(),
            full / 2 + 2 * (PlaneBytes(ChannelPlane(2, kDim), PlaneKind::kKeys) +
                            PlaneBytes(TokenPlane(2, kDim), PlaneKind::kValues)));
  ExpectAccounted();
}

// KIVI's timing: keys by blocks, values one by one; the same codes as all at once.
TEST_F(EncodeTest, KeysAndValuesAtTheirOwnTimes) {
  constexpr int kResidual = 32;
  for (int n = 1; n <= 300; ++n) {
    Append(head_, 1, n - 1);
    const int64_t n_keys = head_.n_staged(PlaneKind::kKeys) / kResidual * kResidual;
    ASSERT_TRUE(head_.Encode(Oldest(head_, PlaneKind::kKeys, n_keys), {kKeys2, {}}));
    const int64_t n_values = std::max<int64_t>(0, head_.n_staged(PlaneKind::kValues) - kResidual);
    ASSERT_TRUE(head_.Encode(Oldest(head_, PlaneKind::kValues, n_values), {{}, kValues2}));
    ASSERT_EQ(head_.n_staged(PlaneKind::kKeys), n % kResidual);
    ASSERT_EQ(head_.n_staged(PlaneKind::kValues), std::min(n, kResidual));
    ASSERT_EQ(head_.size(), n);
    ASSERT_LE(head_.runs().size(), 3u);
  }
  EXPECT_EQ(head_.Orders(), Range(0, 300));
  ExpectAccounted();
  HeadCache at_once(pool_, format_);
  Append(at_once, 300, 0);
  ASSERT_TRUE(at_once.Encode(Oldest(at_once, PlaneKind::kKeys, 288), {kKeys2, {}}));
  ASSERT_TRUE(at_once.Encode(Oldest(at_once, PlaneKind::kValues, 268), {{}, kValues2}));
  EXPECT_EQ(All(head_, PlaneKind::kKeys), All(at_once, PlaneKind::kKeys));
  EXPECT_EQ(All(head_, PlaneKind::kValues), All(at_once, PlaneKind::kValues));
  EXPECT_LE(head_.bytes().total(), at_once.bytes().total() * 5 / 4);
}

TEST_F(EncodeTest, EntriesOfTwoFormatsAreNumberedByTheText) {
  Append(head_, 300, 0);
  const PlaneFormat low = TokenPlane(4, 0, 16);
  ASSERT_TRUE(head_.Encode(Range(0, 100, 3), {low, low}));
  Append(head_, 10, 300);
  ASSERT_TRUE(head_.Encode(std::vector<int32_t>{7, 301}, {low, low}));
  EXPECT_EQ(head_.Orders(), Range(0, 310));
  EXPECT_EQ(head_.Positions(), Range(0, 310));
  EXPECT_EQ(head_.FirstOrder(), 0);
  EXPECT_LT(Error(head_, PlaneKind::kKeys), 0.3);
  // What kernels write by slot comes back by entry.
  std::vector<float> by_slot(head_.n_slots()), by_entry(head_.size());
  size_t slot = 0;
  for (const RunRef& run : head_.runs()) {
    for (int32_t p = 0; p < run.n_pages; ++p) {
      for (int s = 0; s < kPageEntries; ++s, ++slot) {
        const PageRef& page = run.pages[p];
        by_slot[slot] = static_cast<float>(page.order ? page.order[s] : page.order0 + s);
      }
    }
  }
  head_.Gather(by_slot.data(), by_entry.data());
  for (int i = 0; i < 310; ++i) EXPECT_EQ(by_entry[i], static_cast<float>(i));
  head_.Drop(0, 10);
  EXPECT_EQ(head_.Orders(), Range(10, 300));
  head_.Keep(Range(0, 150, 2));
  EXPECT_EQ(head_.Orders(), Range(10, 150, 2));
  head_.Truncate(100);
  EXPECT_EQ(head_.Orders(), Range(10, 45, 2));
  EXPECT_LT(Error(head_, PlaneKind::kValues), 0.3);
  ExpectAccounted();
}

TEST_F(EncodeTest, EvictingFromGroupsReturnsTheBytes) {
  for (const int group : {32, 64}) {
    const PlaneFormat keys = ChannelPlane(2, 0, group);
    HeadCache head(pool_, format_);
    Append(head, 6400, 0);
    ASSERT_TRUE(head.Encode(Oldest(head, PlaneKind::kKeys, 6400), {keys, kValues2}));
    const int64_t full = pool_.used_bytes();
    const std::vector<float> before = All(head, PlaneKind::kKeys);
    // Whole groups are copied as they are.
    std::vector<int32_t> groups;
    for (int g = 0; g < 6400 / group; g += 10) {
      for (int32_t entry : Range(group * g, group)) groups.push_back(entry);
    }
    HeadCache fork = head.Fork();
    fork.Keep(groups);
    EXPECT_EQ(fork.Orders(), groups);
    EXPECT_EQ(fork.n_slots(), 640);
    const std::vector<float> after = All(fork, PlaneKind::kKeys);
    for (size_t i = 0; i < groups.size(); ++i) {
      for (int c = 0; c < kDim; ++c) ASSERT_EQ(after[i * kDim + c], before[groups[i] * kDim + c]);
    }
    // Strewn entries are encoded anew, densely, the last group filled up.
    const std::vector<int32_t> strewn = Range(3, 650, 9);
    head.Keep(strewn);
    EXPECT_EQ(head.Orders(), strewn);
    EXPECT_EQ(head.n_slots(), 704);
    EXPECT_LT(Error(head, PlaneKind::kKeys), 3.2);  // twice encoded
    fork.Clear();
    EXPECT_LE(pool_.used_bytes(), full * 11 / 100 + full / 100);
    EXPECT_EQ(head.bytes().keys + head.bytes().values, pool_.used_bytes());
    // A few holes are cheaper than encoding again.
    head.Drop(0, 100);
    EXPECT_EQ(head.size(), 550);
    EXPECT_LE(head.n_slots(), 704);
  }
}

TEST_F(EncodeTest, ForksShareUntilOneEncodes) {
  Append(head_, 160, 0);
  ASSERT_TRUE(head_.Encode(Oldest(head_, PlaneKind::kKeys, 128), {kKeys2, {}}));
  ASSERT_TRUE(head_.Encode(Oldest(head_, PlaneKind::kValues, 40), {{}, kValues2}));
  const int64_t alone = pool_.used_bytes();
  HeadCache fork = head_.Fork();
  EXPECT_EQ(pool_.used_bytes(), alone);
  const std::vector<float> keys = All(head_, PlaneKind::kKeys),
                           values = All(head_, PlaneKind::kValues);
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(fork.Encode(Oldest(fork, PlaneKind::kValues, 1), {{}, kValues2}));
  }
  Append(fork, 40, 160);
  ASSERT_TRUE(fork.Encode(Oldest(fork, PlaneKind::kKeys, 64), {kKeys2, {}}));
  EXPECT_EQ(All(head_, PlaneKind::kKeys), keys);
  EXPECT_EQ(All(head_, PlaneKind::kValues), values);
  // The other one does the same and gets the same.
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(head_.Encode(Oldest(head_, PlaneKind::kValues, 1), {{}, kValues2}));
  }
  Append(head_, 40, 160);
  ASSERT_TRUE(head_.Encode(Oldest(head_, PlaneKind::kKeys, 64), {kKeys2, {}}));
  EXPECT_EQ(All(head_, PlaneKind::kKeys), All(fork, PlaneKind::kKeys));
  EXPECT_EQ(All(head_, PlaneKind::kValues), All(fork, PlaneKind::kValues));
  fork.Clear();
  ExpectAccounted();
}

// KIVI's timing again, in a head that is forked now and then: its entries lie where they lie
// without forks, and a plane that pages of two runs share stays one.
TEST_F(EncodeTest, ForksMoveNothing) {
  constexpr int kResidual = 32;
  HeadCache alone(pool_, format_);
  std::vector<HeadCache> forks;
  const auto live = [](const HeadCache& head) {
    std::vector<uint64_t> bits;
    for (const RunRef& run : head.runs()) {
      for (int64_t p = 0; p < run.n_pages; ++p) bits.push_back(run.pages[p].live);
    }
    return bits;
  };
  for (int n = 1; n <= 300; ++n) {
    if (n % 23 == 0) forks.push_back(head_.Fork());
    for (HeadCache* head : {&head_, &alone}) {
      Append(*head, 1, n - 1);
      const int64_t n_keys = head->n_staged(PlaneKind::kKeys) / kResidual * kResidual;
      ASSERT_TRUE(head->Encode(Oldest(*head, PlaneKind::kKeys, n_keys), {kKeys2, {}}));
      const int64_t n_values = std::max<int64_t>(0, head->n_staged(PlaneKind::kValues) - kResidual);
      ASSERT_TRUE(head->Encode(Oldest(*head, PlaneKind::kValues, n_values), {{}, kValues2}));
    }
    ASSERT_EQ(live(head_), live(alone)) << n;
  }
  EXPECT_EQ(All(head_, PlaneKind::kKeys), All(alone, PlaneKind::kKeys));
  EXPECT_EQ(All(head_, PlaneKind::kValues), All(alone, PlaneKind::kValues));
  for (size_t i = 0; i < forks.size(); ++i) {
    EXPECT_EQ(forks[i].Orders(), Range(0, 23 * static_cast<int>(i + 1) - 1));
    EXPECT_LT(Error(forks[i], PlaneKind::kKeys), 1.8);
    forks[i].Clear();
  }
  EXPECT_EQ(head_.bytes().keys + head_.bytes().values, alone.bytes().keys + alone.bytes().values);
  alone.Clear();
  ExpectAccounted();
}

TEST_F(EncodeTest, MappedKeysReadBackAsKeys) {
  Append(head_, 128, 0);
  head_.SetKeyMap(std::make_shared<const KeyMap>(
      kDim, KeyMap::Parts{.transform = KeyMap::Transform::kHadamard}));
  ASSERT_TRUE(head_.Encode(Oldest(head_, PlaneKind::kKeys, 96), {TokenPlane(8, 0), {}}));
  EXPECT_LT(Error(head_, PlaneKind::kKeys), 0.03);
  EXPECT_EQ(Error(head_, PlaneKind::kValues), 0);
  EXPECT_EQ(head_.n_staged(PlaneKind::kKeys), 32);
  // Channels that were dropped are 0, the others exact.
  HeadCache narrow(pool_, format_);
  Append(narrow, 70, 0);
  narrow.SetKeyMap(std::make_shared<const KeyMap>(kDim, KeyMap::Parts{.channels = {1, 4, 5, 30}}));
  ASSERT_TRUE(
      narrow.Encode(Oldest(narrow, PlaneKind::kKeys, 64), {FloatPlane(CodecId::kF32, 0), {}}));
  EXPECT_EQ(narrow.n_staged(PlaneKind::kKeys), 6);
  EXPECT_EQ(narrow.bytes().keys,
            PlaneBytes(FloatPlane(CodecId::kF32, 4), PlaneKind::kKeys) + narrow.format().k_bytes());
  const std::vector<float> keys = All(narrow, PlaneKind::kKeys);
  for (int c = 0; c < kDim; ++c) {
    const bool kept = c == 1 || c == 4 || c == 5 || c == 30;
    EXPECT_EQ(keys[3 * kDim + c], kept ? Vector(3, true)[c] : 0) << c;
  }
}

TEST_F(EncodeTest, EncodedEntriesMoveByTheQueryWhereTheyCan) {
  Append(head_, 320, 0);
  ASSERT_TRUE(head_.Encode(Oldest(head_, PlaneKind::kKeys, 256), {kKeys2, kValues2}));
  const std::vector<float> before = All(head_, PlaneKind::kKeys);
  head_.Drop(4, 100);
  ASSERT_TRUE(head_.Renumber(NotingRotator()));
  EXPECT_EQ(head_.Positions(), Range(0, 220));
  EXPECT_EQ(head_.PositionOf(320), 220);
  const std::vector<float> after = All(head_, PlaneKind::kKeys);
  for (int i = 4; i < 220; ++i) {
    for (int c = 0; c < kDim; ++c) {
      ASSERT_EQ(after[i * kDim + c], before[(i + 100) * kDim + c]);
    }
  }
  // Many distances: each key is turned once and encoded again.
  head_.Keep(Range(0, 73, 3));
  ASSERT_TRUE(head_.Renumber(NotingRotator()));
  EXPECT_EQ(head_.Positions(), Range(0, 73));
  ExpectAccounted();
}

TEST_F(EncodeTest, KeysWithoutChannelsAreNotMoved) {
  Append(head_, 320, 0);
  head_.SetKeyMap(std::make_shared<const KeyMap>(kDim, KeyMap::Parts{.channels = {1, 4, 5, 30}}));
  ASSERT_TRUE(head_.Encode(Oldest(head_, PlaneKind::kKeys, 256), {kKeys2, kValues2}));
  head_.Keep(Range(0, 100, 3));
  const std::vector<int32_t> positions = head_.Positions();
  const Status status = head_.Renumber(NotingRotator());
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("lost channels"), std::string::npos);
  EXPECT_EQ(head_.Positions(), positions);
}

TEST_F(EncodeTest, WithoutMemoryNothingIsLost) {
  PagePool small(2 * (format_.k_bytes() + format_.v_bytes()));
  {
    HeadCache head(small, format_);
    Append(head, 128, 0);
    EXPECT_FALSE(head.Encode(Oldest(head, PlaneKind::kKeys, 128), {kKeys2, kValues2}));
    EXPECT_EQ(head.Orders(), Range(0, 128));
    EXPECT_EQ(Error(head, PlaneKind::kKeys), 0);
    EXPECT_EQ(head.bytes().keys + head.bytes().values, small.used_bytes());
  }
  EXPECT_EQ(small.used_bytes(), 0);
}

// KIVI's timing with value channels dropped: codes are those of the gathered values.
TEST_F(EncodeTest, NarrowValuesAreEncodedAtTheirOwnTimes) {
  std::vector<uint8_t> channels;
  for (int c = 0; c < kDim; c += 2) channels.push_back(static_cast<uint8_t>(c));
  const auto map = std::make_shared<const ValueMap>(kDim, channels);
  HeadCache at_once(pool_, format_);
  for (HeadCache* head : {&head_, &at_once}) head->SetValueMap(map);
  for (int n = 1; n <= 200; ++n) {
    Append(head_, 1, n - 1);
    const int64_t n_keys = head_.n_staged(PlaneKind::kKeys) / 32 * 32;
    ASSERT_TRUE(head_.Encode(Oldest(head_, PlaneKind::kKeys, n_keys), {kKeys2, {}}));
    const int64_t n_values = std::max<int64_t>(0, head_.n_staged(PlaneKind::kValues) - 32);
    ASSERT_TRUE(head_.Encode(Oldest(head_, PlaneKind::kValues, n_values), {{}, TokenPlane(8, 0)}));
  }
  Append(at_once, 200, 0);
  ASSERT_TRUE(at_once.Encode(Oldest(at_once, PlaneKind::kKeys, 192), {kKeys2, {}}));
  ASSERT_TRUE(at_once.Encode(Oldest(at_once, PlaneKind::kValues, 168), {{}, TokenPlane(8, 0)}));
  const std::vector<float> values = All(head_, PlaneKind::kValues);
  EXPECT_EQ(values, All(at_once, PlaneKind::kValues));
  EXPECT_EQ(All(head_, PlaneKind::kKeys), All(at_once, PlaneKind::kKeys));
  for (int i = 0; i < 200; ++i) {
    for (int c = 0; c < kDim; ++c) {
      const bool gone = i < 168 && c % 2 == 1;
      ASSERT_NEAR(values[i * kDim + c], gone ? 0 : Vector(i, false)[c], gone ? 0 : .02) << i;
    }
  }
  at_once.Clear();
  ExpectAccounted();
}

TEST_F(EncodeTest, SavedCachesGoOnAlike) {
  const std::string path = testing::TempDir() + "/kvasir_encode_test.bin";
  const std::vector<HeadFormat> formats(1, format_);
  KvCache cache(pool_, formats, 1), loaded(pool_, formats, 1);
  HeadCache& head = cache.layer(0)[0];
  Append(head, 300, 0);
  head.SetKeyMap(std::make_shared<const KeyMap>(
      kDim, KeyMap::Parts{.channels = {3, 1, 4, 15}, .balancer = {1, 2, 3, 4}}));
  head.SetValueMap(std::make_shared<const ValueMap>(
      kDim, std::vector<uint8_t>{0, 1, 2, 3, 5, 8, 13, 21, 22, 23, 24, 25, 26, 27, 28, 31}));
  ASSERT_TRUE(head.Encode(Oldest(head, PlaneKind::kKeys, 256), {kKeys2, {}}));
  ASSERT_TRUE(head.Encode(Oldest(head, PlaneKind::kValues, 172), {{}, kValues2}));
  {
    Result<FileWriter> file = FileWriter::Create(path);
    ASSERT_TRUE(file);
    CacheFile::Write(cache, *file);
    ASSERT_TRUE(file->Commit());
  }
  const auto bytes = ReadChecked(path);
  ASSERT_TRUE(bytes);
  ByteReader reader(*bytes);
  const Status status = CacheFile::Read(reader, 300, loaded);
  ASSERT_TRUE(status) << status.error().message;
  HeadCache& again = loaded.layer(0)[0];
  EXPECT_EQ(again.bytes().total(), head.bytes().total());
  EXPECT_EQ(again.Orders(), Range(0, 300));
  ASSERT_TRUE(again.key_map() != nullptr);
  EXPECT_EQ(*again.key_map(), *head.key_map());
  ASSERT_TRUE(again.value_map() != nullptr);
  EXPECT_EQ(*again.value_map(), *head.value_map());
  EXPECT_EQ(All(again, PlaneKind::kValues), All(head, PlaneKind::kValues));
  for (HeadCache* each : {&head, &again}) {
    Append(*each, 50, 300);
    ASSERT_TRUE(each->Encode(Oldest(*each, PlaneKind::kValues, 50), {{}, kValues2}));
    ASSERT_TRUE(each->Encode(Oldest(*each, PlaneKind::kKeys, 64), {kKeys2, {}}));
  }
  EXPECT_EQ(All(again, PlaneKind::kKeys), All(head, PlaneKind::kKeys));
  EXPECT_EQ(All(again, PlaneKind::kValues), All(head, PlaneKind::kValues));
  EXPECT_EQ(again.bytes().total(), head.bytes().total());
}

}  // namespace
}  // namespace kvasir
