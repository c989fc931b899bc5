// IQ1, IQ2, IQ3: 256 values a block, in groups of 32. Each 8 (IQ3: 4) values are a point of a
// codebook, times signs, times a scale. Points are all positive in IQ2 and IQ3.
#include <bit>

#include "kernels/quants.h"
#include "kernels/quants_grids.h"
#include "kernels/quants_read.h"

namespace kvasir {
namespace {

constexpr float kLevels2[4] = {8, 25, 43, 0};  // the fourth is in no point
constexpr float kLevels3Xxs[8] = {4, 12, 20, 28, 36, 44, 52, 62};

// 7 bits of signs; the eighth makes their number even.
uint8_t EvenSigns(uint32_t seven) {
  return static_cast<uint8_t>(seven | static_cast<uint32_t>(std::popcount(seven) & 1) << 7);
}

// step * level, negated where the sign bit is set: 8 values of an IQ2 point.
void Write2(float step, uint16_t point, uint8_t signs, float* out) {
  for (int i = 0; i < 8; ++i) {
    const float value = step * kLevels2[point >> (2 * i) & 3];
    out[i] = (signs >> i & 1) != 0 ? -value : value;
  }
}

// The scale of a 4-bit sub-scale in IQ2 types.
float Step2(float scale, int sub_scale) {
  return scale * (0.5f + static_cast<float>(sub_scale)) * 0.25f;
}

// f16 scale, then for each group of 32: four bytes of points, and a word with four times 7 bits of
// signs and a 4-bit sub-scale on top.
void DecodeIq2Xxs(const uint8_t* b, float* out) {
  const float scale = ReadF16(b);
  const uint8_t* at = b + 2;
  for (int group = 0; group < 8; ++group, at += 8) {
    const uint32_t word = ReadU32(at + 4);
    const float step = Step2(scale, static_cast<int>(word >> 28));
    for (int k = 0; k < 4; ++k, out += 8) {
      Write2(step, kIq2XxsGrid[at[k]], EvenSigns(word >> (7 * k) & 127), out);
    }
  }
}

// f16 scale, 32 words of 9 bits of point and 7 bits of signs, 8 bytes of sub-scales: a nibble for
// every 16 values.
void DecodeIq2Xs(const uint8_t* b, float* out) {
  const float scale = ReadF16(b);
  const uint8_t* sub_scales = b + 66;
  for (int k = 0; k < 32; ++k, out += 8) {
    const uint16_t word = ReadU16(b + 2 + 2 * k);
    const float step = Step2(scale, sub_scales[k / 4] >> (4 * (k / 2 % 2)) & 15);
    Write2(step, kIq2XsGrid[word & 511], EvenSigns(word >> 9), out);
  }
}

// f16 scale, 32 bytes: low 8 bits of points, 32 bytes of signs, 8 bytes: high 2 bits of points,
// 8 bytes of sub-scales as in IQ2_XS.
void DecodeIq2S(const uint8_t* b, float* out) {
  const float scale = ReadF16(b);
  const uint8_t *low = b + 2, *signs = b + 34, *high = b + 66, *sub_scales = b + 74;
  for (int k = 0; k < 32; ++k, out += 8) {
    const int point = low[k] | (high[k / 4] >> (2 * (k % 4)) & 3) << 8;
    const float step = Step2(scale, sub_scales[k / 4] >> (4 * (k / 2 % 2)) & 15);
    Write2(step, kIq2SGrid[point], signs[k], out);
  }
}

// f16 scale, 64 bytes of points (of 4 values), then for each group of 32 a word as in IQ2_XXS.
void DecodeIq3Xxs(const uint8_t* b, float* out) {
  const float scale = ReadF16(b);
  const uint8_t* points = b + 2;
  for (int group = 0; group < 8; ++group, points += 8) {
    const uint32_t word = ReadU32(b + 66 + 4 * group);
    const float step = scale * (0.5f + static_cast<float>(word >> 28)) * 0.5f;
    for (int i = 0; i < 32; ++i) {
      const uint8_t signs = EvenSigns(word >> (7 * (i / 8)) & 127);
      const float value = step * kLevels3Xxs[kIq3XxsGrid[points[i / 4]] >> (4 * (i % 4)) & 7];
      *out++ = (signs >> (i % 8) & 1) != 0 ? -value : value;
    }
  }
}

// f16 scale, 64 bytes: low 8 bits of points (of 4 values), 8 bytes: their ninth bits, 32 bytes of
// signs, 4 bytes of sub-scales: a nibble a group. Levels are the odd numbers to 15.
void DecodeIq3S(const uint8_t* b, float* out) {
  const float scale = ReadF16(b);
  const uint8_t *low = b + 2, *high = b + 66, *signs = b + 74, *sub_scales = b + 106;
  for (int i = 0; i < 256; ++i) {
    const int k = i / 4, group = i / 32;
    const int point = low[k] | (high[k / 8] >> (k % 8) & 1) << 8;
    const int sub_scale = sub_scales[group / 2] >> (4 * (group % 2)) & 15;
    const float step = scale * static_cast<float>(1 + 2 * sub_scale);
    const float value = step * static_cast<float>(2 * (kIq3SGrid[point] >> (4 * (i % 4)) & 7) + 1);
    out[i] = (signs[i / 8] >> (i % 8) & 1) != 0 ? -value : value;
  }
}

// step * (coordinate + delta): 8 values of an IQ1 point, whose coordinates are -1, 0, 1.
void Write1(float step, uint16_t point, bool is_negative, float* out) {
  const float delta = is_negative ? -0.125f : 0.125f;
  for (int i = 0; i < 8; ++i) {
    out[i] = step * (static_cast<float>((point >> (2 * i) & 3) - 1) + delta);
  }
}

// f16 scale, 32 bytes: low 8 bits of points, 8 words: four times 3 high bits of points, 3 bits of
// sub-scale, sign of delta.
void DecodeIq1S(const uint8_t* b, float* out) {
  const float scale = ReadF16(b);
  for (int group = 0; group < 8; ++group) {
    const uint16_t word = ReadU16(b + 34 + 2 * group);
    const float step = scale * static_cast<float>(2 * (word >> 12 & 7) + 1);
    for (int k = 0; k < 4; ++k, out += 8) {
      const int point = b[2 + 4 * group + k] | (word >> (3 * k) & 7) << 8;
      Write1(step, kIq1SGrid[point], (word & 0x8000) != 0, out);
    }
  }
}

// 32 bytes: low 8 bits of points, 16 bytes of nibbles: 3 high bits of a point and the sign of its
// delta, 4 words: four times 3 bits of sub-scale (of 16 values) and a nibble of the f16 scale.
void DecodeIq1M(const uint8_t* b, float* out) {
  const uint8_t *low = b, *high = b + 32, *words = b + 48;
  uint16_t scale_bits = 0;
  for (int w = 0; w < 4; ++w) {
    scale_bits = static_cast<uint16_t>(scale_bits | ReadU16(words + 2 * w) >> 12 << (4 * w));
  }
  const float scale = ToFloat(F16{scale_bits});
  for (int k = 0; k < 32; ++k, out += 8) {
    const int sub_scale = ReadU16(words + 2 * (k / 8)) >> (3 * (k % 8 / 2)) & 7;
    const float step = scale * static_cast<float>(2 * sub_scale + 1);
    const int nibble = high[k / 2] >> (4 * (k % 2)) & 15;
    Write1(step, kIq1SGrid[low[k] | (nibble & 7) << 8], (nibble & 8) != 0, out);
  }
}

}  // namespace

BlockDecoder FindCodebookDecoder(TensorType type) {
  switch (type) {
    case TensorType::kIQ1_S:
      return DecodeIq1S;
    case TensorType::kIQ1_M:
      return DecodeIq1M;
    case TensorType::kIQ2_XXS:
      return DecodeIq2Xxs;
    case TensorType::kIQ2_XS:
      return DecodeIq2Xs;
    case TensorType::kIQ2_S:
      return DecodeIq2S;
    case TensorType::kIQ3_XXS:
      return DecodeIq3Xxs;
    case TensorType::kIQ3_S:
      return DecodeIq3S;
    default:
      return nullptr;
  }
}

}  // namespace kvasir
