#include "cache/page_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "cache/spare_slabs.h"

namespace kvasir {
namespace {

// Maps one slab aligned to its size, so that a block's slab is found by masking its address.
std::byte* MapSlab() {
  void* raw = mmap(nullptr, 2 * kSlabBytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (raw == MAP_FAILED) return nullptr;
  const auto base = reinterpret_cast<uintptr_t>(raw);
  const uintptr_t aligned = (base + kSlabBytes - 1) & ~static_cast<uintptr_t>(kSlabBytes - 1);
  if (aligned > base) munmap(raw, aligned - base);
  const uintptr_t end = base + 2 * kSlabBytes;
  if (end > aligned + kSlabBytes) {
    munmap(reinterpret_cast<void*>(aligned + kSlabBytes), end - aligned - kSlabBytes);
  }
  // A wish: decode reads the whole cache a token, and small pages miss the TLB every 4 KiB.
  (void)madvise(reinterpret_cast<void*>(aligned), kSlabBytes, MADV_HUGEPAGE);
  return reinterpret_cast<std::byte*>(aligned);
}

// All zero.
std::byte* TakeSlab() {
  SpareSlabs* const spare = SpareSlabs::current();
  std::byte* const slab = spare != nullptr ? spare->Take() : nullptr;
  if (slab == nullptr) return MapSlab();
  std::memset(slab, 0, kSlabBytes);  // nothing of another sequence's text shows
  return slab;
}

void GiveBackSlab(std::byte* slab) {
  SpareSlabs* const spare = SpareSlabs::current();
  if (spare == nullptr || !spare->Keep(slab)) munmap(slab, kSlabBytes);
}

std::byte* SlabOf(std::byte* block) {
  return reinterpret_cast<std::byte*>(reinterpret_cast<uintptr_t>(block) &
                                      ~static_cast<uintptr_t>(kSlabBytes - 1));
}

}  // namespace

PagePool::~PagePool() {
  KV_CHECK(used_bytes_ == 0);  // every page goes back before its pool
  UnmapAll();
}

void PagePool::UnmapAll() {
  for (auto& [bytes, slab] : slabs_) GiveBackSlab(bytes);
  slabs_.clear();
  with_room_.clear();
}

Result<PagePool::Slab*> PagePool::AddSlab(const BlockClass& blocks) {
  auto slab = std::make_unique<Slab>();
  slab->bytes = TakeSlab();
  if (slab->bytes == nullptr) {
    return Fail("out of memory for the KV cache: the system refused {} more bytes; {} are in use",
                kSlabBytes, used_bytes_);
  }
  slab->blocks = blocks;
  slab->n_blocks = static_cast<int32_t>(kSlabBytes / blocks.n_bytes);
  Slab* added = slab.get();
  slabs_.emplace(slab->bytes, std::move(slab));
  with_room_[blocks].push_back(added);
  return added;
}

Result<PagePool::Slab*> PagePool::SlabWithRoom(const BlockClass& blocks) {
  const std::vector<Slab*>& candidates = with_room_[blocks];
  return candidates.empty() ? AddSlab(blocks) : Result<Slab*>(candidates.back());
}

Status PagePool::Prepare(const BlockCounts& blocks) {
  const std::lock_guard lock(mutex_);
  int64_t n_bytes = 0;
  for (const auto& [each, n] : blocks) n_bytes += each.n_bytes * n;
  if (used_bytes_ > limit_bytes_ - n_bytes) {
    return Fail("the KV cache is full: {} bytes are needed, {} of {} available", n_bytes,
                limit_bytes_ - used_bytes_, limit_bytes_);
  }
  for (const auto& [each, n] : blocks) {
    int64_t n_free = 0;
    for (const Slab* slab : with_room_[each]) n_free += slab->n_blocks - slab->n_used;
    while (n_free < n) {
      KV_ASSIGN_OR_RETURN(const Slab* added, AddSlab(each));
      n_free += added->n_blocks;
    }
  }
  return {};
}

Result<std::byte*> PagePool::Allocate(int64_t n_bytes, PlaneKind kind) {
  const std::lock_guard lock(mutex_);
  Result<std::byte*> block = AllocateLocked({n_bytes, kind});
  n_refused_ += block ? 0 : 1;
  return block;
}

Result<std::byte*> PagePool::AllocateLocked(const BlockClass& blocks) {
  const int64_t n_bytes = blocks.n_bytes;
  KV_CHECK(n_bytes > 0 && n_bytes <= kSlabBytes && n_bytes % 128 == 0);
  if (used_bytes_ > limit_bytes_ - n_bytes) {
    return Fail(
        "the KV cache is full: {} bytes asked, {} of {} available; raise --kv-memory, "
        "or keep less with --kv",
        n_bytes, limit_bytes_ - used_bytes_, limit_bytes_);
  }
  KV_ASSIGN_OR_RETURN(Slab * slab, SlabWithRoom(blocks));
  const bool reused = !slab->free.empty();
  int32_t index;
  if (reused) {
    index = slab->free.back();
    slab->free.pop_back();
  } else {
    index = slab->n_fresh++;
  }
  ++slab->n_used;
  if (slab->full()) with_room_[blocks].pop_back();  // SlabWithRoom gives the last one
  used_bytes_ += n_bytes;
  peak_bytes_ = std::max(peak_bytes_, used_bytes_);
  std::byte* block = slab->bytes + index * n_bytes;
  if (reused) std::memset(block, 0, n_bytes);  // nothing of another sequence's text shows
  return block;
}

void PagePool::Release(std::byte* block, int64_t n_bytes) {
  const std::lock_guard lock(mutex_);
  const auto found = slabs_.find(SlabOf(block));
  KV_CHECK(found != slabs_.end());
  Slab& slab = *found->second;
  KV_CHECK(slab.blocks.n_bytes == n_bytes && slab.n_used > 0);
  std::vector<Slab*>& room = with_room_[slab.blocks];
  if (slab.full()) room.push_back(&slab);
  slab.free.push_back(static_cast<int32_t>((block - slab.bytes) / n_bytes));
  --slab.n_used;
  used_bytes_ -= n_bytes;
  if (used_bytes_ == 0) return UnmapAll();
  if (slab.n_used > 0) return;
  const auto here = std::find(room.begin(), room.end(), &slab);
  // The spare comes first, so that it is taken last. Without one a codec that encodes every token
  // would give back the slab of the pages that it takes anew for the next.
  if (here == room.begin() || room.front()->n_used > 0) {
    std::iter_swap(room.begin(), here);
    return;
  }
  room.erase(here);
  GiveBackSlab(slab.bytes);
  slabs_.erase(found);
}

int64_t PagePool::used_bytes() const {
  const std::lock_guard lock(mutex_);
  return used_bytes_;
}
int64_t PagePool::slab_bytes() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int64_t>(slabs_.size()) * kSlabBytes;
}
int64_t PagePool::peak_bytes() const {
  const std::lock_guard lock(mutex_);
  return peak_bytes_;
}
int64_t PagePool::n_refused() const {
  const std::lock_guard lock(mutex_);
  return n_refused_;
}

}  // namespace kvasir
