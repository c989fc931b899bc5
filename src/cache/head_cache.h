// HeadCache: the entries of one (sequence, layer, KV head), in pages of 64 slots.
//
// Slot, order and phase are three things. Slot: where an entry lies (run, page, 0..63). Order: its
// place in the text, which masks compare. Position: the angle at which its key is rotated; a run's
// `shift` is added to the stored positions of all its entries, so that moving many keys by one
// distance rewrites none of them: the query is rotated the other way.
//
// New entries go to the end of the last run; evicting clears live bits, frees pages that became
// empty, and packs the head again when holes waste more than an eighth of it. Entries of one run
// therefore stay in ascending order of the text.
//
// A page may be shared by several heads (Fork). Its bytes are then immutable: whoever writes copies
// first. Live bits belong to the reference, so evicting from a shared page copies nothing.
//
// Not thread-safe; different heads may be used by different threads.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "cache/page_pool.h"
#include "kernels/attention.h"
#include "kernels/codec.h"

namespace kvasir {

// How the entries of a head are stored.
struct HeadFormat {
  int32_t head_dim = 0;
  PlaneFormat k_plane, v_plane;  // a `dim` of 0 stands for head_dim
  int32_t n_columns = 0;  // declared extra facts an entry; column 0, where there is one, is `bias`

  PlaneFormat k() const { return WithDim(k_plane); }
  PlaneFormat v() const { return WithDim(v_plane); }
  int64_t k_bytes() const { return PlaneBytes(k(), PlaneKind::kKeys); }
  int64_t v_bytes() const { return PlaneBytes(v(), PlaneKind::kValues); }

 private:
  PlaneFormat WithDim(PlaneFormat plane) const {
    if (plane.dim == 0) plane.dim = static_cast<int16_t>(head_dim);
    return plane;
  }
};

// Rotates a key [head_dim] that is rotated at position `from` so that it is rotated at `to`.
class KeyRotator {
 public:
  virtual ~KeyRotator() = default;
  virtual void Rotate(float* key, int32_t from, int32_t to) const = 0;
};

// The bytes and facts of 64 slots; ref-counted.
struct Page {
  std::byte *k = nullptr, *v = nullptr;
  int32_t order0 = 0, pos0 = 0;      // of slot 0, the others follow, unless the arrays are there
  std::unique_ptr<int32_t[]> order;  // [64]
  std::unique_ptr<int32_t[]> pos;    // [64] stored position
  std::unique_ptr<float[]> columns;  // [n_columns][64]
  std::atomic<int32_t> n_refs{1};

  void MakeExplicit();  // allocates and fills the arrays
  int32_t OrderOf(int slot) const { return order ? order[slot] : order0 + slot; }
  int32_t PosOf(int slot) const { return pos ? pos[slot] : pos0 + slot; }
};

// Slots that an append has made ready to be written: rows [row, row + n) of the chunk.
struct SlotRange {
  std::byte *k = nullptr, *v = nullptr;  // planes
  int32_t slot = 0, n = 0, row = 0;
};

struct HeadBytes {
  int64_t keys = 0, values = 0;  // planes, from the pool
  int64_t facts = 0;             // page tables, orders, positions, columns
  int64_t total() const { return keys + values + facts; }
};

class HeadCache {
 public:
  HeadCache(PagePool& pool, const HeadFormat& format);
  ~HeadCache();
  HeadCache(HeadCache&& other) noexcept;
  HeadCache& operator=(HeadCache&&) = delete;

  const HeadFormat& format() const { return format_; }
  int64_t size() const { return size_; }  // live entries
  int64_t n_slots() const;                // slots of all pages
  // The page table, for kernels; valid until the next change.
  std::span<const RunRef> runs() const { return table_; }
  int32_t shift(size_t run) const { return runs_[run].shift; }
  // The position at which the entry of text order `order` is, or will be, rotated on append.
  int32_t PositionOf(int32_t order) const { return order + delta_; }

  // Makes n slots for entries of order first_order, first_order + 1, … and marks them live; the
  // caller then encodes the vectors into `slots`. Keys are to be rotated at StoredPosition(order).
  Status Append(int64_t n, int32_t first_order, std::vector<SlotRange>& slots);
  int32_t StoredPosition(int32_t order) const { return order + delta_ - runs_.back().shift; }

  // Facts of the live entries, in slot order; entry i of every call below is the i-th of these.
  std::vector<int32_t> Orders() const;
  std::vector<int32_t> Positions() const;
  int32_t FirstOrder() const;  // REQUIRES: size() > 0
  // Decodes keys (or values) of entries [first, first + n) into x [n][stored dim].
  void Read(PlaneKind kind, int64_t first, int64_t n, float* x) const;
  // Copies per-slot numbers (as kernels write them) of the live entries: out [size()].
  void Gather(const float* by_slot, float* out) const;
  void SetColumn(int column, int64_t entry, float value);

  // Verbs. Keep: exactly these entries remain (ascending). Drop: entries [first, first + n) go.
  void Keep(std::span<const int32_t> entries);
  void Drop(int64_t first, int64_t n);
  // Gives the entries the positions 0 … size() - 1 in slot order, and appends go on from there.
  // Entries that move by one distance together are shifted, others rotated once.
  Status Renumber(const KeyRotator& rotator);
  // Frees the pages all of whose entries are of order < `order` (out of a sliding window).
  void FreePagesBefore(int32_t order);
  // Drops all entries of order >= `order`.
  void Truncate(int32_t order);
  void Clear();

  // A second head with the same entries; pages are shared until one of them writes.
  HeadCache Fork() const;
  HeadBytes bytes() const;
  // What a page of this format costs, tables included.
  static int64_t PageBytes(const HeadFormat& format);

 private:
  friend class CacheFile;
  struct Run {
    int32_t shift = 0;
    std::vector<Page*> pages;
    std::vector<PageRef> refs;  // what kernels see; `live` is kept here
  };
  // One entry, wherever it lies.
  struct Place {
    Page* page;
    int slot;
  };

  Result<Page*> NewPage();
  void Unref(Page* page);
  void AddPage(Run& run, Page* page, uint64_t live);
  Status MakeWritable(Run& run, size_t index);
  Status CopyInto(std::span<const Place> entries, Run& run);
  void Shrink();
  void Pack(Run& run);
  static std::optional<int32_t> UniformShift(const Run& run, int64_t rank);
  Status Regroup(const KeyRotator& rotator);
  void RotateToRank(Run& run, const KeyRotator& rotator);
  void Refresh();  // after any change: table_ and size_
  template <class F>
  void ForEachEntry(F&& f) const;  // f(run, index of page, slot, entry)

  PagePool* pool_;
  HeadFormat format_;
  std::vector<Run> runs_;  // never empty; appends go to the last
  std::vector<RunRef> table_;
  int64_t size_ = 0;
  int32_t end_order_ = 0;  // one past the last order appended
  int32_t delta_ = 0;      // position minus order of what is appended next
};

}  // namespace kvasir
