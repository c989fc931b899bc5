#include "cache/head_cache.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace kvasir {
namespace {

uint64_t SlotMask(int slot, int n) {
  return (n == kPageEntries ? ~uint64_t{0} : (uint64_t{1} << n) - 1) << slot;
}

}  // namespace

void Page::MakeExplicit() {
  if (order) return;
  order = std::make_unique<int32_t[]>(kPageEntries);
  pos = std::make_unique<int32_t[]>(kPageEntries);
  for (int s = 0; s < kPageEntries; ++s) {
    order[s] = order0 + s;
    pos[s] = pos0 + s;
  }
}

HeadCache::HeadCache(PagePool& pool, const HeadFormat& format)
    : pool_(&pool), format_(format), runs_(1) {
  Refresh();
}

HeadCache::HeadCache(HeadCache&& other) noexcept
    : pool_(other.pool_),
      format_(other.format_),
      runs_(std::move(other.runs_)),
      table_(std::move(other.table_)),
      size_(other.size_),
      end_order_(other.end_order_),
      delta_(other.delta_) {
  other.runs_.clear();
}

HeadCache::~HeadCache() {
  for (Run& run : runs_) {
    for (Page* page : run.pages) Unref(page);
  }
}

void HeadCache::Clear() {
  for (Run& run : runs_) {
    for (Page* page : run.pages) Unref(page);
  }
  runs_.assign(1, Run{});
  end_order_ = 0;
  delta_ = 0;
  Refresh();
}

int64_t HeadCache::n_slots() const {
  int64_t n = 0;
  for (const Run& run : runs_) n += static_cast<int64_t>(run.pages.size()) * kPageEntries;
  return n;
}

Result<Page*> HeadCache::NewPage() {
  KV_ASSIGN_OR_RETURN(std::byte * k, pool_->Allocate(format_.k_bytes()));
  Result<std::byte*> v = pool_->Allocate(format_.v_bytes());
  if (!v) {
    pool_->Release(k, format_.k_bytes());
    return tl::unexpected<Error>(v.error());
  }
  auto page = std::make_unique<Page>();
  page->k = k;
  page->v = *v;
  if (format_.n_columns > 0) {
    page->columns = std::make_unique<float[]>(format_.n_columns * kPageEntries);
  }
  return page.release();
}

void HeadCache::Unref(Page* page) {
  if (page->n_refs.fetch_sub(1, std::memory_order_acq_rel) > 1) return;
  pool_->Release(page->k, format_.k_bytes());
  pool_->Release(page->v, format_.v_bytes());
  delete page;
}

void HeadCache::AddPage(Run& run, Page* page, uint64_t live) {
  run.pages.push_back(page);
  run.refs.push_back({.k = page->k,
                      .v = page->v,
                      .bias = page->columns.get(),
                      .order = page->order.get(),
                      .live = live,
                      .order0 = page->order0});
}

// A page that others hold is copied before its first change.
Status HeadCache::MakeWritable(Run& run, size_t index) {
  Page* old = run.pages[index];
  if (old->n_refs.load(std::memory_order_acquire) == 1) return {};
  KV_ASSIGN_OR_RETURN(Page * page, NewPage());
  std::memcpy(page->k, old->k, format_.k_bytes());
  std::memcpy(page->v, old->v, format_.v_bytes());
  page->order0 = old->order0;
  page->pos0 = old->pos0;
  if (old->order) {
    page->MakeExplicit();
    std::copy_n(old->order.get(), kPageEntries, page->order.get());
    std::copy_n(old->pos.get(), kPageEntries, page->pos.get());
  }
  if (page->columns) {
    std::copy_n(old->columns.get(), format_.n_columns * kPageEntries, page->columns.get());
  }
  const uint64_t live = run.refs[index].live;
  run.pages[index] = page;
  run.refs[index] = {.k = page->k,
                     .v = page->v,
                     .bias = page->columns.get(),
                     .order = page->order.get(),
                     .live = live,
                     .order0 = page->order0};
  Unref(old);
  return {};
}

Status HeadCache::Append(int64_t n, int32_t first_order, std::vector<SlotRange>& slots) {
  slots.clear();
  Run& run = runs_.back();
  int32_t row = 0;
  while (row < n) {
    const int32_t order = first_order + row;
    const int32_t pos = StoredPosition(order);
    size_t index = run.pages.size() - 1;
    // Slots after the last live one are free; those of a page that became a hole are not reused.
    int slot = run.pages.empty() ? kPageEntries : 64 - std::countl_zero(run.refs[index].live);
    if (slot == kPageEntries) {
      KV_ASSIGN_OR_RETURN(Page * page, NewPage());
      page->order0 = order;
      page->pos0 = pos;
      AddPage(run, page, 0);
      index = run.pages.size() - 1;
      slot = 0;
    } else {
      KV_RETURN_IF_ERROR(MakeWritable(run, index));
    }
    Page& page = *run.pages[index];
    if (page.OrderOf(slot) != order || page.PosOf(slot) != pos) page.MakeExplicit();
    const int take = static_cast<int>(std::min<int64_t>(kPageEntries - slot, n - row));
    if (page.order) {
      for (int i = 0; i < take; ++i) {
        page.order[slot + i] = order + i;
        page.pos[slot + i] = pos + i;
      }
    }
    run.refs[index].order = page.order.get();
    run.refs[index].live |= SlotMask(slot, take);
    slots.push_back({.k = page.k, .v = page.v, .slot = slot, .n = take, .row = row});
    row += take;
  }
  end_order_ = first_order + static_cast<int32_t>(n);
  Refresh();
  return {};
}

