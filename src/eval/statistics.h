// Means with 95 % intervals, and paired differences.
#pragma once

#include <cstdint>
#include <span>

namespace kvasir::eval {

struct Estimate {
  double mean = 0, low = 0, high = 0;
};

// Mean of the values with a 95 % interval: bootstrap percentiles (10 000 resamples, fixed seed); of
// scores that are all 0 or 1 Wilson's, which does not shrink to nothing at 0 and 1. Zeros of none.
Estimate MeanOf(std::span<const double> values, bool are_scores = true);
// Mean of a[i] - b[i] and its bootstrap interval. REQUIRES: one size
Estimate PairedDifference(std::span<const double> a, std::span<const double> b);

}  // namespace kvasir::eval
