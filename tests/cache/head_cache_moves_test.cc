// Renumbering after evictions here and there: pages stay full, and bytes stay as they are.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>

#include "tests/cache/heads.h"

namespace kvasir {
namespace {

std::vector<int32_t> AllBut(int64_t n, int64_t gone) {
  std::vector<int32_t> kept;
  for (int32_t i = 0; i < n; ++i) {
    if (i != gone) kept.push_back(i);
  }
  return kept;
}

class MovesTest : public testing::Test {
 protected:
  // The key and value of an entry are its order.
  static void Append(HeadCache& head, int n, int first_order) {
    Rows rows;
    for (int i = 0; i < n; ++i) rows.push_back({static_cast<float>(first_order + i)});
    AppendRows(head, rows, rows, first_order);
  }
  // One token comes, one of those before it goes, positions follow: what a step does with
  // "renumber" and a method that evicts as it generates.
  void Step(HeadCache& head, int order) {
    Append(head, 1, order);
    const auto gone = static_cast<int64_t>(random_() % (head.size() - 1));
    head.Keep(AllBut(head.size(), gone));
    ASSERT_TRUE(head.Renumber(rotator_));
  }
  void ExpectAtTheirPositions(const HeadCache& head) {
    const std::vector<int32_t> orders = head.Orders(), positions = head.Positions();
    std::vector<float> keys(head.size() * kTestDim);
    head.Read(PlaneKind::kKeys, 0, head.size(), keys.data(), &rotator_);
    const Rows values = ReadRows(head, PlaneKind::kValues, 1);
    for (int64_t i = 0; i < head.size(); ++i) {
      ASSERT_EQ(positions[i], i);
      // An entry that was appended at position p has moved by i - p, in all.
      ASSERT_EQ(keys[i * kTestDim], static_cast<float>(orders[i] + i - born_[orders[i]])) << i;
      ASSERT_EQ(values[i][0], static_cast<float>(orders[i]));
    }
  }

