// PagePool: where the bytes of all planes come from. Slabs of 2 MiB, each cut into blocks of one
// class, under one hard limit. Freed blocks are reused at once; slabs with no block in use go back
// to the system, but for one of each class while any block is in use. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "kernels/plane_format.h"

namespace kvasir {

inline constexpr int64_t kSlabBytes = int64_t{2} << 20;
inline constexpr int64_t kNoLimit = INT64_MAX;

// Keys and values of one size lie in slabs of their own: attention reads the keys of neighbouring
// pages and then their values, and the CPU's prefetchers follow addresses that rise without gaps.
struct BlockClass {
  int64_t n_bytes = 0;
  PlaneKind kind = PlaneKind::kKeys;
  auto operator<=>(const BlockClass&) const = default;
};

// How many blocks of each class.
using BlockCounts = std::map<BlockClass, int64_t>;

class PagePool {
 public:
  explicit PagePool(int64_t limit_bytes = kNoLimit) : limit_bytes_(limit_bytes) {}
  ~PagePool();
  PagePool(const PagePool&) = delete;
  PagePool& operator=(const PagePool&) = delete;

  // A block of n_bytes (a multiple of 128, at most a slab), aligned to 128, all zero.
  // An error, and nothing changed, where the limit or the system's memory would be exceeded.
  Result<std::byte*> Allocate(int64_t n_bytes, PlaneKind kind = PlaneKind::kKeys);
  void Release(std::byte* block, int64_t n_bytes);
  // Sees to it that these blocks can be allocated, unless somebody else takes memory before. An
  // error where the limit or the system's memory would be exceeded.
  Status Prepare(const BlockCounts& blocks);

  int64_t limit_bytes() const { return limit_bytes_; }
  int64_t used_bytes() const;  // blocks handed out
  int64_t slab_bytes() const;  // taken from the system: what the process's memory shows
  int64_t peak_bytes() const;  // most blocks handed out at a time
  int64_t n_refused() const;   // calls of Allocate that failed

 private:
  struct Slab {
    std::byte* bytes = nullptr;
    BlockClass blocks;
    int32_t n_blocks = 0, n_used = 0, n_fresh = 0;  // blocks from n_fresh on were never handed out
    std::vector<int32_t> free;                      // handed out before, free now
    bool full() const { return n_used == n_blocks; }
  };
  Result<Slab*> AddSlab(const BlockClass& blocks);
  Result<Slab*> SlabWithRoom(const BlockClass& blocks);
  Result<std::byte*> AllocateLocked(const BlockClass& blocks);
  void UnmapAll();

  const int64_t limit_bytes_;
  mutable std::mutex mutex_;
  std::unordered_map<std::byte*, std::unique_ptr<Slab>> slabs_;  // by address
  std::map<BlockClass, std::vector<Slab*>> with_room_;
  int64_t used_bytes_ = 0, peak_bytes_ = 0, n_refused_ = 0;
};

}  // namespace kvasir
