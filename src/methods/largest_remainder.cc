#include "methods/largest_remainder.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace kvasir {

std::vector<int64_t> LargestRemainder(std::span<const double> shares, int64_t total) {
  std::vector<int64_t> whole(shares.size());
  for (size_t i = 0; i < shares.size(); ++i) {
    whole[i] = static_cast<int64_t>(std::floor(shares[i] + 1e-9));
    total -= whole[i];
  }
  std::vector<size_t> order(shares.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return shares[a] - static_cast<double>(whole[a]) > shares[b] - static_cast<double>(whole[b]);
  });
  for (size_t i = 0; i < order.size() && total > 0; ++i, --total) ++whole[order[i]];
  return whole;
}

}  // namespace kvasir
