// The verbs that change which entries a head holds, and packing.
#include <algorithm>
#include <bit>

#include "cache/head_cache.h"

namespace kvasir {
namespace {

constexpr int64_t kGroupedSlack = 2;  // pages of a run of groups that may be partly used

uint64_t LowestBit(uint64_t bits) { return bits & (~bits + 1); }

// Of the group of so many slots that begins at this one.
uint64_t LiveInGroup(uint64_t live, int first, int together) {
  return live >> first & (~uint64_t{0} >> (kPageEntries - together));
}

}  // namespace

void HeadCache::Keep(std::span<const int32_t> entries) {
  size_t next = 0;
  if (!in_order_) {
    const std::vector<Place> places = Places();
    for (Run& run : runs_) {
      for (PageRef& ref : run.refs) ref.live = 0;
    }
    for (int32_t entry : entries) {
      KV_CHECK(entry < size_ && (next == 0 || entries[next - 1] < entry));
      LiveAt(places[entry]) |= uint64_t{1} << places[entry].slot;
      ++next;
    }
    return Shrink();
  }
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
  if (!in_order_) {
    const std::vector<Place> places = Places();
    for (int64_t i = first; i < first + n; ++i) {
      LiveAt(places[i]) &= ~(uint64_t{1} << places[i].slot);
    }
    return Shrink();
  }
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

// After live bits were cleared: frees pages without entries and packs runs whose holes waste much.
// Without memory for the packed copy the holes stay. Groups of entries that are encoded together
// are copied whole, which is exact; only where less than half of what they take is used are they
// taken apart and encoded anew.
void HeadCache::Shrink() {
  for (Run& run : runs_) ShrinkRun(run);
  DropEmptyRuns();
  Refresh();
}

void HeadCache::ShrinkRun(Run& run) {
  const int together = run.format.together();
  size_t kept = 0;
  int64_t n_live = 0, n_groups = 0;
  for (size_t p = 0; p < run.pages.size(); ++p) {
    const uint64_t live = run.refs[p].live;
    if (live == 0) {
      Unref(run.pages[p]);
      continue;
    }
    n_live += std::popcount(live);
    for (int first = 0; first < kPageEntries && together > 1; first += together) {
      n_groups += LiveInGroup(live, first, together) != 0 ? 1 : 0;
    }
    if (!run.turns.empty()) {
      std::copy_n(run.turns.begin() + p * kPageEntries, kPageEntries,
                  run.turns.begin() + kept * kPageEntries);
    }
    run.pages[kept] = run.pages[p];
    run.refs[kept++] = run.refs[p];
  }
  run.pages.resize(kept);
  run.refs.resize(kept);
  if (!run.turns.empty()) run.turns.resize(kept * kPageEntries);
  const auto n_pages = static_cast<int64_t>(kept);
  const int64_t needed = (n_live + kPageEntries - 1) / kPageEntries;
  if (together == 1) {
    if (n_pages - needed > needed / 8) Pack(run);
  } else if (const int64_t whole = (n_groups * together + kPageEntries - 1) / kPageEntries;
             whole > 2 * needed + kGroupedSlack) {
    Pack(run);
  } else if (n_pages - whole > needed / 8 + kGroupedSlack) {
    PackGroups(run);
  }
}

// Appends go to the last run, so that one may be empty.
void HeadCache::DropEmptyRuns() {
  const auto empty = [](const Run& run) { return run.pages.empty(); };
  runs_.erase(std::remove_if(runs_.begin(), runs_.end() - 1, empty), runs_.end() - 1);
}

void HeadCache::Pack(Run& run) {
  std::vector<Place> entries;
  const auto index = static_cast<int32_t>(&run - runs_.data());
  for (size_t p = 0; p < run.refs.size(); ++p) {
    for (uint64_t live = run.refs[p].live; live != 0; live &= live - 1) {
      entries.push_back({index, static_cast<int32_t>(p), std::countr_zero(live)});
    }
  }
  Run packed;
  packed.format = run.format;
  const bool done = CopyInto(entries, packed).has_value();
  for (Page* page : done ? run.pages : packed.pages) Unref(page);
  if (done) run = std::move(packed);
}

// Copies the groups that have a live entry, holes included.
void HeadCache::PackGroups(Run& run) {
  const int together = run.format.together();
  Run packed;
  packed.format = run.format;
  packed.rotated = run.rotated;
  bool done = true;
  int slot = kPageEntries;
  for (size_t p = 0; p < run.refs.size() && done; ++p) {
    const Page& source = *run.pages[p];
    for (int from = 0; from < kPageEntries; from += together) {
      const uint64_t live = LiveInGroup(run.refs[p].live, from, together);
      if (live == 0) continue;
      if (slot == kPageEntries) {
        Result<Page*> page = NewPage(run.format);
        done = page.has_value();
        if (!done) break;
        (*page)->order0 = source.OrderOf(from);
        (*page)->pos0 = source.PosOf(from);
        AddPage(packed, *page, 0);
        slot = 0;
      }
      Page& page = *packed.pages.back();
      for (PlaneKind kind : {PlaneKind::kKeys, PlaneKind::kValues}) {
        CopyEntries(run.format.plane(kind), kind, source.bytes(kind), from, together,
                    page.plane(kind)->bytes, slot);
      }
      for (int s = 0; s < together; ++s) {
        page.SetFacts(slot + s, source, from + s, format_.n_columns);
        packed.SetTurn(packed.pages.size() - 1, slot + s, run.TurnOf(p, from + s));
      }
      packed.refs.back().live |= live << slot;
      page.NoteOrder(packed.refs.back().live);
      SyncRef(packed, packed.refs.size() - 1);
      slot += together;
    }
  }
  for (Page* page : done ? run.pages : packed.pages) Unref(page);
  if (done) run = std::move(packed);
}

}  // namespace kvasir
