#include "cache/page.h"

#include <algorithm>
#include <bit>

namespace kvasir {

void RunFormat::Map(PlaneKind kind, const float* x, float* stored) const {
  if (kind == PlaneKind::kKeys && map) return map->MapKey(x, stored);
  if (kind == PlaneKind::kValues && v_map) return v_map->Gather(x, stored);
  std::copy_n(x, plane(kind).dim, stored);
}

void RunFormat::Decode(PlaneKind kind, const std::byte* plane_bytes, int slot, float* x) const {
  const bool mapped = kind == PlaneKind::kKeys ? map != nullptr : v_map != nullptr;
  float stored[kMostChannels];
  DecodeEntries(plane(kind), kind, plane_bytes, slot, 1, mapped ? stored : x, 0);
  if (!mapped) return;
  if (kind == PlaneKind::kKeys) {
    map->Restore(stored, x);
  } else {
    v_map->Restore(stored, x);
  }
}

void RunFormat::Encode(PlaneKind kind, const float* x, int slot, std::byte* plane_bytes) const {
  float stored[kMostChannels];
  Map(kind, x, stored);
  EncodeEntries(Isa::kAvx2, plane(kind), kind, stored, 0, slot, 1, plane_bytes);
}

void Page::MakeExplicit() {
  if (order) return;
  order = std::make_unique<int32_t[]>(kPageEntries);
  pos = std::make_unique<int32_t[]>(kPageEntries);
  for (int s = 0; s < kPageEntries; ++s) {
    order[s] = order0 + s;
    pos[s] = pos0 + s;
  }
}

void Page::MakeColumns(int n_columns) {
  if (columns) return;
  columns = std::make_unique<float[]>(n_columns * kPageEntries);
  for (int c = 0; c < n_columns; ++c) {
    std::fill_n(columns.get() + c * kPageEntries, kPageEntries, DefaultOf(c));
  }
}

void Page::NoteOrder(uint64_t live) {
  ascends = true;
  if (!order) return;
  for (int32_t last = INT32_MIN; live != 0; live &= live - 1) {
    const int32_t each = order[std::countr_zero(live)];
    ascends = ascends && each >= last;
    last = each;
  }
}

void Page::MakeAffine(int n) {
  if (!order) return;
  for (int s = 1; s < n; ++s) {
    if (order[s] != order[0] + s || pos[s] != pos[0] + s) return;
  }
  order0 = order[0];
  pos0 = pos[0];
  order.reset();
  pos.reset();
}

void Page::SetFacts(int slot, const Page& from, int from_slot, int n_columns) {
  const int32_t new_order = from.OrderOf(from_slot), new_pos = from.PosOf(from_slot);
  if (OrderOf(slot) != new_order || PosOf(slot) != new_pos) {
    MakeExplicit();
    order[slot] = new_order;
    pos[slot] = new_pos;
  }
  if (!columns && !from.columns) return;
  MakeColumns(n_columns);
  for (int c = 0; c < n_columns; ++c) {
    columns[c * kPageEntries + slot] = from.ColumnOf(c, from_slot);
  }
}

}  // namespace kvasir
