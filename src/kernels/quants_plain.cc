// Types without scales of scales: half floats, and small blocks of integers with a scale (and a
// minimum). In blocks of 32, byte i holds value i in its low half and value i + 16 in its high
// half.
#include <cmath>

#include "kernels/quants.h"
#include "kernels/quants_read.h"

namespace kvasir {
namespace {

// Signed steps of a 4-bit float (1 sign, 2 exponent, 1 mantissa), doubled. OCP MX specification.
constexpr int8_t kE2m1[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
// Steps of IQ4_NL, spaced for bell-shaped weights.
constexpr int8_t kNonlinear[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                   1,    13,   25,  38,  53,  69,  89,  113};

void DecodeF16(const uint8_t* b, float* out) { *out = ReadF16(b); }

void DecodeBf16(const uint8_t* b, float* out) { *out = ToFloat(BF16{ReadU16(b)}); }

// f16 scale, 16 bytes of nibbles; value = scale * (nibble - 8).
void DecodeQ4_0(const uint8_t* b, float* out) {
  const float scale = ReadF16(b);
  for (int i = 0; i < 16; ++i) {
    out[i] = static_cast<float>((b[2 + i] & 15) - 8) * scale;
    out[i + 16] = static_cast<float>((b[2 + i] >> 4) - 8) * scale;
  }
}

// f16 scale, f16 minimum, 16 bytes of nibbles.
void DecodeQ4_1(const uint8_t* b, float* out) {
  const float scale = ReadF16(b), min = ReadF16(b + 2);
  for (int i = 0; i < 16; ++i) {
    out[i] = static_cast<float>(b[4 + i] & 15) * scale + min;
    out[i + 16] = static_cast<float>(b[4 + i] >> 4) * scale + min;
  }
}

// The 5-bit integer of value i: a nibble, and bit i of a word.
int FiveBits(const uint8_t* nibbles, uint32_t high, int i) {
  const int low = i < 16 ? nibbles[i] & 15 : nibbles[i - 16] >> 4;
  return low | static_cast<int>(high >> i & 1) << 4;
}

// f16 scale, 32 high bits, 16 bytes of nibbles; value = scale * (q - 16).
void DecodeQ5_0(const uint8_t* b, float* out) {
  const float scale = ReadF16(b);
  const uint32_t high = ReadU32(b + 2);
  for (int i = 0; i < 32; ++i) out[i] = static_cast<float>(FiveBits(b + 6, high, i) - 16) * scale;
}

// f16 scale, f16 minimum, 32 high bits, 16 bytes of nibbles.
void DecodeQ5_1(const uint8_t* b, float* out) {
  const float scale = ReadF16(b), min = ReadF16(b + 2);
  const uint32_t high = ReadU32(b + 4);
  for (int i = 0; i < 32; ++i) out[i] = static_cast<float>(FiveBits(b + 8, high, i)) * scale + min;
}

// f16 scale, 32 signed bytes.
void DecodeQ8_0(const uint8_t* b, float* out) {
  const float scale = ReadF16(b);
  for (int i = 0; i < 32; ++i) out[i] = static_cast<float>(static_cast<int8_t>(b[2 + i])) * scale;
}

// f16 scale, 16 bytes of indices into kNonlinear.
void DecodeIq4Nl(const uint8_t* b, float* out) {
  const float scale = ReadF16(b);
  for (int i = 0; i < 16; ++i) {
    out[i] = scale * static_cast<float>(kNonlinear[b[2 + i] & 15]);
    out[i + 16] = scale * static_cast<float>(kNonlinear[b[2 + i] >> 4]);
  }
}

// 256 values: f16 scale, 16 bits = eight pairs of high scale bits, 4 bytes of low scale nibbles,
// then eight times 16 bytes of indices into kNonlinear. Sub-scale = 6 bits - 32.
void DecodeIq4Xs(const uint8_t* b, float* out) {
  const float scale = ReadF16(b);
  const uint16_t high = ReadU16(b + 2);
  const uint8_t* indices = b + 8;
  for (int group = 0; group < 8; ++group, indices += 16, out += 32) {
    const int low = b[4 + group / 2] >> (4 * (group % 2)) & 15;
    const float step = scale * static_cast<float>((low | (high >> (2 * group) & 3) << 4) - 32);
    for (int i = 0; i < 16; ++i) {
      out[i] = step * static_cast<float>(kNonlinear[indices[i] & 15]);
      out[i + 16] = step * static_cast<float>(kNonlinear[indices[i] >> 4]);
    }
  }
}

// Exponent byte (bias 127), 16 bytes of e2m1 nibbles. kE2m1 is doubled, so the scale is halved:
// 2^(e - 128), subnormal for e < 2.
void DecodeMxfp4(const uint8_t* b, float* out) {
  const float scale = std::ldexp(1.0f, b[0] - 128);
  for (int i = 0; i < 16; ++i) {
    out[i] = scale * static_cast<float>(kE2m1[b[1 + i] & 15]);
    out[i + 16] = scale * static_cast<float>(kE2m1[b[1 + i] >> 4]);
  }
}

// Unsigned 8-bit float, 4 exponent bits of bias 7, 3 mantissa bits; 0x7f is NaN and reads as 0.
float E4m3(uint8_t bits) {
  const int exponent = bits >> 3 & 15, mantissa = bits & 7;
  if (bits == 0x7f) return 0.0f;
  if (exponent == 0) return std::ldexp(static_cast<float>(mantissa), -9);
  return std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
}

// 64 values: four e4m3 scales, then four times 8 bytes; byte i of a group holds values i and i + 8.
void DecodeNvfp4(const uint8_t* b, float* out) {
  for (int group = 0; group < 4; ++group, out += 16) {
    const float scale = E4m3(b[group]) * 0.5f;
    const uint8_t* nibbles = b + 4 + 8 * group;
    for (int i = 0; i < 8; ++i) {
      out[i] = scale * static_cast<float>(kE2m1[nibbles[i] & 15]);
      out[i + 8] = scale * static_cast<float>(kE2m1[nibbles[i] >> 4]);
    }
  }
}

}  // namespace

BlockDecoder FindPlainDecoder(TensorType type) {
  switch (type) {
    case TensorType::kF16:
      return DecodeF16;
    case TensorType::kBF16:
      return DecodeBf16;
    case TensorType::kQ4_0:
      return DecodeQ4_0;
    case TensorType::kQ4_1:
      return DecodeQ4_1;
    case TensorType::kQ5_0:
      return DecodeQ5_0;
    case TensorType::kQ5_1:
      return DecodeQ5_1;
    case TensorType::kQ8_0:
      return DecodeQ8_0;
    case TensorType::kIQ4_NL:
      return DecodeIq4Nl;
    case TensorType::kIQ4_XS:
      return DecodeIq4Xs;
    case TensorType::kMXFP4:
      return DecodeMxfp4;
    case TensorType::kNVFP4:
      return DecodeNvfp4;
    default:
      return nullptr;
  }
}

}  // namespace kvasir
