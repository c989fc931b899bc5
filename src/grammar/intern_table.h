// InternTable: sequences of plain values, each kept once and known by a number.
#pragma once

#include <xxhash.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <type_traits>
#include <unordered_map>
#include <vector>

namespace kvasir::grammar {

template <class T>
class InternTable {
  static_assert(std::has_unique_object_representations_v<T>, "hashed and compared by its bytes");

 public:
  int32_t Intern(std::span<const T> values) {
    const uint64_t hash = XXH3_64bits(values.data(), values.size_bytes());
    const auto [first, last] = ids_.equal_range(hash);
    for (auto it = first; it != last; ++it) {
      if (std::ranges::equal((*this)[it->second], values)) return it->second;
    }
    const int32_t id = size();
    values_.insert(values_.end(), values.begin(), values.end());
    ends_.push_back(values_.size());
    ids_.emplace(hash, id);
    return id;
  }

  // Valid until the next Intern.
  std::span<const T> operator[](int32_t id) const {
    const size_t begin = id == 0 ? 0 : ends_[id - 1];
    return {values_.data() + begin, ends_[id] - begin};
  }
  int32_t size() const { return static_cast<int32_t>(ends_.size()); }
  size_t n_values() const { return values_.size(); }  // of all sequences

 private:
  std::vector<T> values_;
  std::vector<size_t> ends_;
  std::unordered_multimap<uint64_t, int32_t> ids_;  // by hash
};

}  // namespace kvasir::grammar
