// Random numbers for tests.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

namespace kvasir {

inline std::vector<float> NormalVector(size_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(n);
  for (float& each : x) each = normal(random);
  return x;
}

}  // namespace kvasir
