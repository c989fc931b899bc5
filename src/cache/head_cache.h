// HeadCache: the entries of one (sequence, layer, KV head), in pages of 64 slots.
//
// Slot, order and phase are three things. Slot: where an entry lies (run, page, 0..63). Order: its
// place in the text, which masks compare. Position: the angle at which its key is rotated; a run's
// `shift` is added to the stored positions of all its entries, so that moving many keys by one
// distance rewrites none of them: the query is rotated the other way. Keys that move by many
// distances are rotated when they are read: head_run.h.
//
// A run holds entries of one format. New entries go to the end of the last run, in the staging
// format; Encode moves them to runs of other formats. Evicting clears live bits, frees pages that
// became empty, and packs a run where holes waste much: more than an eighth; entries that are
// encoded in groups are copied by whole groups, and taken apart only where more than half would be
// wasted. Entries are numbered in the order of the text, whatever runs they lie in.
//
// A page may be shared by several heads (Fork). Its bytes are then immutable: whoever writes copies
// first. Live bits belong to the reference, so evicting from a shared page copies nothing. A plane
// may be shared by two pages of one head: keys that are encoded before their values are.
// Not thread-safe; different heads may be used by different threads.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "cache/encoding.h"
#include "cache/head_run.h"
#include "cache/merge_sets.h"
#include "cache/page_pool.h"

namespace kvasir {

class HeadCache {
 public:
  HeadCache(PagePool& pool, const HeadFormat& format);
  ~HeadCache();
  HeadCache(HeadCache&& other) noexcept;
  HeadCache& operator=(HeadCache&&) = delete;

  const HeadFormat& format() const { return format_; }
  int64_t size() const { return size_; }  // live entries
  int64_t n_slots() const;                // slots of all runs' pages
  // The page table, for kernels; valid until the next change. AsRead: keys that have turns rotated.
  std::span<const RunRef> runs() const { return table_; }
  std::span<const RunRef> AsRead(const KeyRotator& rotator, TurnedKeys& turned) const;
  const RunFormat& run_format(size_t run) const { return runs_[run].format; }
  // The position at which the entry of text order `order` is, or will be, rotated on append.
  int32_t PositionOf(int32_t order) const { return order + delta_; }

  // Makes n slots for entries of order first_order, first_order + 1, … and marks them live; the
  // caller then encodes the vectors into `slots`. Keys are to be rotated at StoredPosition(order).
  Status Append(int64_t n, int32_t first_order, std::vector<SlotRange>& slots);
  // Pages that Append(n) takes from the pool, at most; their bytes; their planes.
  int64_t AppendPages(int64_t n) const;
  int64_t AppendBytes(int64_t n) const;
  void AddAppendBlocks(int64_t n, BlockCounts& blocks) const;
  // Bytes of the planes of its pages; shared: of those that another head has too.
  int64_t PlaneBytesHeld(bool shared) const;
  int32_t StoredPosition(int32_t order) const { return order + delta_ - runs_.back().format.shift; }

  // Facts of the live entries; entry i of every call below is the i-th of these.
  std::vector<int32_t> Orders() const;
  std::vector<int32_t> Positions() const;
  int32_t FirstOrder() const;  // REQUIRES: size() > 0
  // Decodes keys (or values) of entries [first, first + n) into x [n][head_dim]. Channels that were
  // dropped are 0. Keys are rotated as they are stored; given a rotator, at their Positions().
  void Read(PlaneKind kind, int64_t first, int64_t n, float* x,
            const KeyRotator* rotator = nullptr) const;
  // Copies per-slot numbers (as kernels write them) of the live entries: out [size()].
  void Gather(const float* by_slot, float* out) const;
  std::vector<float> Column(int column) const;  // [size()]
  // An error where a shared page has to be copied first and there is no memory.
  Status SetColumn(int column, int64_t entry, float value);

  // How many entries have keys (or values) stored as `format`; which entries a span means.
  int64_t n_stored(PlaneKind kind, const PlaneFormat& format) const;
  std::vector<int32_t> Entries(const StoredSpan& span) const;
  int64_t n_staged(PlaneKind kind) const;  // that are as they were appended

  // Verbs. Keep: exactly these entries remain (ascending). Drop: entries [first, first + n) go.
  void Keep(std::span<const int32_t> entries);
  void Drop(int64_t first, int64_t n);
  // Overwrites each set's `into` with the weighted sum of its members; its count becomes the sum of
  // theirs. Nothing goes: the other members are the caller's to drop. What is written and was
  // encoded in a group, or lost channels, is stored as new entries are.
  Status Merge(const MergeSets& sets);
  // Entries [first, first + n) go; what stays of them is the compensation entry right before where
  // they were (the caller keeps it there): its key and value are the means of all that was ever
  // folded, and it is stored as new entries are. weighted: it counts in attention as often as there
  // were entries.
  Status Fold(int64_t first, int64_t n, bool weighted);
  int64_t n_folded() const { return folded_.n; }
  // Gives the entries the positions 0 … size() - 1 in the order of the text, and appends go on from
  // there. Entries that move by one distance together are shifted; where there are many distances,
  // keys are rotated once in their life, and from then on when they are read.
  Status Renumber(const KeyRotator& rotator);
  // Stores these entries (ascending) in another format: decoded from the one they are in, and
  // encoded once. Where a codec encodes 32 slots together and the entries end within a group,
  // copies of them fill it. After an error (no memory) some may be encoded and others not.
  Status Encode(std::span<const int32_t> entries, const Encoding& to);
  Status Encode(const StoredSpan& span, const Encoding& to);
  // What keys, and values, are mapped with when they are encoded from now on. A map that was set
  // stays: queries of a head meet few maps.
  void SetKeyMap(KeyMapPtr map) { key_map_ = std::move(map); }
  void SetValueMap(ValueMapPtr map) { value_map_ = std::move(map); }
  const KeyMapPtr& key_map() const { return key_map_; }
  const ValueMapPtr& value_map() const { return value_map_; }
  // Frees the pages all of whose entries are of order < `order` (out of a sliding window).
  void FreePagesBefore(int32_t order);
  void Truncate(int32_t order);  // drops all entries of order >= `order`
  void Clear();

