#include "cache/head_cache.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace kvasir {
namespace {

template <class Run>
RunRef RefOf(const Run& run) {
  return {.pages = run.refs.data(),
          .n_pages = static_cast<int32_t>(run.refs.size()),
          .k = run.format.k,
          .v = run.format.v,
          .v_channels = run.format.v_map ? run.format.v_map->channels().data() : nullptr};
}

uint64_t SlotMask(int slot, int n) {
  return (n == kPageEntries ? ~uint64_t{0} : (uint64_t{1} << n) - 1) << slot;
}

}  // namespace

HeadCache::HeadCache(PagePool& pool, const HeadFormat& format)
    : pool_(&pool), format_(format), runs_(1) {
  runs_[0].format = {.k = format.k(), .v = format.v(), .map = nullptr};
  Refresh();
}

HeadCache::HeadCache(HeadCache&& other) noexcept
    : pool_(other.pool_),
      format_(other.format_),
      runs_(std::move(other.runs_)),
      table_(std::move(other.table_)),
      key_map_(std::move(other.key_map_)),
      value_map_(std::move(other.value_map_)),
      size_(other.size_),
      in_order_(other.in_order_),
      end_order_(other.end_order_),
      delta_(other.delta_),
      folded_(std::move(other.folded_)) {
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
  runs_[0].format = {.k = format_.k(), .v = format_.v(), .map = nullptr};
  key_map_ = nullptr;
  value_map_ = nullptr;
  folded_ = {};
  end_order_ = 0;
  delta_ = 0;
  Refresh();
}

int64_t HeadCache::n_slots() const {
  int64_t n = 0;
  for (const Run& run : runs_) n += static_cast<int64_t>(run.pages.size()) * kPageEntries;
  return n;
}

Result<Plane*> HeadCache::NewPlane(int64_t n_bytes, PlaneKind kind) {
  KV_ASSIGN_OR_RETURN(std::byte * bytes, pool_->Allocate(n_bytes, kind));
  auto plane = std::make_unique<Plane>();
  plane->bytes = bytes;
  plane->n_bytes = n_bytes;
  return plane.release();
}

Page* HeadCache::PageWith(Plane* k, Plane* v) const {
  auto page = std::make_unique<Page>();
  page->k = k;
  page->v = v;
  return page.release();
}

Result<Page*> HeadCache::NewPage(const RunFormat& format) {
  const auto plane = [&](PlaneKind kind) {
    return NewPlane(PlaneBytes(format.plane(kind), kind), kind);
  };
  KV_ASSIGN_OR_RETURN(Plane * k, plane(PlaneKind::kKeys));
  Result<Plane*> v = plane(PlaneKind::kValues);
  if (!v) {
    Unref(k);
    return tl::unexpected<Error>(v.error());
  }
  return PageWith(k, *v);
}

void HeadCache::Unref(Plane* plane) {
  if (plane->n_refs.fetch_sub(1, std::memory_order_acq_rel) > 1) return;
  pool_->Release(plane->bytes, plane->n_bytes);
  delete plane;
}

void HeadCache::Unref(Page* page) {
  if (page->n_refs.fetch_sub(1, std::memory_order_acq_rel) > 1) return;
  Unref(page->k);
  Unref(page->v);
  delete page;
}

void HeadCache::AddPage(Run& run, Page* page, uint64_t live) {
  run.pages.push_back(page);
  run.refs.push_back({.live = live});
  if (!run.turns.empty()) run.turns.resize(run.pages.size() * kPageEntries);
  SyncRef(run, run.refs.size() - 1);
}

void HeadCache::SyncRef(Run& run, size_t index) {
  const Page& page = *run.pages[index];
  run.refs[index] = {.k = page.k->bytes,
                     .v = page.v->bytes,
                     .bias = page.columns.get(),
                     .order = page.order.get(),
                     .live = run.refs[index].live,
                     .order0 = page.order0};
}

void HeadCache::CopyFacts(const Page& from, Page& to) const {
  to.order0 = from.order0;
  to.pos0 = from.pos0;
  to.ascends = from.ascends;
  if (from.order) {
    to.MakeExplicit();
    std::copy_n(from.order.get(), kPageEntries, to.order.get());
    std::copy_n(from.pos.get(), kPageEntries, to.pos.get());
  }
  if (from.columns) {
    to.MakeColumns(format_.n_columns);
    std::copy_n(from.columns.get(), format_.n_columns * kPageEntries, to.columns.get());
  }
}

