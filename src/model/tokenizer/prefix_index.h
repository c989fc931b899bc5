// PrefixIndex: which of a set of strings does a text start with? A sorted array walked byte by
// byte: O(match length * log n) a look-up, no hashing, no nodes.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace kvasir {

class PrefixIndex {
 public:
  struct Entry {
    std::string_view key;  // owned by someone who outlives the index
    int32_t id;
  };

  PrefixIndex() = default;
  // Of equal keys the one with the largest id is kept; empty ones are dropped.
  explicit PrefixIndex(std::vector<Entry> entries) : entries_(std::move(entries)) {
    std::erase_if(entries_, [](const Entry& e) { return e.key.empty(); });
    std::ranges::sort(entries_, [](const Entry& a, const Entry& b) {
      return a.key != b.key ? a.key < b.key : a.id > b.id;
    });
    const auto same = [](const Entry& a, const Entry& b) { return a.key == b.key; };
    entries_.erase(std::unique(entries_.begin(), entries_.end(), same), entries_.end());
    size_t at = 0;
    for (size_t byte = 0; byte < 256; ++byte) {
      first_[byte] = at;
      while (at < entries_.size() && static_cast<uint8_t>(entries_[at].key[0]) == byte) ++at;
    }
    first_[256] = at;
  }

  bool empty() const { return entries_.empty(); }

  // found(length, id) for each entry that `text` starts with, shortest first.
  template <class Found>
  void ForEach(std::string_view text, const Found& found) const {
    if (text.empty()) return;
    const size_t byte = static_cast<uint8_t>(text[0]);
    auto low = entries_.begin() + static_cast<int64_t>(first_[byte]);
    auto high = entries_.begin() + static_cast<int64_t>(first_[byte + 1]);
    for (size_t depth = 1; low != high; ++depth) {
      if (low->key.size() == depth) {
        found(depth, low->id);
        ++low;
      }
      if (depth == text.size()) return;
      // All of [low, high) share the first `depth` bytes and are longer.
      const uint8_t next = static_cast<uint8_t>(text[depth]);
      const auto at_depth = [depth](const Entry& e) { return static_cast<uint8_t>(e.key[depth]); };
      low = std::ranges::lower_bound(low, high, next, {}, at_depth);
      high = std::ranges::upper_bound(low, high, next, {}, at_depth);
    }
  }

 private:
  std::vector<Entry> entries_;
  std::array<size_t, 257> first_{};  // [byte]: the first entry that starts with it
};

}  // namespace kvasir
