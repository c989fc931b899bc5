#include "cache/head_cache.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "tests/cache/heads.h"

namespace kvasir {
namespace {

constexpr int kDim = 16;

// Keys and values that tell which entry they belong to.
float KeyOf(int order, int channel) { return static_cast<float>(order) + 0.01f * channel; }
float ValueOf(int order, int channel) { return -static_cast<float>(order) - 0.01f * channel; }

class HeadCacheTest : public testing::Test {
 protected:
  HeadFormat format_{.head_dim = kDim, .k_plane = {CodecId::kF32}, .v_plane = {CodecId::kF32}};
  PagePool pool_;
  HeadCache head_{pool_, format_};

  static void Append(HeadCache& head, int n, int first_order) {
    std::vector<SlotRange> slots;
    ASSERT_TRUE(head.Append(n, first_order, slots));
    int rows = 0;
    for (const SlotRange& range : slots) {
      EXPECT_EQ(range.row, rows);
      for (int i = 0; i < range.n; ++i, ++rows) {
        float k[kDim], v[kDim];
        for (int c = 0; c < kDim; ++c) {
          k[c] = KeyOf(first_order + rows, c);
          v[c] = ValueOf(first_order + rows, c);
        }
        const PlaneFormat f32 = FloatPlane(CodecId::kF32, kDim);
        EncodeEntries(Isa::kAvx2, f32, PlaneKind::kKeys, k, kDim, range.slot + i, 1, range.k);
        EncodeEntries(Isa::kAvx2, f32, PlaneKind::kValues, v, kDim, range.slot + i, 1, range.v);
      }
    }
    EXPECT_EQ(rows, n);
  }

  // Every entry's bytes belong to its order.
  static void ExpectFaithful(const HeadCache& head) {
    const std::vector<int32_t> orders = head.Orders();
    std::vector<float> k(orders.size() * kDim), v(orders.size() * kDim);
    head.Read(PlaneKind::kKeys, 0, head.size(), k.data());
    head.Read(PlaneKind::kValues, 0, head.size(), v.data());
    for (size_t i = 0; i < orders.size(); ++i) {
      for (int c = 0; c < kDim; ++c) {
        ASSERT_EQ(k[i * kDim + c], KeyOf(orders[i], c)) << "entry " << i;
        ASSERT_EQ(v[i * kDim + c], ValueOf(orders[i], c)) << "entry " << i;
      }
    }
  }

