// The verbs that change which entries a head holds and where they are.
#include <algorithm>
#include <bit>

#include "cache/head_cache.h"

namespace kvasir {
namespace {

constexpr size_t kMostShiftRuns = 4;  // entries that move by more distances than this are rotated

uint64_t LowestBit(uint64_t bits) { return bits & (~bits + 1); }

bool Contiguous(uint64_t live) {
  const uint64_t shifted = live >> std::countr_zero(live);
  return (shifted & (shifted + 1)) == 0;
}

// Drops the arrays of a page whose first n entries follow one another.
void MakeAffine(Page& page, int n) {
  for (int s = 1; s < n; ++s) {
    if (page.order[s] != page.order[0] + s || page.pos[s] != page.pos[0] + s) return;
  }
  page.order0 = page.order[0];
  page.pos0 = page.pos[0];
  page.order.reset();
  page.pos.reset();
}

}  // namespace

void HeadCache::Keep(std::span<const int32_t> entries) {
  size_t next = 0;
  int64_t entry = 0;
  for (Run& run : runs_) {
    for (PageRef& ref : run.refs) {
      uint64_t kept = 0;
      for (uint64_t live = ref.live; live != 0; live &= live - 1, ++entry) {
        if (next == entries.size() || entries[next] != entry) continue;
        kept |= LowestBit(live);
        ++next;
      }
      ref.live = kept;
    }
  }
  KV_CHECK(next == entries.size());  // ascending and in range
  Shrink();
}

void HeadCache::Drop(int64_t first, int64_t n) {
  KV_CHECK(first >= 0 && n >= 0 && first + n <= size_);
  int64_t entry = 0;
  for (Run& run : runs_) {
    for (PageRef& ref : run.refs) {
      const int64_t end = entry + std::popcount(ref.live);
      if (end <= first || entry >= first + n) {
        entry = end;
        continue;
      }
      for (uint64_t live = ref.live; live != 0; live &= live - 1, ++entry) {
        if (entry >= first && entry < first + n) ref.live &= ~LowestBit(live);
      }
    }
  }
  Shrink();
}

void HeadCache::FreePagesBefore(int32_t order) {
  bool changed = false;
  for (Run& run : runs_) {
    for (size_t p = 0; p < run.refs.size(); ++p) {
      const uint64_t live = run.refs[p].live;
      // Entries of a page are in ascending order: its last live one decides.
      if (live == 0 || run.pages[p]->OrderOf(63 - std::countl_zero(live)) >= order) break;
      run.refs[p].live = 0;
      changed = true;
    }
  }
  if (changed) Shrink();
}

void HeadCache::Truncate(int32_t order) {
  for (Run& run : runs_) {
    for (size_t p = 0; p < run.refs.size(); ++p) {
      for (uint64_t live = run.refs[p].live; live != 0; live &= live - 1) {
        if (run.pages[p]->OrderOf(std::countr_zero(live)) >= order) {
          run.refs[p].live &= ~LowestBit(live);
        }
      }
    }
  }
  end_order_ = std::min(end_order_, order);
  Shrink();
}

// After live bits were cleared: frees pages without entries and packs runs whose holes waste more
// than an eighth of their pages. Without memory for the packed copy the holes stay.
void HeadCache::Shrink() {
  for (Run& run : runs_) {
    size_t kept = 0;
    int64_t n_live = 0;
    for (size_t p = 0; p < run.pages.size(); ++p) {
      if (run.refs[p].live == 0) {
        Unref(run.pages[p]);
        continue;
      }
      n_live += std::popcount(run.refs[p].live);
      run.pages[kept] = run.pages[p];
      run.refs[kept++] = run.refs[p];
    }
    run.pages.resize(kept);
    run.refs.resize(kept);
    const int64_t needed = (n_live + kPageEntries - 1) / kPageEntries;
    if (static_cast<int64_t>(kept) - needed > needed / 8) Pack(run);
  }
  // Appends go to the last run, so that one may be empty.
  while (runs_.size() > 1 && runs_.front().pages.empty()) runs_.erase(runs_.begin());
  Refresh();
}

void HeadCache::Pack(Run& run) {
  std::vector<Place> entries;
  for (size_t p = 0; p < run.refs.size(); ++p) {
    for (uint64_t live = run.refs[p].live; live != 0; live &= live - 1) {
      entries.push_back({run.pages[p], std::countr_zero(live)});
    }
  }
  Run packed;
  packed.shift = run.shift;
  const bool done = CopyInto(entries, packed).has_value();
  for (Page* page : done ? run.pages : packed.pages) Unref(page);
  if (done) run = std::move(packed);
}

// Copies the entries, in this order, to fresh pages at the end of `run`.
Status HeadCache::CopyInto(std::span<const Place> entries, Run& run) {
  const auto copy_entry = [this](const Place& from, Page& to, int slot) {
    CopyEntries(format_.k(), PlaneKind::kKeys, from.page->k, from.slot, 1, to.k, slot);
    CopyEntries(format_.v(), PlaneKind::kValues, from.page->v, from.slot, 1, to.v, slot);
    to.order[slot] = from.page->OrderOf(from.slot);
    to.pos[slot] = from.page->PosOf(from.slot);
    for (int c = 0; c < format_.n_columns; ++c) {
      to.columns[c * kPageEntries + slot] = from.page->columns[c * kPageEntries + from.slot];
    }
  };
  for (size_t first = 0; first < entries.size(); first += kPageEntries) {
    const int n = static_cast<int>(std::min<size_t>(kPageEntries, entries.size() - first));
    KV_ASSIGN_OR_RETURN(Page * page, NewPage());
    page->MakeExplicit();
    for (int s = 0; s < n; ++s) copy_entry(entries[first + s], *page, s);
    MakeAffine(*page, n);
    AddPage(run, page, n == kPageEntries ? ~uint64_t{0} : (uint64_t{1} << n) - 1);
  }
  return {};
}

// The distance from stored to new position, if one distance serves all entries of the run; the
// run's first entry becomes number `rank`.
std::optional<int32_t> HeadCache::UniformShift(const Run& run, int64_t rank) {
  std::optional<int32_t> shift;
  for (size_t p = 0; p < run.refs.size(); ++p) {
    const Page& page = *run.pages[p];
    const bool even = !page.pos && Contiguous(run.refs[p].live);
    for (uint64_t live = run.refs[p].live; live != 0; live &= live - 1, ++rank) {
      const auto distance = static_cast<int32_t>(rank) - page.PosOf(std::countr_zero(live));
      if (shift.value_or(distance) != distance) return std::nullopt;
      shift = distance;
      if (even) {  // the others of this page follow one another
        rank += std::popcount(live);
        break;
      }
    }
  }
  return shift.value_or(0);
}

Status HeadCache::Renumber(const KeyRotator& rotator) {
  std::vector<int32_t> shifts;
  int64_t rank = 0;
  bool uniform = true;
  for (const Run& run : runs_) {
    const std::optional<int32_t> shift = UniformShift(run, rank);
    uniform = uniform && shift.has_value();
    shifts.push_back(shift.value_or(0));
    for (const PageRef& ref : run.refs) rank += std::popcount(ref.live);
  }
  if (uniform) {
    for (size_t r = 0; r < runs_.size(); ++r) runs_[r].shift = shifts[r];
  } else {
    KV_RETURN_IF_ERROR(Regroup(rotator));
  }
  delta_ = static_cast<int32_t>(size_) - end_order_;
  Refresh();
  return {};
}

// Renumbering for entries that lie mixed: a run for each distance where there are few, else every
// key is rotated once, from the position it is stored at.
Status HeadCache::Regroup(const KeyRotator& rotator) {
  std::vector<Run> regrouped;
  std::vector<std::vector<Place>> groups;
  std::vector<Place> all;
  int32_t rank = 0;
  for (const Run& run : runs_) {
    for (size_t p = 0; p < run.refs.size(); ++p) {
      for (uint64_t live = run.refs[p].live; live != 0; live &= live - 1, ++rank) {
        const Place place{run.pages[p], std::countr_zero(live)};
        const int32_t shift = rank - place.page->PosOf(place.slot);
        all.push_back(place);
        if (regrouped.empty() || regrouped.back().shift != shift) {
          regrouped.emplace_back().shift = shift;
          groups.emplace_back();
        }
        groups.back().push_back(place);
      }
    }
  }
  const bool rotate = regrouped.size() > kMostShiftRuns;
  if (rotate) {
    regrouped.assign(1, Run{});
    groups.assign(1, std::move(all));
  }
  Status status;
  for (size_t g = 0; g < groups.size() && status; ++g) status = CopyInto(groups[g], regrouped[g]);
  if (status && rotate) RotateToRank(regrouped[0], rotator);
  for (Run& run : status ? runs_ : regrouped) {
    for (Page* page : run.pages) Unref(page);
  }
  if (status) runs_ = std::move(regrouped);
  return status;
}

// Rotates the keys of a packed run so that entry i is at position i.
void HeadCache::RotateToRank(Run& run, const KeyRotator& rotator) {
  const PlaneFormat format = format_.k();
  std::vector<float> key(format_.head_dim);
  int32_t rank = 0;
  for (size_t p = 0; p < run.pages.size(); ++p) {
    Page& page = *run.pages[p];
    page.MakeExplicit();
    const int n = std::popcount(run.refs[p].live);
    for (int s = 0; s < n; ++s, ++rank) {
      DecodeEntries(format, PlaneKind::kKeys, page.k, s, 1, key.data(), 0);
      rotator.Rotate(key.data(), page.pos[s], rank);
      page.pos[s] = rank;
      EncodeEntries(Isa::kAvx2, format, PlaneKind::kKeys, key.data(), 0, s, 1, page.k);
    }
    run.refs[p].order = page.order.get();
  }
}

}  // namespace kvasir
