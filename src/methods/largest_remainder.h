// Shares that are no whole numbers, rounded so that their sum stays.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace kvasir {

// Whole numbers nearest to `shares`, which are not negative, with the sum `total`: the largest
// remainders are rounded up, of equals the earlier. Shares that do not rise give numbers that do
// not rise.
std::vector<int64_t> LargestRemainder(std::span<const double> shares, int64_t total);

}  // namespace kvasir
