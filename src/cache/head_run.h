// The pages of a head whose entries have one format and one shift; and how kernels read keys that
// are rotated on their way.
//
// A key is rotated at its stored position. It stands at that position plus the run's shift, which
// turns the query, plus its own turn, which turns the key each time it is read. Its bytes stay as
// they are, so that nothing drifts however often entries move.
#pragma once

#include <cstdint>
#include <vector>

#include "base/buffer.h"
#include "cache/page.h"

namespace kvasir {

struct HeadRun {
  RunFormat format;
  std::vector<Page*> pages;
  std::vector<PageRef> refs;   // what kernels see; `live` is kept here
  std::vector<int32_t> turns;  // [pages][64]; empty: all are 0
  int64_t n_live = 0;
  bool may_shrink = false;  // while entries are encoded: some came or went
  bool rotated = false;     // some of its keys were rotated and rounded again; that is done once

  int32_t TurnOf(size_t page, int slot) const {
    return turns.empty() ? 0 : turns[page * kPageEntries + slot];
  }
  void SetTurn(size_t page, int slot, int32_t turn) {
    if (turn == 0 && turns.empty()) return;
    turns.resize(pages.size() * kPageEntries);
    turns[page * kPageEntries + slot] = turn;
  }
  int32_t PositionOf(size_t page, int slot) const {
    return pages[page]->PosOf(slot) + format.shift + TurnOf(page, slot);
  }
};

// Sums over what was folded, in double: an encoded mean would lose what is added to it.
struct FoldedSums {
  int64_t n = 0;            // tokens
  std::vector<double> sum;  // [2 * head_dim] keys, values; empty: nothing was
};

// What HeadCache::AsRead gives, and its memory, which is kept from call to call.
struct TurnedKeys {
  struct Keys {
    std::vector<PageRef> pages;
    Buffer planes, page;  // f32 planes; a page of keys before they are encoded
  };
  std::vector<RunRef> runs;
  std::vector<Keys> keys;  // by run
};

}  // namespace kvasir
