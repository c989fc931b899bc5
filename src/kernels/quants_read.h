// Little-endian reads at any alignment, for the block decoders.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/half.h"

namespace kvasir {

inline uint16_t ReadU16(const uint8_t* at) {
  uint16_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

inline uint32_t ReadU32(const uint8_t* at) {
  uint32_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

inline float ReadF16(const uint8_t* at) { return ToFloat(F16{ReadU16(at)}); }

}  // namespace kvasir
