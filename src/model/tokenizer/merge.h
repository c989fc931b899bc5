// Merging: the loop of byte-pair encoding. Neighbouring symbols are joined, the best pair first
// (the leftmost of equals), until no pair can be. O(n log n) in the number of symbols.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace kvasir {

struct Symbol {
  uint32_t begin = 0;   // in the text of the piece
  uint32_t length = 0;  // bytes; 0: merged into the symbol before
  int32_t id = -1;      // -1: not in the vocabulary
  int32_t previous = -1, next = -1;
};

struct Merge {
  uint32_t order = 0;  // smaller is better
  int32_t id = -1;     // what the pair becomes; -1: it cannot be joined
};

// Scratch of MergeSymbols, kept between calls so that short pieces allocate nothing.
struct MergeQueue {
  struct Item {
    uint32_t order;
    int32_t left, right;
    uint32_t length;  // of both when they were queued: differs once either has changed
    int32_t id;
    bool operator<(const Item& o) const {  // a max-heap, best on top
      return order != o.order ? order > o.order : left > o.left;
    }
  };
  std::vector<Item> heap;
};

// find(left, right) -> Merge. `symbols` are linked in order; afterwards those of length > 0 are
// what is left, still linked from the first.
template <class Find>
void MergeSymbols(std::vector<Symbol>& symbols, MergeQueue& queue, const Find& find) {
  auto& heap = queue.heap;
  heap.clear();
  const auto offer = [&](int32_t left, int32_t right) {
    if (left < 0 || right < 0) return;
    const Symbol& a = symbols[static_cast<size_t>(left)];
    const Symbol& b = symbols[static_cast<size_t>(right)];
    const Merge merge = find(a, b);
    if (merge.id < 0) return;
    heap.push_back({merge.order, left, right, a.length + b.length, merge.id});
    std::push_heap(heap.begin(), heap.end());
  };
  for (size_t i = 1; i < symbols.size(); ++i) {
    offer(static_cast<int32_t>(i - 1), static_cast<int32_t>(i));
  }
  while (!heap.empty()) {
    const MergeQueue::Item item = heap.front();
    std::pop_heap(heap.begin(), heap.end());
    heap.pop_back();
    Symbol& left = symbols[static_cast<size_t>(item.left)];
    Symbol& right = symbols[static_cast<size_t>(item.right)];
    if (left.length == 0 || right.length == 0 || left.length + right.length != item.length)
      continue;
    left.length = item.length;
    left.id = item.id;
    left.next = right.next;
    right.length = 0;
    if (left.next >= 0) symbols[static_cast<size_t>(left.next)].previous = item.left;
    offer(left.previous, item.left);
    offer(item.left, left.next);
  }
}

}  // namespace kvasir
