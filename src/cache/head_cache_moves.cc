// Positions: renumbering, and keys that are rotated when they are read.
#include <algorithm>
#include <bit>
#include <optional>

#include "cache/head_cache.h"

namespace kvasir {
namespace {

bool Contiguous(uint64_t live) {
  const uint64_t shifted = live >> std::countr_zero(live);
  return (shifted & (shifted + 1)) == 0;
}

// Runs that entries of one format may lie in, so that their queries are turned and not they: each
// has a page that is partly filled, and small heads have no page to spare.
size_t MostShiftRuns(size_t n_entries) {
  return std::clamp<size_t>(n_entries / (8 * kPageEntries), 2, 4);
}

// The distance from stored to new position, if one distance serves all entries of a run; the run's
// first entry becomes number `rank`, and no entry of another run lies between its own.
std::optional<int32_t> UniformShift(const HeadRun& run, int64_t rank) {
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

void SetShift(HeadRun& run, int32_t shift) {
  run.format.shift = shift;
  run.turns.clear();
}

// A second run of the same pages.
HeadRun Hold(const HeadRun& run) {
  for (Page* page : run.pages) page->n_refs.fetch_add(1, std::memory_order_relaxed);
  return run;
}

bool SameButShift(RunFormat a, const RunFormat& b) {
  a.shift = b.shift;
  return a == b;
}

// The keys of one run, turned and mapped again, as f32.
void TurnKeys(const HeadRun& run, const KeyRotator& rotator, TurnedKeys::Keys& keys, RunRef& ref) {
  const int64_t dim = run.format.k.dim;
  const PlaneFormat f32 = FloatPlane(CodecId::kF32, run.format.k.dim);
  const int64_t n_bytes = PlaneBytes(f32, PlaneKind::kKeys);
  keys.planes.Grow(n_bytes * run.pages.size());
  keys.page.Grow(kPageEntries * dim * sizeof(float));
  auto* const x = keys.page.as<float>();
  keys.pages = run.refs;
  for (size_t p = 0; p < run.pages.size(); ++p) {
    const Page& page = *run.pages[p];
    const std::byte* stored = page.bytes(PlaneKind::kKeys);
    DecodeEntries(run.format.k, PlaneKind::kKeys, stored, 0, kPageEntries, x, dim);
    for (uint64_t live = run.refs[p].live; live != 0; live &= live - 1) {
      const int slot = std::countr_zero(live);
      const int32_t from = page.PosOf(slot), turn = run.TurnOf(p, slot);
      if (turn == 0) continue;
      float* const row = x + slot * dim;
      if (run.format.map) {
        float key[kMostChannels];
        run.format.map->Restore(row, key);
        rotator.Rotate(key, from, from + turn);
        run.format.map->MapKey(key, row);
      } else {
        rotator.Rotate(row, from, from + turn);
      }
    }
    std::byte* const plane = keys.planes.data() + static_cast<int64_t>(p) * n_bytes;
    EncodeEntries(Isa::kAvx2, f32, PlaneKind::kKeys, x, dim, 0, kPageEntries, plane);
    keys.pages[p].k = plane;
  }
  ref.pages = keys.pages.data();
  ref.k = f32;
}

}  // namespace

// The entries of one format, wherever they lie, in the order of the text.
struct HeadCache::Moving {
  RunFormat format;  // shift aside
  std::vector<size_t> runs;
  std::vector<Place> places;
  std::vector<int32_t> to, distances;  // positions they get, and how far these are from the stored
};

std::span<const RunRef> HeadCache::AsRead(const KeyRotator& rotator, TurnedKeys& turned) const {
  const auto has_turns = [](const Run& run) { return !run.turns.empty() && run.n_live > 0; };
  if (std::none_of(runs_.begin(), runs_.end(), has_turns)) return table_;
  turned.runs.assign(table_.begin(), table_.end());
  if (turned.keys.size() < runs_.size()) turned.keys.resize(runs_.size());
  for (size_t r = 0; r < runs_.size(); ++r) {
    if (has_turns(runs_[r])) TurnKeys(runs_[r], rotator, turned.keys[r], turned.runs[r]);
  }
  return turned.runs;
}

Status HeadCache::Renumber(const KeyRotator& rotator) {
  std::vector<int32_t> shifts;
  int64_t rank = 0;
  bool uniform = in_order_;
  for (size_t r = 0; r < runs_.size() && uniform; ++r) {
    const std::optional<int32_t> shift = UniformShift(runs_[r], rank);
    uniform = shift.has_value();
    shifts.push_back(shift.value_or(0));
    for (const PageRef& ref : runs_[r].refs) rank += std::popcount(ref.live);
  }
  if (uniform) {
    for (size_t r = 0; r < runs_.size(); ++r) SetShift(runs_[r], shifts[r]);
  } else {
    KV_RETURN_IF_ERROR(Regroup(rotator));
  }
  delta_ = static_cast<int32_t>(size_) - end_order_;
  Refresh();
  return {};
}

// The format of new entries comes last.
std::vector<HeadCache::Moving> HeadCache::MovingByFormat() const {
  std::vector<Moving> formats;
  std::vector<size_t> of_run(runs_.size());
  for (size_t r = 0; r < runs_.size(); ++r) {
    const auto alike = [&](const Moving& moving) {
      return SameButShift(moving.format, runs_[r].format);
    };
    const auto found = std::find_if(formats.begin(), formats.end(), alike);
    of_run[r] = found - formats.begin();
    if (found == formats.end()) formats.emplace_back().format = runs_[r].format;
    formats[of_run[r]].runs.push_back(r);
  }
  const std::vector<Place> places = Places();
  for (size_t i = 0; i < places.size(); ++i) {
    Moving& moving = formats[of_run[places[i].run]];
    moving.places.push_back(places[i]);
    moving.to.push_back(static_cast<int32_t>(i));
    moving.distances.push_back(moving.to.back() - PageAt(places[i]).PosOf(places[i].slot));
  }
  std::rotate(formats.begin() + of_run.back(), formats.begin() + of_run.back() + 1, formats.end());
  return formats;
}

// Renumbering for entries that lie mixed. All of it, or nothing.
Status HeadCache::Regroup(const KeyRotator& rotator) {
  std::vector<Run> regrouped;
  Status status;
  for (const Moving& moving : MovingByFormat()) {
    if (status && !moving.places.empty()) status = Regroup(moving, rotator, regrouped);
  }
  for (Run& run : status ? runs_ : regrouped) {
    for (Page* page : run.pages) Unref(page);
  }
  if (!status) return status;
  runs_ = std::move(regrouped);
  const RunFormat staging = {.k = format_.k(), .v = format_.v(), .map = nullptr};
  if (runs_.empty() || !SameButShift(runs_.back().format, staging)) {
    runs_.emplace_back().format = staging;
  }
  SortRuns();
  return {};
}

// The runs of one format: one for each distance where there are few, else one for all.
Status HeadCache::Regroup(const Moving& moving, const KeyRotator& rotator, std::vector<Run>& made) {
  const size_t n = moving.places.size(), most = MostShiftRuns(n);
  std::vector<int32_t> shifts;
  for (size_t i = 0; i < n && shifts.size() <= most; ++i) {
    const int32_t shift = moving.distances[i];
    if (std::find(shifts.begin(), shifts.end(), shift) == shifts.end()) shifts.push_back(shift);
  }
  if (shifts.size() <= most) {
    for (int32_t shift : shifts) {
      std::vector<Place> part;
      for (size_t i = 0; i < n; ++i) {
        if (moving.distances[i] == shift) part.push_back(moving.places[i]);
      }
      const int32_t run = part[0].run;
      const bool whole = runs_[run].n_live == static_cast<int64_t>(part.size()) &&
                         std::all_of(part.begin(), part.end(),
                                     [&](const Place& place) { return place.run == run; });
      if (whole) {  // as it is
        SetShift(made.emplace_back(Hold(runs_[run])), shift);
        continue;
      }
      Run& to = made.emplace_back();
      to.format = moving.format;
      KV_RETURN_IF_ERROR(CopyPart(part, {}, to));
      SetShift(to, shift);
    }
    return {};
  }
  if (moving.format.map && moving.format.map->drops_channels()) {
    return Fail("keys that have lost channels cannot be moved to other positions");
  }
  const bool rotated = std::any_of(moving.runs.begin(), moving.runs.end(),
                                   [&](size_t r) { return runs_[r].rotated; });
  if (rotated || moving.format.together() > 1) return Turn(moving, made.emplace_back());
  // Once, so that what is kept when a prompt ends is read without a turn.
  Run& to = made.emplace_back();
  to.format = moving.format;
  to.format.shift = 0;
  to.rotated = true;
  const Rotation rotation{&rotator, moving.to};
  return CopyInto(moving.places, to, &rotation);
}

// All entries in one run, where each key has its own turn; the last has none, so that new entries,
// which follow it, have none either.
Status HeadCache::Turn(const Moving& moving, Run& to) {
  const size_t n = moving.places.size();
  const int32_t shift = moving.distances.back();
  std::vector<int32_t> turns = moving.distances;
  for (int32_t& turn : turns) turn -= shift;
  if (moving.runs.size() == 1) {
    to = Hold(runs_[moving.runs[0]]);
    SetShift(to, shift);
    for (size_t i = 0; i < n; ++i) {
      to.SetTurn(moving.places[i].page, moving.places[i].slot, turns[i]);
    }
    return {};
  }
  to.format = moving.format;
  KV_RETURN_IF_ERROR(CopyPart(moving.places, turns, to));
  to.format.shift = shift;
  return {};
}

// Entries of one format, for a run of other turns (none: 0). Groups stay whole: two runs then share
// their planes, each with its own live slots, until they come together again.
Status HeadCache::CopyPart(std::span<const Place> part, std::span<const int32_t> turns, Run& to) {
  const auto turn = [&](size_t i) { return turns.empty() ? 0 : turns[i]; };
  if (to.format.together() == 1) {
    KV_RETURN_IF_ERROR(CopyInto(part, to));
    to.turns.clear();
    for (size_t i = 0; i < part.size(); ++i) {
      to.SetTurn(i / kPageEntries, static_cast<int>(i % kPageEntries), turn(i));
    }
    return {};
  }
  for (size_t i = 0; i < part.size(); ++i) {
    const Page& source = PageAt(part[i]);
    size_t index = to.pages.size();
    while (index > 0 &&
           (to.pages[index - 1]->k != source.k || to.pages[index - 1]->v != source.v)) {
      --index;
    }
    if (index == 0) {
      source.k->n_refs.fetch_add(1, std::memory_order_relaxed);
      source.v->n_refs.fetch_add(1, std::memory_order_relaxed);
      Page* page = PageWith(source.k, source.v);
      CopyFacts(source, *page);
      AddPage(to, page, 0);
      index = to.pages.size();
    }
    const int slot = part[i].slot;
    to.rotated = to.rotated || runs_[part[i].run].rotated;
    to.pages[index - 1]->SetFacts(slot, source, slot, format_.n_columns);
    to.refs[index - 1].live |= uint64_t{1} << slot;
    to.SetTurn(index - 1, slot, turn(i));
  }
  for (size_t p = 0; p < to.pages.size(); ++p) {
    to.pages[p]->NoteOrder(to.refs[p].live);
    SyncRef(to, p);
  }
  return {};
}

}  // namespace kvasir