// A page that others hold is copied before its first change. Pages of other runs that have one of
// its planes have the copy's from then on.
Status HeadCache::MakeWritable(Run& run, size_t index) {
  Page* old = run.pages[index];
  if (old->n_refs.load(std::memory_order_acquire) == 1) return {};
  KV_ASSIGN_OR_RETURN(Page * page, NewPage(run.format));
  std::memcpy(page->k->bytes, old->k->bytes, old->k->n_bytes);
  std::memcpy(page->v->bytes, old->v->bytes, old->v->n_bytes);
  CopyFacts(*old, *page);
  run.pages[index] = page;
  SyncRef(run, index);
  for (PlaneKind kind : {PlaneKind::kKeys, PlaneKind::kValues}) {
    Plane *before = old->plane(kind), *copy = page->plane(kind);
    if (before->n_refs.load(std::memory_order_acquire) == 1) continue;
    for (Run& other : runs_) {
      for (size_t p = 0; p < other.pages.size(); ++p) {
        Page*& twin = other.pages[p];
        if (twin->plane(kind) != before) continue;
        if (twin->n_refs.load(std::memory_order_acquire) > 1) {
          for (Plane* plane : {twin->k, twin->v}) {
            plane->n_refs.fetch_add(1, std::memory_order_relaxed);
          }
          Page* own = PageWith(twin->k, twin->v);
          CopyFacts(*twin, *own);
          Unref(std::exchange(twin, own));
        }
        copy->n_refs.fetch_add(1, std::memory_order_relaxed);
        Unref(std::exchange(twin->plane(kind), copy));
        SyncRef(other, p);
      }
    }
  }
  Unref(old);
  return {};
}

bool HeadCache::IsOwn(const Plane* plane) const {
  const int32_t n_refs = plane->n_refs.load(std::memory_order_acquire);
  if (n_refs == 1) return true;
  int32_t n_here = 0;
  for (const Run& run : runs_) {
    for (const Page* page : run.pages) {
      const bool holds = page->k == plane || page->v == plane;
      n_here += holds && page->n_refs.load(std::memory_order_acquire) == 1 ? 1 : 0;
    }
  }
  return n_here == n_refs;
}

