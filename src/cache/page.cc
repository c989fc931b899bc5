#include "cache/page.h"

#include <algorithm>
#include <bit>

namespace kvasir {

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
