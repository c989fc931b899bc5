// K-quants: blocks of 256 values in groups of 16 or 32, whose scales are integers themselves.
// Ternary types follow: 256 values of -1, 0, 1 with one scale.
#include "kernels/quants.h"
#include "kernels/quants_read.h"

namespace kvasir {
namespace {

// 16 bytes (low nibble: scale, high nibble: minimum, of a group of 16), 64 bytes of 2-bit values,
// f16 scale, f16 scale of minima. Of each 32 bytes, bit pair p holds values 32p .. 32p + 31.
void DecodeQ2_K(const uint8_t* b, float* out) {
  const uint8_t* quants = b + 16;
  const float scale = ReadF16(b + 80), min_scale = ReadF16(b + 82);
  for (int group = 0; group < 16; ++group, out += 16) {
    const float step = scale * static_cast<float>(b[group] & 15);
    const float min = min_scale * static_cast<float>(b[group] >> 4);
    const uint8_t* q = quants + 32 * (group / 8) + 16 * (group % 2);
    const int shift = 2 * (group % 8 / 2);
    for (int i = 0; i < 16; ++i) out[i] = step * static_cast<float>(q[i] >> shift & 3) - min;
  }
}

// 32 bytes of third bits (bit g of byte i: group pair g), 64 bytes of 2-bit values as in Q2_K,
// 12 bytes of sixteen 6-bit scales (8 bytes of low nibbles, 4 bytes of high pairs), f16 scale.
// The value is (2 bits) - (third bit ? 0 : 4), its scale (6 bits) - 32.
void DecodeQ3_K(const uint8_t* b, float* out) {
  const uint8_t *high = b, *quants = b + 32, *scales = b + 96;
  const float scale = ReadF16(b + 108);
  for (int group = 0; group < 16; ++group, out += 16) {
    const int low_scale = scales[group % 8] >> (4 * (group / 8)) & 15;
    const int high_scale = scales[8 + group % 4] >> (2 * (group / 4)) & 3;
    const float step = scale * static_cast<float>((low_scale | high_scale << 4) - 32);
    const int half = 16 * (group % 2);
    const uint8_t* q = quants + 32 * (group / 8) + half;
    const int shift = 2 * (group % 8 / 2);
    for (int i = 0; i < 16; ++i) {
      const int third = high[half + i] >> (group / 2) & 1;
      out[i] = step * static_cast<float>((q[i] >> shift & 3) - (third != 0 ? 0 : 4));
    }
  }
}

struct ScaleMin {
  int scale, min;
};

// Group g of eight 6-bit scales and minima in 12 bytes: 0..3 have their own bytes (low 6 bits);
// 4..7 have a nibble in bytes 8..11 and two bits atop the bytes of 0..3.
ScaleMin UnpackScaleMin(const uint8_t* packed, int group) {
  if (group < 4) return {packed[group] & 63, packed[group + 4] & 63};
  return {(packed[group + 4] & 15) | (packed[group - 4] >> 6) << 4,
          (packed[group + 4] >> 4) | (packed[group] >> 6) << 4};
}

// f16 scale, f16 scale of minima, 12 bytes of scales and minima, 128 bytes of nibbles: of each
// 32 bytes the low halves are one group of 32, the high halves the next.
void DecodeQ4_K(const uint8_t* b, float* out) {
  const float scale = ReadF16(b), min_scale = ReadF16(b + 2);
  for (int group = 0; group < 8; ++group, out += 32) {
    const ScaleMin sm = UnpackScaleMin(b + 4, group);
    const float step = scale * static_cast<float>(sm.scale);
    const float min = min_scale * static_cast<float>(sm.min);
    const uint8_t* q = b + 16 + 32 * (group / 2);
    const int shift = 4 * (group % 2);
    for (int i = 0; i < 32; ++i) out[i] = step * static_cast<float>(q[i] >> shift & 15) - min;
  }
}

// As Q4_K, with 32 bytes of fifth bits (bit g of byte i: value i of group g) before the nibbles.
void DecodeQ5_K(const uint8_t* b, float* out) {
  const float scale = ReadF16(b), min_scale = ReadF16(b + 2);
  const uint8_t* high = b + 16;
  for (int group = 0; group < 8; ++group, out += 32) {
    const ScaleMin sm = UnpackScaleMin(b + 4, group);
    const float step = scale * static_cast<float>(sm.scale);
    const float min = min_scale * static_cast<float>(sm.min);
    const uint8_t* q = b + 48 + 32 * (group / 2);
    const int shift = 4 * (group % 2);
    for (int i = 0; i < 32; ++i) {
      const int value = (q[i] >> shift & 15) | (high[i] >> group & 1) << 4;
      out[i] = step * static_cast<float>(value) - min;
    }
  }
}

// 128 bytes of low nibbles, 64 bytes of high pairs, 16 signed scales, f16 scale. Half h of the
// block: nibbles 64h .. 64h + 63 (low halves: quarters 0 and 1, high halves: 2 and 3), pairs
// 32h .. 32h + 31 (bit pair: quarter). The value is (6 bits) - 32.
void DecodeQ6_K(const uint8_t* b, float* out) {
  const uint8_t *low = b, *high = b + 128, *scales = b + 192;
  const float scale = ReadF16(b + 208);
  for (int group = 0; group < 16; ++group, out += 16) {
    const int half = group / 8, quarter = group % 8 / 2, at = 16 * (group % 2);
    const float step = scale * static_cast<float>(static_cast<int8_t>(scales[group]));
    const uint8_t* l = low + 64 * half + 32 * (quarter % 2) + at;
    const uint8_t* h = high + 32 * half + at;
    for (int i = 0; i < 16; ++i) {
      const int value = (l[i] >> (4 * (quarter / 2)) & 15) | (h[i] >> (2 * quarter) & 3) << 4;
      out[i] = step * static_cast<float>(value - 32);
    }
  }
}

// A byte q stands for the fraction q / 256 in base 3: digit n is the whole part of 3 * frac(q 3^n).
int TernaryDigit(uint8_t q, int n) {
  constexpr uint8_t kPowers[] = {1, 3, 9, 27, 81};
  const uint8_t rest = static_cast<uint8_t>(q * kPowers[n]);
  return (rest * 3 >> 8) - 1;
}

// 32 bytes of five digits each, 16 bytes of five, 4 bytes of four, f16 scale. Digit n of a run of
// bytes comes before digit n + 1 of any of them.
void DecodeTq1_0(const uint8_t* b, float* out) {
  const float scale = ReadF16(b + 52);
  const struct { int first, bytes, digits; } runs[] = {{0, 32, 5}, {32, 16, 5}, {48, 4, 4}};
  for (const auto& run : runs) {
    for (int n = 0; n < run.digits; ++n) {
      for (int i = 0; i < run.bytes; ++i) {
        *out++ = static_cast<float>(TernaryDigit(b[run.first + i], n)) * scale;
      }
    }
  }
}

// 64 bytes of 2-bit values as in Q2_K, f16 scale; value = scale * (q - 1).
void DecodeTq2_0(const uint8_t* b, float* out) {
  const float scale = ReadF16(b + 64);
  for (int group = 0; group < 8; ++group, out += 32) {
    const uint8_t* q = b + 32 * (group / 4);
    const int shift = 2 * (group % 4);
    for (int i = 0; i < 32; ++i) out[i] = static_cast<float>((q[i] >> shift & 3) - 1) * scale;
  }
}

}  // namespace

BlockDecoder FindKDecoder(TensorType type) {
  switch (type) {
    case TensorType::kQ2_K:
      return DecodeQ2_K;
    case TensorType::kQ3_K:
      return DecodeQ3_K;
    case TensorType::kQ4_K:
      return DecodeQ4_K;
    case TensorType::kQ5_K:
      return DecodeQ5_K;
    case TensorType::kQ6_K:
      return DecodeQ6_K;
    default:
      return nullptr;
  }
}

BlockDecoder FindTernaryDecoder(TensorType type) {
  switch (type) {
    case TensorType::kTQ1_0:
      return DecodeTq1_0;
    case TensorType::kTQ2_0:
      return DecodeTq2_0;
    default:
      return nullptr;
  }
}

}  // namespace kvasir