  static std::vector<int32_t> Range(int first, int n, int step = 1) {
    std::vector<int32_t> range;
    for (int i = 0; i < n; ++i) range.push_back(first + i * step);
    return range;
  }
};

TEST_F(HeadCacheTest, AppendsInAnyChunks) {
  for (int chunk : {1, 63, 64, 65, 200}) {
    HeadCache head(pool_, format_);
    for (int order = 0; order < 300; order += chunk) {
      Append(head, std::min(chunk, 300 - order), order);
    }
    EXPECT_EQ(head.size(), 300);
    EXPECT_EQ(head.n_slots(), 320);
    EXPECT_EQ(head.Orders(), Range(0, 300));
    EXPECT_EQ(head.Positions(), Range(0, 300));
    ExpectFaithful(head);
  }
}

TEST_F(HeadCacheTest, KeepReturnsTheBytesOfWhatGoes) {
  Append(head_, 6400, 0);
  const int64_t full = pool_.used_bytes();
  std::vector<int32_t> kept = Range(3, 640, 10);
  head_.Keep(kept);
  EXPECT_EQ(head_.Orders(), kept);
  EXPECT_EQ(head_.Positions(), kept);  // evicting renumbers nothing
  ExpectFaithful(head_);
  EXPECT_LE(pool_.used_bytes(), full / 10 + head_.format().k_bytes() + head_.format().v_bytes());
  Append(head_, 1, 6400);
  EXPECT_EQ(head_.Orders().back(), 6400);
  EXPECT_EQ(head_.Positions().back(), 6400);
  ExpectFaithful(head_);
}

TEST_F(HeadCacheTest, DropOneByOneWastesLittle) {
  Append(head_, 1000, 0);
  for (int order = 1000; order < 3000; ++order) {  // a window that slides
    Append(head_, 1, order);
    head_.Drop(4, 1);
    ASSERT_LE(head_.n_slots(), 1000 * 9 / 8 + 2 * kPageEntries);
  }
  std::vector<int32_t> expected = Range(0, 4);
  for (int order : Range(2004, 996)) expected.push_back(order);
  EXPECT_EQ(head_.Orders(), expected);
  ExpectFaithful(head_);
}

TEST_F(HeadCacheTest, ForkSharesPagesUntilOneWrites) {
  Append(head_, 100, 0);
  const int64_t alone = pool_.used_bytes();
  HeadCache fork = head_.Fork();
  EXPECT_EQ(pool_.used_bytes(), alone);
  fork.Drop(10, 50);  // evicting from a shared page touches no byte of it
  EXPECT_EQ(head_.size(), 100);
  ExpectFaithful(head_);
  Append(head_, 1, 100);  // writes to the shared last page: copied first
  EXPECT_GT(pool_.used_bytes(), alone);
  Append(fork, 1, 200);
  EXPECT_EQ(fork.Orders().back(), 200);
  ExpectFaithful(fork);
  ExpectFaithful(head_);
  EXPECT_EQ(head_.Orders(), Range(0, 101));
}

TEST_F(HeadCacheTest, RenumberShiftsWhatMovesTogether) {
  Append(head_, 500, 0);
  head_.Drop(4, 300);
  NotingRotator rotator;
  ASSERT_TRUE(head_.Renumber(rotator));
  EXPECT_EQ(rotator.n_calls, 0);
  EXPECT_EQ(head_.Positions(), Range(0, 200));
  EXPECT_EQ(head_.PositionOf(500), 200);
  ExpectFaithful(head_);
  for (int order = 500; order < 900; ++order) {  // slides on: still no key is rewritten
    Append(head_, 1, order);
    head_.Drop(4, 1);
    ASSERT_TRUE(head_.Renumber(rotator));
    ASSERT_EQ(head_.PositionOf(order + 1), 200);
  }
  EXPECT_EQ(rotator.n_calls, 0);
  EXPECT_EQ(head_.Positions(), Range(0, 200));
  ExpectFaithful(head_);
}

TEST_F(HeadCacheTest, RenumberRotatesScatteredKeysOnce) {
  Append(head_, 300, 0);
  head_.Keep(Range(1, 100, 3));
  NotingRotator rotator;
  ASSERT_TRUE(head_.Renumber(rotator));
  EXPECT_EQ(rotator.n_calls, 100);
  EXPECT_EQ(head_.Positions(), Range(0, 100));
  EXPECT_EQ(head_.Orders(), Range(1, 100, 3));
  std::vector<float> keys(100 * kDim);
  head_.Read(PlaneKind::kKeys, 0, 100, keys.data());
  for (int i = 0; i < 100; ++i) {  // moved from 1 + 3i to i
    EXPECT_EQ(keys[i * kDim], KeyOf(1 + 3 * i, 0) + static_cast<float>(i - (1 + 3 * i)));
  }
  Append(head_, 1, 300);
  EXPECT_EQ(head_.Positions().back(), 100);
}

TEST_F(HeadCacheTest, TruncateGoesBackInTheText) {
  Append(head_, 200, 0);
  head_.Truncate(130);
  EXPECT_EQ(head_.Orders(), Range(0, 130));
  Append(head_, 20, 130);
  EXPECT_EQ(head_.Orders(), Range(0, 150));
  ExpectFaithful(head_);
}

TEST_F(HeadCacheTest, WindowFreesWholePages) {
  Append(head_, 300, 0);
  head_.FreePagesBefore(130);
  EXPECT_EQ(head_.Orders(), Range(128, 172));
  EXPECT_EQ(head_.FirstOrder(), 128);
}

TEST_F(HeadCacheTest, FullPoolLeavesErrorNotHarm) {
  PagePool small(2 * (format_.k_bytes() + format_.v_bytes()));
  HeadCache head(small, format_);
  std::vector<SlotRange> slots;
  ASSERT_TRUE(head.Append(128, 0, slots));
  EXPECT_FALSE(head.Append(1, 128, slots));
  EXPECT_EQ(head.size(), 128);
  head.Truncate(128);
  head.Drop(0, 64);
  EXPECT_TRUE(head.Append(1, 128, slots));
}

TEST_F(HeadCacheTest, AccountMatchesThePool) {
  Append(head_, 333, 0);
  const HeadBytes bytes = head_.bytes();
  EXPECT_EQ(bytes.keys + bytes.values, pool_.used_bytes());
  EXPECT_GT(bytes.facts, 0);
}

}  // namespace
}  // namespace kvasir
