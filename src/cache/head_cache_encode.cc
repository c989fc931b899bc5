// Entries copied from one format to another.
#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "cache/head_cache.h"

namespace kvasir {
namespace {

constexpr int64_t RoundUp(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

}  // namespace

std::vector<HeadCache::Place> HeadCache::PlacesOf(const StoredSpan& span) const {
  KV_CHECK(span.first >= 0 && span.n >= 0 &&
           span.first + span.n <= n_stored(span.kind, span.format));
  // Of a head that lies in the order of the text, which is the rule, those before the span are
  // counted page by page, and those behind it are left out.
  int64_t before = in_order_ ? span.first : 0;
  const int64_t most = in_order_ ? span.n : n_stored(span.kind, span.format);
  std::vector<Place> places;
  places.reserve(most);
  for (size_t r = 0; r < runs_.size(); ++r) {
    if (!Matches(runs_[r].format.plane(span.kind), span.format)) continue;
    for (size_t p = 0; p < runs_[r].refs.size(); ++p) {
      uint64_t live = runs_[r].refs[p].live;
      if (const int n = std::popcount(live); n <= before) {
        before -= n;
        continue;
      }
      for (; live != 0 && std::ssize(places) < most; live &= live - 1) {
        if (before > 0) {
          --before;
          continue;
        }
        places.push_back(
            {static_cast<int32_t>(r), static_cast<int32_t>(p), std::countr_zero(live)});
      }
    }
  }
  if (in_order_) return places;
  std::stable_sort(places.begin(), places.end(), [&](const Place& a, const Place& b) {
    return PageAt(a).OrderOf(a.slot) < PageAt(b).OrderOf(b.slot);
  });
  return {places.begin() + span.first, places.begin() + span.first + span.n};
}

std::vector<int32_t> HeadCache::Entries(const StoredSpan& span) const {
  const std::vector<Place> wanted = PlacesOf(span), all = Places();
  std::vector<int32_t> entries;
  size_t next = 0;
  for (size_t i = 0; i < all.size() && next < wanted.size(); ++i) {
    const Place &a = all[i], &b = wanted[next];
    if (a.run != b.run || a.page != b.page || a.slot != b.slot) continue;
    entries.push_back(static_cast<int32_t>(i));
    ++next;
  }
  KV_CHECK(next == wanted.size());
  return entries;
}

Status HeadCache::Encode(const StoredSpan& span, const Encoding& to) {
  return EncodePlaces(PlacesOf(span), to);
}

Status HeadCache::Encode(std::span<const int32_t> entries, const Encoding& to) {
  const std::vector<Place> all = Places();
  std::vector<Place> places;
  for (int32_t entry : entries) {
    KV_CHECK(entry >= 0 && entry < size_);
    places.push_back(all[entry]);
  }
  return EncodePlaces(places, to);
}

size_t HeadCache::FindRun(const RunFormat& format) {
  for (size_t r = 0; r + 1 < runs_.size(); ++r) {
    if (runs_[r].format == format) return r;
  }
  const auto added = runs_.insert(runs_.end() - 1, Run{});
  added->format = format;
  return added - runs_.begin();
}

// Runs that began earlier in the text come first, so that most heads are in order.
void HeadCache::SortRuns() {
  const auto first = [](const Run& run) {
    for (size_t p = 0; p < run.refs.size(); ++p) {
      if (run.refs[p].live != 0) return run.pages[p]->OrderOf(std::countr_zero(run.refs[p].live));
    }
    return INT32_MAX;
  };
  const auto earlier = [&](const Run& a, const Run& b) { return first(a) < first(b); };
  if (std::is_sorted(runs_.begin(), runs_.end() - 1, earlier)) return;  // as a rule
  std::stable_sort(runs_.begin(), runs_.end() - 1, earlier);
}

Status HeadCache::EncodePlaces(std::span<const Place> places, const Encoding& to) {
  std::vector<std::vector<Place>> of_run(runs_.size());
  for (const Place& place : places) of_run[place.run].push_back(place);
  Status status;
  for (size_t r = 0; r < of_run.size() && status; ++r) {
    std::vector<Place>& part = of_run[r];
    if (part.empty()) continue;
    // The staging run is the last; others may have been put before it.
    const size_t source = r + 1 == of_run.size() ? runs_.size() - 1 : r;
    RunFormat format = runs_[source].format;
    const auto set = [&](PlaneFormat& plane, const std::optional<PlaneFormat>& asked, int dim) {
      if (!asked) return false;
      const PlaneFormat before = plane;
      plane = *asked;
      plane.dim = static_cast<int16_t>(dim);
      return plane != before;
    };
    bool new_keys = set(format.k, to.k, key_map_ ? key_map_->dim() : format_.head_dim);
    bool new_values = set(format.v, to.v, value_map_ ? value_map_->dim() : format_.head_dim);
    if (to.k) {
      new_keys = new_keys || format.map != key_map_;
      format.map = key_map_;
    }
    if (to.v) {
      new_values = new_values || format.v_map != value_map_;
      format.v_map = value_map_;
    }
    if (!new_keys && !new_values) continue;
    status = CheckFormat(format.v, PlaneKind::kValues);  // not every codec takes every number
    if (!status) break;
    const size_t target = FindRun(format);
    const size_t from = r + 1 == of_run.size() ? runs_.size() - 1 : r;
    for (Place& place : part) place.run = static_cast<int32_t>(from);
    runs_[from].may_shrink = true;
    // A plane that stays, and whose entries cannot be moved one by one, is shared.
    const PlaneFormat& stays = new_keys ? format.v : format.k;
    if (new_keys != new_values && SlotsTogether(stays) > 1) {
      status = EncodeInPlace(part, new_keys ? PlaneKind::kKeys : PlaneKind::kValues, runs_[target]);
    } else {
      status = MoveInto(part, runs_[target]);
      runs_[target].may_shrink = true;
    }
  }
  // Not the others, which may be long: to fill slots in place leaves no new holes.
  for (Run& run : runs_) {
    if (std::exchange(run.may_shrink, false)) ShrinkRun(run);
  }
  DropEmptyRuns();
  SortRuns();
  Refresh();
  return status;
}

// All of them, or none.
Status HeadCache::MoveInto(std::span<const Place> from, Run& to) {
  std::vector<uint64_t> live;
  for (const PageRef& ref : to.refs) live.push_back(ref.live);
  const Status status = CopyInto(from, to);
  live.resize(to.refs.size());
  for (size_t p = 0; p < live.size() && !status; ++p) to.refs[p].live = live[p];
  for (const Place& place : from) {
    if (status) LiveAt(place) &= ~(uint64_t{1} << place.slot);
  }
  return status;
}

Result<HeadCache::Tail> HeadCache::WritableTail(Run& run) {
  if (!run.pages.empty()) {
    const size_t index = run.pages.size() - 1;
    const auto slot = static_cast<int>(
        RoundUp(64 - std::countl_zero(run.refs[index].live), run.format.together()));
    // A page that a fork shares is copied and not left half full: sums go page by page, so they
    // would come out otherwise than without the fork.
    if (slot < kPageEntries) {
      KV_RETURN_IF_ERROR(MakeWritable(run, index));
      const Page& page = *run.pages[index];
      if (IsOwn(page.k) && IsOwn(page.v)) return Tail{index, slot};
    }
  }
  KV_ASSIGN_OR_RETURN(Page * page, NewPage(run.format));
  AddPage(run, page, 0);
  return Tail{run.pages.size() - 1, 0};
}

// Copies entries of one format, in this order, to the end of a run of any format. Turns go with
// them where keys are not rotated. After an error some are copied; the source has not changed.
Status HeadCache::CopyInto(std::span<const Place> from, Run& to, const Rotation* rotation) {
  for (size_t i = 0; i < from.size();) {
    Result<Tail> tail = WritableTail(to);
    if (!tail) return tl::unexpected<Error>(tail.error());
    const size_t take = std::min<size_t>(kPageEntries - tail->slot, from.size() - i);
    const std::span<const Place> part = from.subspan(i, take);
    Rotation turn{};
    if (rotation != nullptr) turn = {rotation->rotator, rotation->to.subspan(i, take)};
    const Rotation* turned = rotation == nullptr ? nullptr : &turn;
    CopyPlane(PlaneKind::kKeys, part, to, *tail, turned);
    CopyPlane(PlaneKind::kValues, part, to, *tail, nullptr);
    Page& page = *to.pages[tail->page];
    if (tail->slot == 0) {
      page.order0 = PageAt(part[0]).OrderOf(part[0].slot);
      page.pos0 = PageAt(part[0]).PosOf(part[0].slot);
    }
    for (size_t j = 0; j < take; ++j) {
      const int slot = tail->slot + static_cast<int>(j);
      page.SetFacts(slot, PageAt(part[j]), part[j].slot, format_.n_columns);
      const Run& source = runs_[part[j].run];
      to.rotated = to.rotated || source.rotated;
      to.SetTurn(tail->page, slot, rotation ? 0 : source.TurnOf(part[j].page, part[j].slot));
      if (rotation != nullptr && page.PosOf(slot) != turn.to[j]) {
        page.MakeExplicit();
        page.pos[slot] = turn.to[j];
      }
      to.refs[tail->page].live |= uint64_t{1} << slot;
    }
    page.NoteOrder(to.refs[tail->page].live);
    SyncRef(to, tail->page);
    i += take;
  }
  return {};
}

// One plane of at most a page of entries. Bytes are copied where the codec allows it; else entries
// are decoded and encoded, and the last of a group that they do not fill are copies of the first.
void HeadCache::CopyPlane(PlaneKind kind, std::span<const Place> from, Run& to, Tail tail,
                          const Rotation* rotation) const {
  const RunFormat& source = runs_[from[0].run].format;
  const PlaneFormat &in = source.plane(kind), &out = to.format.plane(kind);
  std::byte* bytes = to.pages[tail.page]->plane(kind)->bytes;
  const bool as_stored = source.MapsLike(to.format, kind) && rotation == nullptr;
  if (as_stored && in == out && SlotsTogether(out) == 1) {
    for (size_t i = 0; i < from.size(); ++i) {
      CopyEntries(out, kind, PageAt(from[i]).bytes(kind), from[i].slot, 1, bytes,
                  tail.slot + static_cast<int>(i));
    }
    return;
  }
  const int64_t n = static_cast<int64_t>(from.size());
  const int64_t n_padded = RoundUp(n, SlotsTogether(out));
  std::vector<float> x(n_padded * out.dim);
  // How many entries from i on lie side by side in a page.
  const auto count_side = [&](int64_t i) {
    int64_t end = i + 1;
    while (end < n && from[end].run == from[i].run && from[end].page == from[i].page &&
           from[end].slot == from[i].slot + end - i) {
      ++end;
    }
    return static_cast<int>(end - i);
  };
  float vector[kMostChannels];
  for (int64_t i = 0, step = 1; i < n; i += step) {
    const Page& page = PageAt(from[i]);
    float* row = x.data() + i * out.dim;
    if (as_stored) {
      step = count_side(i);
      DecodeEntries(in, kind, page.bytes(kind), from[i].slot, static_cast<int>(step), row, out.dim);
      continue;
    }
    source.Decode(kind, page.bytes(kind), from[i].slot, vector);
    if (rotation != nullptr) {
      rotation->rotator->Rotate(vector, page.PosOf(from[i].slot), rotation->to[i]);
    }
    to.format.Map(kind, vector, row);
  }
  for (int64_t i = n; i < n_padded; ++i) {
    std::copy_n(x.data() + (i - n) % n * out.dim, out.dim, x.data() + i * out.dim);
  }
  EncodeEntries(Isa::kAvx2, out, kind, x.data(), out.dim, tail.slot, static_cast<int>(n_padded),
                bytes);
}

// Entries keep their slots and one of their planes, which the pages of two runs then share; `kind`
// is the plane that is encoded. Its codec encodes slot by slot.
Status HeadCache::EncodeInPlace(std::span<const Place> from, PlaneKind kind, Run& to) {
  KV_CHECK(SlotsTogether(to.format.plane(kind)) == 1);
  for (const Place& place : from) {
    KV_ASSIGN_OR_RETURN(const size_t index, TwinOf(place, kind, to));
    Page& twin = *to.pages[index];
    float vector[kMostChannels];
    runs_[place.run].format.Decode(kind, PageAt(place).bytes(kind), place.slot, vector);
    to.format.Encode(kind, vector, place.slot, twin.plane(kind)->bytes);
    twin.SetFacts(place.slot, PageAt(place), place.slot, format_.n_columns);
    to.SetTurn(index, place.slot, runs_[place.run].TurnOf(place.page, place.slot));
    const uint64_t bit = uint64_t{1} << place.slot;
    to.refs[index].live |= bit;
    LiveAt(place) &= ~bit;
    twin.NoteOrder(to.refs[index].live);
    SyncRef(to, index);
  }
  return {};
}

// The page of `to` that shares the other plane of the place's page, ready for its plane `kind` to
// be written.
Result<size_t> HeadCache::TwinOf(const Place& place, PlaneKind kind, Run& to) {
  const PlaneKind other = kind == PlaneKind::kKeys ? PlaneKind::kValues : PlaneKind::kKeys;
  Page& page = *runs_[place.run].pages[place.page];
  Plane* shared = page.plane(other);
  size_t index = to.pages.size();
  while (index > 0 && to.pages[index - 1]->plane(other) != shared) --index;
  Page* old = index > 0 ? to.pages[index - 1] : nullptr;
  const bool mine = old != nullptr && old->n_refs.load(std::memory_order_acquire) == 1;
  if (mine && old->plane(kind)->n_refs.load(std::memory_order_acquire) == 1) return index - 1;
  KV_ASSIGN_OR_RETURN(Plane * written, NewPlane(PlaneBytes(to.format.plane(kind), kind), kind));
  if (old != nullptr) std::memcpy(written->bytes, old->plane(kind)->bytes, written->n_bytes);
  shared->n_refs.fetch_add(1, std::memory_order_relaxed);
  const bool keys = kind == PlaneKind::kKeys;
  Page* twin = PageWith(keys ? written : shared, keys ? shared : written);
  CopyFacts(old != nullptr ? *old : page, *twin);
  if (old == nullptr) {
    AddPage(to, twin, 0);
    return to.pages.size() - 1;
  }
  to.pages[index - 1] = twin;
  SyncRef(to, index - 1);
  Unref(old);
  return index - 1;
}

}  // namespace kvasir