void HeadCache::Refresh() {
  table_.clear();
  size_ = 0;
  for (const Run& run : runs_) {
    table_.push_back({.pages = run.refs.data(),
                      .n_pages = static_cast<int32_t>(run.refs.size()),
                      .k = format_.k(),
                      .v = format_.v()});
    for (const PageRef& ref : run.refs) size_ += std::popcount(ref.live);
  }
}

template <class F>
void HeadCache::ForEachEntry(F&& f) const {
  int64_t entry = 0;
  for (size_t r = 0; r < runs_.size(); ++r) {
    for (size_t p = 0; p < runs_[r].refs.size(); ++p) {
      for (uint64_t live = runs_[r].refs[p].live; live != 0; live &= live - 1) {
        f(static_cast<int32_t>(r), static_cast<int32_t>(p), std::countr_zero(live), entry++);
      }
    }
  }
}

std::vector<int32_t> HeadCache::Orders() const {
  std::vector<int32_t> orders;
  orders.reserve(size_);
  ForEachEntry([&](int32_t r, int32_t p, int slot, int64_t) {
    orders.push_back(runs_[r].pages[p]->OrderOf(slot));
  });
  return orders;
}

std::vector<int32_t> HeadCache::Positions() const {
  std::vector<int32_t> positions;
  positions.reserve(size_);
  ForEachEntry([&](int32_t r, int32_t p, int slot, int64_t) {
    positions.push_back(runs_[r].pages[p]->PosOf(slot) + runs_[r].shift);
  });
  return positions;
}

void HeadCache::Read(PlaneKind kind, int64_t first, int64_t n, float* x) const {
  KV_CHECK(first >= 0 && first + n <= size_);
  const bool keys = kind == PlaneKind::kKeys;
  const PlaneFormat format = keys ? format_.k() : format_.v();
  ForEachEntry([&](int32_t r, int32_t p, int slot, int64_t entry) {
    if (entry < first || entry >= first + n) return;
    const Page& page = *runs_[r].pages[p];
    DecodeEntries(format, kind, keys ? page.k : page.v, slot, 1, x + (entry - first) * format.dim,
                  format.dim);
  });
}

void HeadCache::Gather(const float* by_slot, float* out) const {
  int64_t page_base = 0, n = 0;
  for (const Run& run : runs_) {
    for (const PageRef& ref : run.refs) {
      for (uint64_t live = ref.live; live != 0; live &= live - 1) {
        out[n++] = by_slot[page_base + std::countr_zero(live)];
      }
      page_base += kPageEntries;
    }
  }
}

void HeadCache::SetColumn(int column, int64_t entry, float value) {
  KV_CHECK(column < format_.n_columns);
  ForEachEntry([&](int32_t r, int32_t p, int slot, int64_t i) {
    if (i == entry) runs_[r].pages[p]->columns[column * kPageEntries + slot] = value;
  });
}

HeadCache HeadCache::Fork() const {
  HeadCache fork(*pool_, format_);
  fork.runs_ = runs_;
  fork.end_order_ = end_order_;
  fork.delta_ = delta_;
  for (const Run& run : runs_) {
    for (Page* page : run.pages) page->n_refs.fetch_add(1, std::memory_order_relaxed);
  }
  fork.Refresh();
  return fork;
}

int32_t HeadCache::FirstOrder() const {
  KV_CHECK(size_ > 0);
  const Run& run = runs_.front().refs.empty() ? runs_.back() : runs_.front();
  return run.pages[0]->OrderOf(std::countr_zero(run.refs[0].live));
}

int64_t HeadCache::PageBytes(const HeadFormat& format) {
  constexpr int64_t kTables = sizeof(Page) + sizeof(PageRef) + sizeof(Page*);
  return format.k_bytes() + format.v_bytes() + kTables +
         format.n_columns * kPageEntries * int64_t{sizeof(float)};
}

HeadBytes HeadCache::bytes() const {
  HeadBytes bytes;
  for (const Run& run : runs_) {
    const auto n_pages = static_cast<int64_t>(run.pages.size());
    bytes.keys += n_pages * format_.k_bytes();
    bytes.values += n_pages * format_.v_bytes();
    bytes.facts += n_pages * (PageBytes(format_) - format_.k_bytes() - format_.v_bytes());
    for (const Page* page : run.pages) {
      if (page->order) bytes.facts += 2 * kPageEntries * int64_t{sizeof(int32_t)};
    }
  }
  return bytes;
}

}  // namespace kvasir
