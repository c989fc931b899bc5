// How the bytes of a K or V plane of 64 slots encode keys or values. A format names a mechanism;
// which method wants it for which entries is not a kernel's business.
//
//   codec     what is stored                                                    encoded together
//   kF32 …    floats                                                            1 slot
//   kI16      16 bits, symmetric: one f32 scale for an entry                    1 slot
//   kQ8       8 bits, symmetric: one scale for `group` channels of an entry     1 slot
//   kToken    2, 3, 4 or 8 bits, asymmetric: scale and minimum for `group`      1 slot
//             channels of an entry
//   kChannel  2, 4 or 8 bits, asymmetric: scale and minimum for `group` (32 or  `group` slots
//             64) slots of a channel
//   kSplit    keys: the first `wide` channels as kChannel in 2 bits, of the     32 slots
//             others the sign and, for 32 slots, the mean magnitude
//   kTernary  values: -1, 0 or 1 (2 bits) times one scale for 32 slots of a     32 slots
//             channel; 0 is what lies within half the mean magnitude
//
// Bits an element at 64 channels with f16 scales: kI16 16.5; kQ8 8.5; kToken b + 32 / group;
// kChannel b + 32 / group; kSplit 3 and 1.5; kTernary 2.5 (five trits a byte would make groups of
// 32 slots 2.25, and every trit a multiplication).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kvasir {

inline constexpr int kPageEntries = 64;    // slots a page: one live-mask word
inline constexpr int kGroupSlots = 32;     // slots that share a channel's scale, unless it says 64
inline constexpr int kMostChannels = 256;  // stored channels of a plane

enum class PlaneKind : uint8_t { kKeys, kValues };
enum class CodecId : uint8_t { kF32, kF16, kBF16, kI16, kQ8, kToken, kChannel, kSplit, kTernary };
// The scale of kTernary: the mean magnitude of what is not 0 (least squares), or of all.
enum class TernaryScale : uint8_t { kLeastSquares, kMean };

struct PlaneFormat {
  CodecId codec = CodecId::kF16;
  uint8_t bits = 0;         // of kToken and kChannel
  bool f32_scales = false;  // scales and minima in f32 instead of f16
  TernaryScale ternary = TernaryScale::kLeastSquares;
  int16_t dim = 0;    // stored channels, 1 to 256; of values a multiple of ValueStep
  // Of kToken and kQ8: channels, a multiple of 8; the last may be smaller. Of kChannel: slots.
  int16_t group = 0;
  int16_t wide = 0;   // of kSplit

  bool operator==(const PlaneFormat&) const = default;
};

inline PlaneFormat FloatPlane(CodecId codec, int dim) {
  return {.codec = codec, .dim = static_cast<int16_t>(dim)};
}
inline PlaneFormat I16Plane(int dim) { return FloatPlane(CodecId::kI16, dim); }
inline PlaneFormat Q8Plane(int dim, int group = 32) {
  return {.codec = CodecId::kQ8,
          .dim = static_cast<int16_t>(dim),
          .group = static_cast<int16_t>(group)};
}
inline PlaneFormat TokenPlane(int bits, int dim, int group = 32) {
  return {.codec = CodecId::kToken,
          .bits = static_cast<uint8_t>(bits),
          .dim = static_cast<int16_t>(dim),
          .group = static_cast<int16_t>(group)};
}
inline PlaneFormat ChannelPlane(int bits, int dim, int group = kGroupSlots) {
  return {.codec = CodecId::kChannel,
          .bits = static_cast<uint8_t>(bits),
          .dim = static_cast<int16_t>(dim),
          .group = static_cast<int16_t>(group)};
}
inline PlaneFormat SplitPlane(int wide, int dim) {
  return {.codec = CodecId::kSplit,
          .dim = static_cast<int16_t>(dim),
          .wide = static_cast<int16_t>(wide)};
}
inline PlaneFormat TernaryPlane(int dim, TernaryScale scale = TernaryScale::kLeastSquares) {
  return {.codec = CodecId::kTernary, .ternary = scale, .dim = static_cast<int16_t>(dim)};
}

constexpr bool IsFloat(CodecId codec) { return codec <= CodecId::kBF16; }
// Entries are encoded (and copied) in aligned groups of so many slots.
constexpr int SlotsTogether(const PlaneFormat& format) {
  if (format.codec == CodecId::kChannel) return format.group;
  return format.codec > CodecId::kChannel ? kGroupSlots : 1;
}
// Channels of values come in multiples of so many: what a vector of their kernels covers.
constexpr int ValueStep(CodecId codec) {
  return IsFloat(codec) ? 1 : codec == CodecId::kI16 ? 16 : 8;
}

// What is wrong with a format that comes from outside, such as a file.
Status CheckFormat(const PlaneFormat& format, PlaneKind kind);

// "f32", "f16", "bf16", "i16", "q8", "q4" (kToken of 4 bits and 32 channels), else as
// "token2/64", "channel2", "split32", "ternary"; "+f32" for f32 scales.
std::string FormatName(const PlaneFormat& format);
// The formats of a whole cache that a user can name: f32, f16, bf16, i16, q8 or q4.
Result<PlaneFormat> ParseFormat(std::string_view name, int dim);

}  // namespace kvasir
