#include "methods/adjacent_sets.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace kvasir {
namespace {

// [sets + 1] from the pairs that are joined.
std::vector<int32_t> Begins(const std::vector<bool>& joined) {
  std::vector<int32_t> begins = {0};
  for (size_t i = 0; i < joined.size(); ++i) {
    if (!joined[i]) begins.push_back(static_cast<int32_t>(i + 1));
  }
  begins.push_back(static_cast<int32_t>(joined.size() + 1));
  return begins;
}

}  // namespace

std::vector<float> AdjacentCosines(std::span<const float> keys, int64_t dim) {
  const int64_t n = static_cast<int64_t>(keys.size()) / dim;
  std::vector<float> cosines(std::max<int64_t>(0, n - 1));
  double square = 0;  // of key i
  for (int64_t c = 0; c < dim && n > 0; ++c) square += double{keys[c]} * keys[c];
  for (int64_t i = 0; i + 1 < n; ++i) {
    const float *a = keys.data() + i * dim, *b = a + dim;
    double dot = 0, next = 0;
    for (int64_t c = 0; c < dim; ++c) {
      dot += double{a[c]} * b[c];
      next += double{b[c]} * b[c];
    }
    const double norms = std::sqrt(square * next);
    cosines[i] = norms > 0 ? static_cast<float>(dot / norms) : 0;
    square = next;
  }
  return cosines;
}

std::vector<float> KeyNorms(std::span<const float> keys, int64_t dim) {
  std::vector<float> norms;
  for (size_t first = 0; first < keys.size(); first += dim) {
    double square = 0;
    for (int64_t c = 0; c < dim; ++c) square += double{keys[first + c]} * keys[first + c];
    norms.push_back(static_cast<float>(std::sqrt(square)));
  }
  return norms;
}

std::vector<int32_t> JoinAbove(std::span<const float> cosine, const std::vector<bool>& may_join,
                               float eps, int64_t longest) {
  std::vector<bool> joined(cosine.size());
  int64_t length = 1;
  for (auto i = static_cast<int64_t>(cosine.size()) - 1; i >= 0; --i) {
    joined[i] = may_join[i] && cosine[i] > eps && length < longest;
    length = joined[i] ? length + 1 : 1;
  }
  return Begins(joined);
}

std::vector<int32_t> JoinToTarget(std::span<const float> cosine, const std::vector<bool>& may_join,
                                  int64_t target, int64_t longest) {
  const auto n = static_cast<int64_t>(cosine.size()) + 1;
  std::vector<int32_t> pairs;
  for (size_t i = 0; i < cosine.size(); ++i) {
    if (may_join[i]) pairs.push_back(static_cast<int32_t>(i));
  }
  std::stable_sort(pairs.begin(), pairs.end(),
                   [&](int32_t a, int32_t b) { return cosine[a] > cosine[b]; });
  std::vector<bool> joined(cosine.size());
  // Right where an entry is its set's last, and its first: the set's other end.
  std::vector<int32_t> first(n), last(n);
  std::iota(first.begin(), first.end(), 0);
  std::iota(last.begin(), last.end(), 0);
  int64_t n_sets = n;
  for (; n_sets > target && !pairs.empty(); longest *= 2) {
    std::vector<int32_t> left;  // too long for now
    for (int32_t pair : pairs) {
      if (n_sets <= target) break;
      const int32_t begin = first[pair], end = last[pair + 1];
      if (end - begin + 1 > longest) {
        left.push_back(pair);
        continue;
      }
      joined[pair] = true;
      last[begin] = end;
      first[end] = begin;
      --n_sets;
    }
    pairs = std::move(left);
  }
  return Begins(joined);
}

}  // namespace kvasir
