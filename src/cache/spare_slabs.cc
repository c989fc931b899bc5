#include "cache/spare_slabs.h"

#include <sys/mman.h>

#include <atomic>

#include "cache/page_pool.h"

namespace kvasir {
namespace {

std::atomic<SpareSlabs*> living = nullptr;

}  // namespace

SpareSlabs::SpareSlabs(int64_t most_bytes) : most_(most_bytes / kSlabBytes) {
  KV_CHECK(living.exchange(this) == nullptr);
}

SpareSlabs::~SpareSlabs() {
  living = nullptr;
  for (std::byte* slab : slabs_) munmap(slab, kSlabBytes);
}

SpareSlabs* SpareSlabs::current() { return living; }

std::byte* SpareSlabs::Take() {
  const std::lock_guard lock(mutex_);
  if (slabs_.empty()) return nullptr;
  std::byte* const slab = slabs_.back();
  slabs_.pop_back();
  return slab;
}

bool SpareSlabs::Keep(std::byte* slab) {
  const std::lock_guard lock(mutex_);
  if (static_cast<int64_t>(slabs_.size()) >= most_) return false;
  slabs_.push_back(slab);
  return true;
}

}  // namespace kvasir