  std::minstd_rand random_{7};
  NotingRotator rotator_;
  PagePool pool_;
  std::vector<int32_t> born_;  // by order: the stored position of the key, as it was appended
};

TEST_F(MovesTest, PagesStayFullThroughManySteps) {
  for (int budget : {64, 200, 1000}) {
    HeadCache head(pool_, TestFormat());
    Append(head, budget, 0);
    for (int step = 0; step < 400; ++step) {
      Step(head, budget + step);
      const int64_t needed = (budget + kPageEntries - 1) / kPageEntries;
      ASSERT_LE(head.n_slots() / kPageEntries, needed + needed / 8 + 2) << budget << ", " << step;
      ASSERT_LE(head.runs().size(), 3u);
    }
    const HeadBytes bytes = head.bytes();
    EXPECT_EQ(bytes.keys + bytes.values, pool_.used_bytes());
    head.Clear();
    EXPECT_EQ(pool_.used_bytes(), 0);
  }
}

TEST_F(MovesTest, KeysAreRewrittenAtMostOnce) {
  HeadCache head(pool_, TestFormat());
  Append(head, 300, 0);
  for (int order = 0; order < 300; ++order) born_.push_back(order);
  for (int order = 300; order < 700; ++order) {
    born_.push_back(head.StoredPosition(order));
    Step(head, order);
  }
  EXPECT_LE(rotator_.n_calls, 300);
  ExpectAtTheirPositions(head);
}

// What a query at a position gets from keys that lie at theirs, by a rotation in the plane of the
// first two channels.
class PlaneRotator final : public KeyRotator {
 public:
  void Rotate(float* key, int32_t from, int32_t to) const override {
    const float angle = 0.01f * static_cast<float>(to - from);
    const float x = key[0], y = key[1];
    key[0] = x * std::cos(angle) - y * std::sin(angle);
    key[1] = x * std::sin(angle) + y * std::cos(angle);
  }
};

TEST_F(MovesTest, KernelsReadKeysWhereTheyStand) {
  const PlaneRotator rotator;
  for (const PlaneFormat& plane : {FloatPlane(CodecId::kF16, kTestDim), Q8Plane(kTestDim)}) {
    HeadCache head(pool_, TestFormat(plane));
    const Rows keys = RandomRows(500, 1), values = RandomRows(500, 2);
    for (int order = 0; order < 500; ++order) {
      std::vector<float> key = keys[order];
      rotator.Rotate(key.data(), 0, head.StoredPosition(order));
      AppendRows(head, {key}, {values[order]}, order);
      if (head.size() <= 150) continue;
      head.Keep(AllBut(head.size(), static_cast<int64_t>(random_() % (head.size() - 1))));
      ASSERT_TRUE(head.Renumber(rotator));
    }
    ASSERT_EQ(head.runs().size(), 1u);
    HeadCache fork = head.Fork();
    AppendRows(fork, {keys[0]}, {values[0]}, 500);
    fork.Truncate(500);
    for (const HeadCache* each : {&head, &fork}) {
      TurnedKeys turned;
      const std::span<const RunRef> runs = each->AsRead(rotator, turned);
      ASSERT_EQ(runs.size(), 1u);
      EXPECT_EQ(runs[0].k, FloatPlane(CodecId::kF32, kTestDim));
      const std::vector<int32_t> orders = each->Orders();
      // Keys by slot, in the order of the text: rotated at where they stand, less the shift.
      int64_t entry = 0;
      for (int p = 0; p < runs[0].n_pages; ++p) {
        for (uint64_t live = runs[0].pages[p].live; live != 0; live &= live - 1, ++entry) {
          float read[kTestDim];
          DecodeEntries(runs[0].k, PlaneKind::kKeys, runs[0].pages[p].k, std::countr_zero(live), 1,
                        read, 0);
          std::vector<float> key = keys[orders[entry]];
          const int32_t shift = each->run_format(0).shift;
          rotator.Rotate(key.data(), 0, static_cast<int32_t>(entry) - shift);
          for (int c = 0; c < kTestDim; ++c) ASSERT_NEAR(read[c], key[c], 0.02) << entry;
        }
      }
      EXPECT_EQ(entry, 150);
    }
  }
}

// Codes stay as they are: a group is not decoded because its entries move.
TEST_F(MovesTest, EncodedGroupsAreTurnedAndNeverEncodedAgain) {
  HeadCache head(pool_, TestFormat());
  Append(head, 400, 0);
  const Encoding codes{ChannelPlane(2, 0), TernaryPlane(0)};
  const PlaneFormat staged = head.format().k();
  ASSERT_TRUE(head.Encode(StoredSpan{PlaneKind::kKeys, staged, 0, 320}, codes));
  std::vector<float> before(kTestDim), after(kTestDim);
  head.Read(PlaneKind::kKeys, 0, 1, before.data());
  for (int step = 0; step < 60; ++step) {
    Append(head, 1, 400 + step);
    const auto gone = static_cast<int64_t>(1 + random_() % (head.size() - 2));
    head.Keep(AllBut(head.size(), gone));
    ASSERT_TRUE(head.Renumber(rotator_));
    ASSERT_LE(head.n_slots() / kPageEntries, 14);
    std::vector<int32_t> positions = head.Positions();
    for (int64_t i = 0; i < head.size(); ++i) ASSERT_EQ(positions[i], i);
  }
  head.Read(PlaneKind::kKeys, 0, 1, after.data());
  EXPECT_EQ(before, after);
  const HeadBytes bytes = head.bytes();
  EXPECT_EQ(bytes.keys + bytes.values, pool_.used_bytes());
  // Encoding what is turned keeps it where it stands.
  ASSERT_TRUE(head.Encode(StoredSpan{PlaneKind::kKeys, staged, 0, 32}, codes));
  const std::vector<int32_t> positions = head.Positions();
  for (int64_t i = 0; i < head.size(); ++i) EXPECT_EQ(positions[i], i);
}

}  // namespace
}  // namespace kvasir
