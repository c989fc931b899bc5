#include "cache/page_pool.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "cache/spare_slabs.h"

namespace kvasir {
namespace {

int64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

TEST(PagePool, RefusesMoreThanItsLimitAndRecovers) {
  PagePool pool(3 * 8192);
  std::vector<std::byte*> blocks;
  for (int i = 0; i < 3; ++i) blocks.push_back(*pool.Allocate(8192));
  const auto refused = pool.Allocate(8192);
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find("8192 bytes asked, 0 of 24576 available"),
            std::string::npos)
      << refused.error().message;
  pool.Release(blocks.back(), 8192);
  blocks.back() = *pool.Allocate(8192);
  for (std::byte* block : blocks) pool.Release(block, 8192);
  EXPECT_EQ(pool.used_bytes(), 0);
  EXPECT_EQ(pool.slab_bytes(), 0);
  EXPECT_EQ(pool.peak_bytes(), 3 * 8192);
}

TEST(PagePool, KeepsSizesApartAndReusesBlocks) {
  PagePool pool;
  std::byte* a = *pool.Allocate(1024);
  std::byte* b = *pool.Allocate(8192);
  EXPECT_EQ(pool.slab_bytes(), 2 * kSlabBytes);
  pool.Release(a, 1024);
  EXPECT_EQ(pool.slab_bytes(), 2 * kSlabBytes);  // the slab of 1024s is empty, a spare
  std::byte* c = *pool.Allocate(8192);
  pool.Release(b, 8192);
  EXPECT_EQ(*pool.Allocate(8192), b);
  pool.Release(b, 8192);
  pool.Release(c, 8192);
}

// Attention reads the keys of neighbouring pages and then their values: each lie in a row, however
// they were asked for.
TEST(PagePool, KeysLieInARowAndSoDoValues) {
  PagePool pool;
  std::byte* blocks[2][4];
  for (int page = 0; page < 4; ++page) {
    blocks[0][page] = *pool.Allocate(8192, PlaneKind::kKeys);
    blocks[1][page] = *pool.Allocate(8192, PlaneKind::kValues);
  }
  for (auto& kind : blocks) {
    for (int page = 1; page < 4; ++page) EXPECT_EQ(kind[page], kind[page - 1] + 8192);
  }
  EXPECT_EQ(pool.slab_bytes(), 2 * kSlabBytes);
  for (auto& kind : blocks) {
    for (std::byte* block : kind) pool.Release(block, 8192);
  }
  EXPECT_EQ(pool.slab_bytes(), 0);
}

// A codec that encodes every token takes and gives back the same pages each time. One empty slab of
// their size stays for that, and only one; none once nothing is in use.
TEST(PagePool, KeepsOneSpareOfASize) {
  constexpr int64_t kHalf = kSlabBytes / 2;
  PagePool pool;
  std::byte* other = *pool.Allocate(1024);
  std::vector<std::byte*> blocks;
  for (int i = 0; i < 6; ++i) blocks.push_back(*pool.Allocate(kHalf));
  EXPECT_EQ(pool.slab_bytes(), 4 * kSlabBytes);
  for (int i = 2; i < 6; ++i) pool.Release(blocks[i], kHalf);
  EXPECT_EQ(pool.slab_bytes(), 3 * kSlabBytes);
  std::byte* again = *pool.Allocate(kHalf);
  EXPECT_EQ(pool.slab_bytes(), 3 * kSlabBytes);
  for (std::byte* block : {blocks[0], blocks[1], again}) pool.Release(block, kHalf);
  EXPECT_EQ(pool.slab_bytes(), 2 * kSlabBytes);
  pool.Release(other, 1024);
  EXPECT_EQ(pool.slab_bytes(), 0);
}

// The account is the allocator's, and the process agrees with it.
TEST(PagePool, GivesFreedMemoryBackToTheSystem) {
  constexpr int kBlocks = 64 * 256, kBytes = 8192;  // 128 MiB
  PagePool pool;
  const int64_t before = ResidentBytes();
  std::vector<std::byte*> blocks;
  for (int i = 0; i < kBlocks; ++i) {
    blocks.push_back(*pool.Allocate(kBytes));
    std::memset(blocks.back(), 1, kBytes);
  }
  const int64_t full = ResidentBytes() - before;
  EXPECT_GT(full, pool.used_bytes() * 9 / 10);
  // Nine tenths go, in slab order, as eviction of a prompt frees them.
  for (int i = kBlocks / 10; i < kBlocks; ++i) pool.Release(blocks[i], kBytes);
  EXPECT_EQ(pool.used_bytes(), int64_t{kBlocks / 10} * kBytes);
  EXPECT_LT(pool.slab_bytes(), pool.used_bytes() + 2 * kSlabBytes);  // a spare among them
  EXPECT_LT(ResidentBytes() - before, full * 15 / 100);
  for (int i = 0; i < kBlocks / 10; ++i) pool.Release(blocks[i], kBytes);
}

TEST(SpareSlabs, ComeClearedToPoolsOfAnyKindAndGoBackAtTheEnd) {
  {
    SpareSlabs spare(kSlabBytes);  // room for one
    EXPECT_EQ(SpareSlabs::current(), &spare);
    {
      PagePool pool;
      std::byte* old = *pool.Allocate(8192);
      std::byte* other = *pool.Allocate(1024);
      std::memset(old, 1, 8192);
      pool.Release(other, 1024);
      pool.Release(old, 8192);
      EXPECT_EQ(pool.slab_bytes(), 0);
    }
    PagePool pool;
    std::byte* block = *pool.Allocate(4096);
    for (int i = 0; i < 4096; ++i) ASSERT_EQ(block[i], std::byte{0});
    EXPECT_EQ(spare.Take(), nullptr);
    pool.Release(block, 4096);
  }
  EXPECT_EQ(SpareSlabs::current(), nullptr);
}

}  // namespace
}  // namespace kvasir
