// Gumbel noise drawn from counters instead of a state: the same numbers for every chunk, batch,
// thread count and backend. Philox-4x32-10: Salmon et al., "Parallel random numbers: as easy as
// 1, 2, 3", SC 2011.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

namespace kvasir {

using Philox = std::array<uint32_t, 4>;

inline Philox Philox4x32(Philox counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * counter[0], b = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(b),
               static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(a)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

// Standard Gumbel: -ln(-ln u), u in (0, 1) from the upper 24 bits, never 0 or 1.
inline float GumbelOf(uint32_t bits) {
  const double u = (static_cast<double>(bits >> 8) + 0.5) * 0x1p-24;
  return static_cast<float>(-std::log(-std::log(u)));
}

struct NoiseKey {
  uint32_t seed = 0, layer = 0;
};

// One draw for a head and a token; `query` tells the draws of one token for several queries apart.
inline float GumbelAt(NoiseKey key, int32_t head, int32_t token, int32_t query = -1) {
  const Philox counter{static_cast<uint32_t>(head), static_cast<uint32_t>(query),
                       static_cast<uint32_t>(token), 0};
  return GumbelOf(Philox4x32(counter, {key.seed, key.layer})[0]);
}

}  // namespace kvasir