Status HeadCache::Append(int64_t n, int32_t first_order, std::vector<SlotRange>& slots) {
  slots.clear();
  Run& run = runs_.back();
  in_order_ = in_order_ && first_order >= LastOrder();
  int32_t row = 0;
  while (row < n) {
    const int32_t order = first_order + row;
    const int32_t pos = StoredPosition(order);
    size_t index = run.pages.size() - 1;
    // Slots after the last live one are free; those of a page that became a hole are not reused.
    int slot = run.pages.empty() ? kPageEntries : 64 - std::countl_zero(run.refs[index].live);
    if (slot == kPageEntries) {
      KV_ASSIGN_OR_RETURN(Page * page, NewPage(run.format));
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
    for (int c = 0; page.columns && c < format_.n_columns; ++c) {
      std::fill_n(page.columns.get() + c * kPageEntries + slot, take, DefaultOf(c));
    }
    for (int i = 0; i < take; ++i) run.SetTurn(index, slot + i, 0);
    run.refs[index].order = page.order.get();
    run.refs[index].live |= SlotMask(slot, take);
    slots.push_back({.k = page.k->bytes, .v = page.v->bytes, .slot = slot, .n = take, .row = row});
    row += take;
    // What Refresh would find, without a look at every page of the cache for every token.
    run.n_live += take;
    size_ += take;
    end_order_ = order + take;
    table_.back() = RefOf(run);
  }
  return {};
}

int32_t HeadCache::LastOrder() const {
  for (auto run = runs_.rbegin(); run != runs_.rend(); ++run) {
    for (size_t p = run->refs.size(); p-- > 0;) {
      const uint64_t live = run->refs[p].live;
      if (live != 0) return run->pages[p]->OrderOf(63 - std::countl_zero(live));
    }
  }
  return INT32_MIN;
}

int64_t HeadCache::AppendPages(int64_t n) const {
  const Run& run = runs_.back();
  int64_t n_pages = 0, n_free = 0;
  if (!run.pages.empty()) {
    n_free = std::countl_zero(run.refs.back().live);
    const bool shared = run.pages.back()->n_refs.load(std::memory_order_acquire) > 1;
    if (n_free > 0 && shared) n_pages = 1;  // copied before its first change
  }
  return n_pages + (std::max<int64_t>(0, n - n_free) + kPageEntries - 1) / kPageEntries;
}

int64_t HeadCache::AppendBytes(int64_t n) const {
  return AppendPages(n) * (format_.k_bytes() + format_.v_bytes());
}

void HeadCache::AddAppendBlocks(int64_t n, BlockCounts& blocks) const {
  const int64_t n_pages = AppendPages(n);
  if (n_pages == 0) return;
  blocks[{format_.k_bytes(), PlaneKind::kKeys}] += n_pages;
  blocks[{format_.v_bytes(), PlaneKind::kValues}] += n_pages;
}

int64_t HeadCache::PlaneBytesHeld(bool shared) const {
  int64_t bytes = 0;
  for (const Run& run : runs_) {
    for (const Page* page : run.pages) {
      if (shared && page->n_refs.load(std::memory_order_acquire) == 1) continue;
      bytes += page->k->n_bytes + page->v->n_bytes;
    }
  }
  return bytes;
}

void HeadCache::Refresh() {
  table_.clear();
  size_ = 0;
  in_order_ = true;
  int32_t last_order = INT32_MIN;
  for (Run& run : runs_) {
    table_.push_back(RefOf(run));
    run.n_live = 0;
    for (size_t p = 0; p < run.refs.size(); ++p) {
      const PageRef& ref = run.refs[p];
      if (ref.live == 0) continue;
      run.n_live += std::popcount(ref.live);
      const int begin = std::countr_zero(ref.live), last = 63 - std::countl_zero(ref.live);
      // Most pages have no orders of their own, and are not looked at: they lie all over memory.
      const bool ascends = ref.order == nullptr || run.pages[p]->ascends;
      const int32_t first = ref.order == nullptr ? ref.order0 + begin : ref.order[begin];
      in_order_ = in_order_ && ascends && first >= last_order;
      last_order = ref.order == nullptr ? ref.order0 + last : ref.order[last];
    }
    size_ += run.n_live;
  }
}

int64_t HeadCache::n_staged(PlaneKind kind) const {
  return n_stored(kind, kind == PlaneKind::kKeys ? format_.k() : format_.v());
}

int64_t HeadCache::n_stored(PlaneKind kind, const PlaneFormat& format) const {
  int64_t n = 0;
  for (const Run& run : runs_) {
    if (Matches(run.format.plane(kind), format)) n += run.n_live;
  }
  return n;
}

HeadCache HeadCache::Fork() const {
  HeadCache fork(*pool_, format_);
  fork.runs_ = runs_;
  fork.key_map_ = key_map_;
  fork.value_map_ = value_map_;
  fork.end_order_ = end_order_;
  fork.delta_ = delta_;
  fork.folded_ = folded_;
  for (const Run& run : runs_) {
    for (Page* page : run.pages) page->n_refs.fetch_add(1, std::memory_order_relaxed);
  }
  fork.Refresh();
  return fork;
}

int64_t HeadCache::PageBytes(const HeadFormat& format) {
  constexpr int64_t kTables = sizeof(Page) + 2 * sizeof(Plane) + sizeof(PageRef) + sizeof(Page*);
  return format.k_bytes() + format.v_bytes() + kTables;
}

HeadBytes HeadCache::bytes() const {
  HeadBytes bytes;
  const int64_t facts = PageBytes(format_) - format_.k_bytes() - format_.v_bytes();
  std::vector<const Plane*> shared;  // counted once
  const auto is_new = [&](const Plane* plane) {
    if (plane->n_refs.load(std::memory_order_acquire) == 1) return true;
    if (std::find(shared.begin(), shared.end(), plane) != shared.end()) return false;
    shared.push_back(plane);
    return true;
  };
  for (const Run& run : runs_) {
    int64_t keys = 0, values = 0;
    for (const Page* page : run.pages) {
      if (is_new(page->k)) keys += page->k->n_bytes;
      if (is_new(page->v)) values += page->v->n_bytes;
      bytes.facts += facts;
      if (page->order) bytes.facts += 2 * kPageEntries * int64_t{sizeof(int32_t)};
      if (page->columns) {
        bytes.facts += format_.n_columns * kPageEntries * int64_t{sizeof(float)};
      }
    }
    if (keys > 0) bytes.by_codec[FormatName(run.format.k)] += keys;
    if (values > 0) bytes.by_codec[FormatName(run.format.v)] += values;
    bytes.keys += keys;
    bytes.values += values;
    bytes.facts += static_cast<int64_t>(run.turns.size() * sizeof(int32_t));
  }
  bytes.facts += static_cast<int64_t>(folded_.sum.size() * sizeof(double));
  if (key_map_) bytes.facts += key_map_->bytes();
  if (value_map_) bytes.facts += value_map_->bytes();
  return bytes;
}

}  // namespace kvasir
