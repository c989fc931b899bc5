// Codebooks of the IQ1, IQ2 and IQ3 formats: one point an entry, its coordinates packed from the
// lowest bit. A coordinate is an index into the short list of levels that quants_codebook.cc has.
#pragma once

#include <cstdint>

namespace kvasir {

// 8 coordinates of 2 bits.
extern const uint16_t kIq2XxsGrid[256];
extern const uint16_t kIq2XsGrid[512];
extern const uint16_t kIq2SGrid[1024];
extern const uint16_t kIq1SGrid[2048];
// 4 coordinates of 4 bits.
extern const uint16_t kIq3XxsGrid[256];
extern const uint16_t kIq3SGrid[512];

}  // namespace kvasir