  // A second head with the same entries; pages are shared until one of them writes.
  HeadCache Fork() const;
  HeadBytes bytes() const;
  static int64_t PageBytes(const HeadFormat& format);  // of a page, tables included

 private:
  friend class CacheFile;
  using Run = HeadRun;
  using Folded = FoldedSums;
  // One entry, wherever it lies.
  struct Place {
    int32_t run, page;
    int slot;
  };
  struct Tail {  // the end of a run, where entries can be written
    size_t page;
    int slot;
  };
  // Copied keys are rotated to these positions.
  struct Rotation {
    const KeyRotator* rotator;
    std::span<const int32_t> to;  // [entries]
  };

  // Pages and planes: head_cache.cc.
  Result<Plane*> NewPlane(int64_t n_bytes, PlaneKind kind);
  Result<Page*> NewPage(const RunFormat& format);
  Page* PageWith(Plane* k, Plane* v) const;  // takes over a reference of each
  void Unref(Plane* plane);
  void Unref(Page* page);
  void AddPage(Run& run, Page* page, uint64_t live);
  static void SyncRef(Run& run, size_t index);  // after the page's arrays or planes changed
  void CopyFacts(const Page& from, Page& to) const;
  Status MakeWritable(Run& run, size_t index);
  bool IsOwn(const Plane* plane) const;  // no other head uses its bytes
  void Refresh();                        // after any change: table_, size_, in_order_
  int32_t LastOrder() const;  // of the last entry in slot order; INT32_MIN: there is none
  const Page& PageAt(const Place& place) const { return *runs_[place.run].pages[place.page]; }
  uint64_t& LiveAt(const Place& place) { return runs_[place.run].refs[place.page].live; }
  std::vector<Place> Places() const;  // of all entries, in the order of the text
  template <class F>
  void ForEachEntry(F&& f) const;  // f(place, entry), in the order of the text

  // Packing: head_cache_verbs.cc; positions: head_cache_moves.cc.
  void Shrink();
  void ShrinkRun(Run& run);
  void DropEmptyRuns();
  void Pack(Run& run);
  void PackGroups(Run& run);
  struct Moving;
  std::vector<Moving> MovingByFormat() const;
  Status Regroup(const KeyRotator& rotator);
  Status Regroup(const Moving& moving, const KeyRotator& rotator, std::vector<Run>& made);
  Status Turn(const Moving& moving, Run& to);
  Status CopyPart(std::span<const Place> part, std::span<const int32_t> turns, Run& to);

  // Other formats: head_cache_encode.cc.
  std::vector<Place> PlacesOf(const StoredSpan& span) const;
  Status EncodePlaces(std::span<const Place> places, const Encoding& to);
  Status MoveInto(std::span<const Place> from, Run& to);
  Status CopyInto(std::span<const Place> from, Run& to, const Rotation* rotation = nullptr);
  void CopyPlane(PlaneKind kind, std::span<const Place> from, Run& to, Tail tail,
                 const Rotation* rotation) const;
  Status EncodeInPlace(std::span<const Place> from, PlaneKind kind, Run& to);
  Result<size_t> TwinOf(const Place& place, PlaneKind kind, Run& to);
  Result<Tail> WritableTail(Run& run);
  size_t FindRun(const RunFormat& format);  // or adds it
  void SortRuns();

  // Writing into entries: head_cache_merge.cc.
  Status MakeOneWritable(int64_t entry, bool as_appended = false);
  void WriteColumn(const Place& at, int column, float value);
  void WriteEntry(const Place& at, PlaneKind kind, const double* x);
  void ReadEntry(const Place& at, PlaneKind kind, float* x) const;

  PagePool* pool_;
  HeadFormat format_;
  std::vector<Run> runs_;  // never empty; appends go to the last, which has the staging format
  std::vector<RunRef> table_;
  KeyMapPtr key_map_;
  ValueMapPtr value_map_;
  int64_t size_ = 0;
  bool in_order_ = true;   // runs, pages and slots in turn are in the order of the text
  int32_t end_order_ = 0;  // one past the last order appended
  int32_t delta_ = 0;      // position minus order of what is appended next
  Folded folded_;
};

}  // namespace kvasir
