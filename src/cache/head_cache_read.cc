// Entries in the order of their tokens, wherever their slots are.
#include <algorithm>
#include <bit>

#include "cache/head_cache.h"

namespace kvasir {

// Sorted by counting: orders are small numbers, and one may stand for several entries.
std::vector<HeadCache::Place> HeadCache::Places() const {
  std::vector<Place> places;
  std::vector<int32_t> orders;
  places.reserve(size_);
  orders.reserve(size_);
  int32_t end = 0;
  for (size_t r = 0; r < runs_.size(); ++r) {
    for (size_t p = 0; p < runs_[r].refs.size(); ++p) {
      for (uint64_t live = runs_[r].refs[p].live; live != 0; live &= live - 1) {
        const int slot = std::countr_zero(live);
        places.push_back({static_cast<int32_t>(r), static_cast<int32_t>(p), slot});
        orders.push_back(runs_[r].pages[p]->OrderOf(slot));
        end = std::max(end, orders.back() + 1);
      }
    }
  }
  if (in_order_) return places;
  std::vector<int32_t> first(end + 1);
  for (int32_t order : orders) ++first[order + 1];
  for (int32_t i = 0; i < end; ++i) first[i + 1] += first[i];
  std::vector<Place> sorted(places.size());
  for (size_t i = 0; i < places.size(); ++i) sorted[first[orders[i]]++] = places[i];
  return sorted;
}

template <class F>
void HeadCache::ForEachEntry(F&& f) const {
  int64_t entry = 0;
  if (!in_order_) {
    for (const Place& place : Places()) f(place, entry++);
    return;
  }
  for (size_t r = 0; r < runs_.size(); ++r) {
    for (size_t p = 0; p < runs_[r].refs.size(); ++p) {
      for (uint64_t live = runs_[r].refs[p].live; live != 0; live &= live - 1) {
        f(Place{static_cast<int32_t>(r), static_cast<int32_t>(p), std::countr_zero(live)}, entry++);
      }
    }
  }
}

std::vector<int32_t> HeadCache::Orders() const {
  std::vector<int32_t> orders;
  orders.reserve(size_);
  ForEachEntry(
      [&](const Place& place, int64_t) { orders.push_back(PageAt(place).OrderOf(place.slot)); });
  return orders;
}

std::vector<int32_t> HeadCache::Positions() const {
  std::vector<int32_t> positions;
  positions.reserve(size_);
  ForEachEntry([&](const Place& place, int64_t) {
    positions.push_back(runs_[place.run].PositionOf(place.page, place.slot));
  });
  return positions;
}

void HeadCache::Read(PlaneKind kind, int64_t first, int64_t n, float* x,
                     const KeyRotator* rotator) const {
  KV_CHECK(first >= 0 && first + n <= size_);
  const bool keys = kind == PlaneKind::kKeys;
  // Slots side by side whose bytes wait to be decoded, together, into `to`.
  Place side{};
  int n_side = 0;
  float* to = x;
  const auto decode = [&] {
    const PlaneFormat& format = runs_[side.run].format.plane(kind);
    if (n_side == 0) return;
    DecodeEntries(format, kind, PageAt(side).bytes(kind), side.slot, n_side, to, format_.head_dim);
    n_side = 0;
  };
  ForEachEntry([&](const Place& place, int64_t entry) {
    if (entry < first || entry >= first + n) return;
    const Run& run = runs_[place.run];
    float* const row = x + (entry - first) * format_.head_dim;
    if ((keys && (run.format.map || rotator != nullptr)) || (!keys && run.format.v_map)) {
      run.format.Decode(kind, PageAt(place).bytes(kind), place.slot, row);
      if (!keys || rotator == nullptr) return;
      rotator->Rotate(row, PageAt(place).PosOf(place.slot), run.PositionOf(place.page, place.slot));
      return;
    }
    const bool follows = n_side > 0 && place.run == side.run && place.page == side.page &&
                         place.slot == side.slot + n_side;
    if (!follows) {
      decode();
      side = place;
      to = row;
    }
    ++n_side;
  });
  decode();
}

void HeadCache::Gather(const float* by_slot, float* out) const {
  std::vector<int64_t> base;  // of each run, its first slot
  int64_t n = 0;
  for (const Run& run : runs_) {
    base.push_back(n);
    n += static_cast<int64_t>(run.refs.size()) * kPageEntries;
  }
  ForEachEntry([&](const Place& place, int64_t entry) {
    out[entry] = by_slot[base[place.run] + int64_t{place.page} * kPageEntries + place.slot];
  });
}

std::vector<float> HeadCache::Column(int column) const {
  KV_CHECK(column < format_.n_columns);
  std::vector<float> values;
  values.reserve(size_);
  ForEachEntry([&](const Place& place, int64_t) {
    values.push_back(PageAt(place).ColumnOf(column, place.slot));
  });
  return values;
}

int32_t HeadCache::FirstOrder() const {
  KV_CHECK(size_ > 0);
  if (!in_order_) return Orders().front();
  const auto run =
      std::find_if(runs_.begin(), runs_.end(), [](const Run& each) { return !each.refs.empty(); });
  return run->pages[0]->OrderOf(std::countr_zero(run->refs[0].live));
}

}  // namespace kvasir
