#include <gmock/gmock.h>

#include <cmath>
#include <numeric>

#include "base/byte_stream.h"
#include "cache/cache_file.h"
#include "cache/kv_cache.h"
#include "tests/cache/heads.h"

namespace kvasir {
namespace {

using testing::Each;
using testing::ElementsAre;

std::vector<float> Counts(const HeadCache& head) { return head.Column(kCountColumn); }
std::vector<float> Biases(const HeadCache& head) { return head.Column(kBiasColumn); }

class NoRotator final : public KeyRotator {
 public:
  void Rotate(float*, int32_t, int32_t) const override {}
};

// Entries [first, end) of equal weight become one at `into`.
MergeSets OneSet(int first, int end, int into, float bias) {
  MergeSets sets;
  const float weight = 1 / static_cast<float>(end - first);
  for (int i = first; i < end; ++i) sets.Add(i, weight, weight);
  sets.Close(into);
  sets.bias = {bias};
  return sets;
}

std::vector<int32_t> AllBut(int n, int first, int end, int into) {
  std::vector<int32_t> kept;
  for (int i = 0; i < n; ++i) {
    if (i < first || i >= end || i == into) kept.push_back(i);
  }
  return kept;
}

class MergeTest : public testing::Test {
 protected:
  PagePool pool_;
  HeadCache head_{pool_, TestFormat()};
};

TEST_F(MergeTest, WritesWeightedSumsCountsAndBiases) {
  AppendRows(head_, {{1, 0}, {3, 4}, {5, 5}, {7, 1}}, {{1}, {2}, {3}, {4}});
  MergeSets sets;
  sets.Add(0, 0.25f, 2);
  sets.Add(1, 0.75f, 1);
  sets.Close(1);
  sets.Add(2, 0.5f, 0.5f);
  sets.Add(3, 0.5f, 0.5f);
  sets.Close(2);
  sets.bias = {0.5f, 0.75f};
  ASSERT_TRUE(head_.Merge(sets));
  head_.Keep(std::vector<int32_t>{1, 2});
  EXPECT_THAT(ReadRows(head_, PlaneKind::kKeys, 2),
              ElementsAre(ElementsAre(2.5f, 3), ElementsAre(6, 3)));
  EXPECT_THAT(ReadRows(head_, PlaneKind::kValues, 1),
              ElementsAre(ElementsAre(4), ElementsAre(3.5f)));
  EXPECT_THAT(Counts(head_), ElementsAre(2, 2));
  EXPECT_THAT(Biases(head_), ElementsAre(0.5f, 0.75f));
  EXPECT_THAT(head_.Orders(), ElementsAre(1, 2));
}

TEST_F(MergeTest, WithoutKeyWeightsKeysStay) {
  AppendRows(head_, {{1, 0}, {3, 4}}, {{1}, {2}});
  MergeSets sets = OneSet(0, 2, 0, 0);
  sets.k_weights.clear();
  sets.bias.clear();
  ASSERT_TRUE(head_.Merge(sets));
  EXPECT_THAT(ReadRows(head_, PlaneKind::kKeys, 2),
              ElementsAre(ElementsAre(1, 0), ElementsAre(3, 4)));
  EXPECT_THAT(ReadRows(head_, PlaneKind::kValues, 1)[0], ElementsAre(1.5f));
}

TEST_F(MergeTest, EqualEntriesWithLogCountAreExact) {
  Rows keys = RandomRows(200, 1), values = RandomRows(200, 2);
  for (int i = 100; i < 107; ++i) keys[i] = keys[100], values[i] = values[100];
  const std::vector<float> query = RandomRows(1, 3)[0];
  AppendRows(head_, keys, values);
  const std::vector<float> before = AttendAll(head_, query);
  HeadCache uncounted = head_.Fork();
  ASSERT_TRUE(head_.Merge(OneSet(100, 107, 103, std::log(7.0f))));
  head_.Keep(AllBut(200, 100, 107, 103));
  const std::vector<float> after = AttendAll(head_, query);
  ASSERT_TRUE(uncounted.Merge(OneSet(100, 107, 103, 0)));
  uncounted.Keep(AllBut(200, 100, 107, 103));
  float other = 0;
  for (int c = 0; c < kTestDim; ++c) {
    EXPECT_NEAR(after[c], before[c], 1e-6f);
    other = std::max(other, std::abs(AttendAll(uncounted, query)[c] - before[c]));
  }
  EXPECT_GT(other, 1e-3f);
}

TEST_F(MergeTest, ASharedPageIsCopiedFirst) {
  AppendRows(head_, RandomRows(100, 1), RandomRows(100, 2));
  const Rows keys = ReadRows(head_, PlaneKind::kKeys);
  HeadCache fork = head_.Fork();
  ASSERT_TRUE(fork.Merge(OneSet(3, 6, 4, 1)));
  ASSERT_TRUE(fork.SetColumn(kBiasColumn, 70, 2));
  EXPECT_EQ(ReadRows(head_, PlaneKind::kKeys), keys);
  EXPECT_THAT(Biases(head_), Each(0));
  EXPECT_THAT(Counts(head_), Each(1));
  EXPECT_NE(ReadRows(fork, PlaneKind::kKeys)[4], keys[4]);
  EXPECT_EQ(Biases(fork)[70], 2);
}

TEST_F(MergeTest, FailsWholeWithoutMemoryForTheCopy) {
  PagePool small(2 * (TestFormat().k_bytes() + TestFormat().v_bytes()));
  HeadCache head(small, TestFormat());
  AppendRows(head, RandomRows(100, 1), RandomRows(100, 2));
  const HeadCache fork = head.Fork();
  const Rows values = ReadRows(head, PlaneKind::kValues);
  EXPECT_FALSE(head.Merge(OneSet(3, 6, 4, 1)));
  EXPECT_FALSE(head.Fold(3, 4, true));
  EXPECT_FALSE(head.SetColumn(kBiasColumn, 3, 1));
  EXPECT_EQ(ReadRows(head, PlaneKind::kValues), values);
  EXPECT_EQ(head.n_folded(), 0);
}

TEST_F(MergeTest, ColumnsTravel) {
  AppendRows(head_, RandomRows(300, 1), RandomRows(300, 2));
  ASSERT_TRUE(head_.Merge(OneSet(100, 108, 104, 2)));
  head_.Keep(AllBut(300, 100, 108, 104));
  std::vector<int32_t> kept;
  for (int i = 0; i < 293; i += 4) kept.push_back(i);  // 100 is there: entry 104 of the text
  head_.Keep(kept);
  const auto expect = [](const HeadCache& head) {
    for (int64_t i = 0; i < head.size(); ++i) {
      EXPECT_EQ(Counts(head)[i], head.Orders()[i] == 104 ? 8 : 1);
      EXPECT_EQ(Biases(head)[i], head.Orders()[i] == 104 ? 2 : 0);
    }
  };
  EXPECT_THAT(head_.Orders(), testing::Contains(104));
  expect(head_);
  HeadCache fork = head_.Fork();
  AppendRows(fork, RandomRows(5, 4), RandomRows(5, 5), 300);
  expect(fork);
  ASSERT_TRUE(fork.Renumber(NoRotator()));
  expect(fork);
}

TEST_F(MergeTest, PagesWithoutMergedEntriesHaveNoColumns) {
  AppendRows(head_, RandomRows(640, 1), RandomRows(640, 2));
  const int64_t before = head_.bytes().facts;
  ASSERT_TRUE(head_.Merge(OneSet(100, 104, 101, 2)));
  EXPECT_EQ(head_.bytes().facts, before + 2 * kPageEntries * int64_t{sizeof(float)});
  EXPECT_EQ(head_.bytes().keys + head_.bytes().values, pool_.used_bytes());
}

TEST(MergeCodecs, AreWithinTheirError) {
  for (const auto& [codec, error] :
       {std::pair(FloatPlane(CodecId::kF16, kTestDim), 1e-3f),
        std::pair(FloatPlane(CodecId::kBF16, kTestDim), 8e-3f),
        std::pair(Q8Plane(kTestDim), 1.2e-2f), std::pair(TokenPlane(4, kTestDim), 0.15f)}) {
    PagePool pool;
    HeadCache head(pool, TestFormat(codec)), exact(pool, TestFormat());
    const Rows keys = RandomRows(70, 1), values = RandomRows(70, 2);
    for (HeadCache* h : {&head, &exact}) {
      AppendRows(*h, keys, values);
      ASSERT_TRUE(h->Merge(OneSet(60, 68, 66, 2)));
      ASSERT_TRUE(h->Fold(4, 20, true));
    }
    for (PlaneKind kind : {PlaneKind::kKeys, PlaneKind::kValues}) {
      const Rows a = ReadRows(head, kind), b = ReadRows(exact, kind);
      for (size_t i = 0; i < a.size(); ++i) {
        for (int c = 0; c < kTestDim; ++c)
          EXPECT_NEAR(a[i][c], b[i][c], error) << FormatName(codec);
      }
    }
  }
}

// RazorAttention's worked numbers: q = (1, 0), sink 0, window 3 and 4, dropped 1 and 2.
TEST_F(MergeTest, FoldingIsTheCompensationOfRazorAttention) {
  const Rows keys = {{1, 0}, {.2f, 0}, {.4f, 0}, {0, 1}, {.5f, 0}},
             values = {{1}, {2}, {4}, {0}, {8}};
  const std::vector<float> query = {1, 0};
  AppendRows(head_, keys, values);
  EXPECT_NEAR(AttendAll(head_, query)[0], 3.00959f, 1e-5f);
  HeadCache one = head_.Fork(), off = head_.Fork();
  ASSERT_TRUE(head_.Fold(1, 2, /*weighted=*/true));
  EXPECT_THAT(head_.Orders(), ElementsAre(0, 1, 3, 4));
  EXPECT_NEAR(ReadRows(head_, PlaneKind::kKeys)[1][0], .3f, 1e-7f);
  EXPECT_EQ(ReadRows(head_, PlaneKind::kValues)[1][0], 3);
  EXPECT_EQ(head_.n_folded(), 2);
  EXPECT_THAT(Counts(head_), ElementsAre(1, 2, 1, 1));
  EXPECT_NEAR(AttendAll(head_, query)[0], 2.97608f, 1e-5f);
  ASSERT_TRUE(one.Fold(1, 2, /*weighted=*/false));
  EXPECT_NEAR(AttendAll(one, query)[0], 2.97127f, 1e-5f);
  off.Drop(1, 2);
  EXPECT_NEAR(AttendAll(off, query)[0], 2.96405f, 1e-5f);
}

TEST_F(MergeTest, FoldingEqualEntriesIsExactOnlyWhenCounted) {
  Rows keys = RandomRows(300, 1), values = RandomRows(300, 2);
  for (int i = 4; i < 200; ++i) keys[i] = keys[4], values[i] = values[4];
  AppendRows(head_, keys, values);
  const std::vector<float> query = RandomRows(1, 3)[0], before = AttendAll(head_, query);
  HeadCache one = head_.Fork();
  ASSERT_TRUE(head_.Fold(4, 196, true));
  ASSERT_TRUE(one.Fold(4, 196, false));
  float other = 0;
  for (int c = 0; c < kTestDim; ++c) {
    EXPECT_NEAR(AttendAll(head_, query)[c], before[c], 1e-6f);
    other = std::max(other, std::abs(AttendAll(one, query)[c] - before[c]));
  }
  EXPECT_GT(other, 1e-2f);
}

// Jensen: the mean of exponentials is no less than the exponential of the mean.
TEST_F(MergeTest, ACompensationEntryNeverHasMoreMassThanWhatItStandsFor) {
  for (uint32_t seed = 0; seed < 50; ++seed) {
    const Rows keys = RandomRows(40, seed, 3), query = RandomRows(1, seed + 100);
    HeadCache head(pool_, TestFormat());
    AppendRows(head, keys, keys);
    ASSERT_TRUE(head.Fold(0, 40, true));
    const auto dot = [&](const std::vector<float>& key) {
      return std::inner_product(key.begin(), key.end(), query[0].begin(), 0.0);
    };
    double sum = 0;
    for (const std::vector<float>& key : keys) sum += std::exp(dot(key));
    const std::vector<float> mean = ReadRows(head, PlaneKind::kKeys)[0];
    EXPECT_LE(40 * std::exp(dot(mean)), sum * (1 + 1e-5)) << seed;
  }
}

TEST_F(MergeTest, FoldingInAnyPiecesIsTheSame) {
  const Rows keys = RandomRows(1000, 1), values = RandomRows(1000, 2);
  AppendRows(head_, keys, values);
  ASSERT_TRUE(head_.Fold(4, 700, true));
  for (int piece : {1, 7, 64, 300}) {
    HeadCache head(pool_, TestFormat());
    AppendRows(head, keys, values);
    for (int done = 0; done < 700; done += piece) {
      ASSERT_TRUE(head.Fold(done == 0 ? 4 : 5, std::min(piece, 700 - done), true));
    }
    EXPECT_EQ(head.Orders(), head_.Orders());
    EXPECT_EQ(Counts(head), Counts(head_));
    EXPECT_EQ(head.n_folded(), 700);
    for (PlaneKind kind : {PlaneKind::kKeys, PlaneKind::kValues}) {
      for (int c = 0; c < kTestDim; ++c) {
        EXPECT_NEAR(ReadRows(head, kind)[4][c], ReadRows(head_, kind)[4][c], 1e-5f) << piece;
      }
    }
  }
}

TEST(MergeFile, RestoresColumnsAndFoldedSums) {
  PagePool pool;
  const HeadFormat formats[] = {TestFormat(FloatPlane(CodecId::kF16, kTestDim))};
  KvCache cache(pool, formats, 2);
  for (HeadCache& head : cache.layer(0)) AppendRows(head, RandomRows(200, 1), RandomRows(200, 2));
  ASSERT_TRUE(cache.layer(0)[0].Merge(OneSet(100, 104, 101, 2)));
  ASSERT_TRUE(cache.layer(0)[1].Fold(4, 100, true));
  const std::string path = testing::TempDir() + "/kvasir_merge_file_test.bin";
  auto writer = FileWriter::Create(path);
  ASSERT_TRUE(writer);
  CacheFile::Write(cache, *writer);
  ASSERT_TRUE(writer->Commit());
  const auto bytes = ReadChecked(path);
  ASSERT_TRUE(bytes);
  KvCache loaded = cache.Empty(pool);
  ByteReader reader(*bytes);
  ASSERT_TRUE(CacheFile::Read(reader, 200, loaded));
  for (int h = 0; h < 2; ++h) {
    HeadCache &a = cache.layer(0)[h], &b = loaded.layer(0)[h];
    EXPECT_EQ(Counts(a), Counts(b));
    EXPECT_EQ(Biases(a), Biases(b));
    EXPECT_EQ(a.bytes().total(), b.bytes().total());
    EXPECT_EQ(a.n_folded(), b.n_folded());
    ASSERT_TRUE(a.Fold(h == 0 ? 4 : 5, 20, true) && b.Fold(h == 0 ? 4 : 5, 20, true));
    EXPECT_EQ(ReadRows(a, PlaneKind::kKeys), ReadRows(b, PlaneKind::kKeys));
  }
}

}  // namespace
}  // namespace kvasir
