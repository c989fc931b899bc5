#include "kernels/matmul_blocks.h"

#include <cmath>

#include "kernels/quants_read.h"

namespace kvasir {
namespace {

// f16 scale first, perhaps an f16 minimum after it.
void Scale(const uint8_t* b, SplitBlock& out) { out.scale[0] = ReadF16(b); }
void ScaleAndMin(const uint8_t* b, SplitBlock& out) {
  out.scale[0] = ReadF16(b);
  out.min[0] = ReadF16(b + 2);
}

// Byte i holds value i and value i + 16.
void Nibbles(const uint8_t* b, uint8_t* out) {
  for (int i = 0; i < 16; ++i) {
    out[i] = b[i] & 15;
    out[i + 16] = b[i] >> 4;
  }
}
void CodesQ4_0(const uint8_t* b, uint8_t* out) { Nibbles(b + 2, out); }
void CodesQ4_1(const uint8_t* b, uint8_t* out) { Nibbles(b + 4, out); }
void CodesQ8_0(const uint8_t* b, uint8_t* out) { std::memcpy(out, b + 2, 32); }

// Low nibble: scale, high nibble: minimum, of each group of 16.
void ScalesQ2_K(const uint8_t* b, SplitBlock& out) {
  const float scale = ReadF16(b + 80), min_scale = ReadF16(b + 82);
  for (int g = 0; g < 16; ++g) {
    out.scale[g] = scale * static_cast<float>(b[g] & 15);
    out.min[g] = -(min_scale * static_cast<float>(b[g] >> 4));
  }
}

// 12 bytes from 96: low nibbles of group g in byte g % 8, high pairs in byte 8 + g % 4; minus 32.
void ScalesQ3_K(const uint8_t* b, SplitBlock& out) {
  const float scale = ReadF16(b + 108);
  for (int g = 0; g < 16; ++g) {
    const int low = b[96 + g % 8] >> (4 * (g / 8)) & 15;
    const int high = b[104 + g % 4] >> (2 * (g / 4)) & 3;
    out.scale[g] = scale * static_cast<float>((low | high << 4) - 32);
  }
}

// 12 bytes from 4 hold eight 6-bit scales and minima: groups 0..3 in bytes of their own, 4..7 as
// nibbles of the last four bytes with two bits atop the others.
void ScalesQ4_K(const uint8_t* b, SplitBlock& out) {
  const float scale = ReadF16(b), min_scale = ReadF16(b + 2);
  const uint8_t* packed = b + 4;
  for (int g = 0; g < 8; ++g) {
    int s = packed[g] & 63, m = packed[g + 4] & 63;
    if (g >= 4) {
      s = (packed[g + 4] & 15) | packed[g - 4] >> 6 << 4;
      m = packed[g + 4] >> 4 | packed[g] >> 6 << 4;
    }
    out.scale[g] = scale * static_cast<float>(s);
    out.min[g] = -(min_scale * static_cast<float>(m));
  }
}

void ScalesQ6_K(const uint8_t* b, SplitBlock& out) {
  const float scale = ReadF16(b + 208);
  for (int g = 0; g < 16; ++g) {
    out.scale[g] = scale * static_cast<float>(static_cast<int8_t>(b[192 + g]));
  }
}

// f16, 16 bits of high pairs, 4 bytes of low nibbles; minus 32.
void ScalesIq4Xs(const uint8_t* b, SplitBlock& out) {
  const float scale = ReadF16(b);
  for (int g = 0; g < 8; ++g) {
    const int low = b[4 + g / 2] >> (4 * (g % 2)) & 15;
    const int high = ReadU16(b + 2) >> (2 * g) & 3;
    out.scale[g] = scale * static_cast<float>((low | high << 4) - 32);
  }
}

// Steps are doubled in the codes: 2^(e - 128).
void ScalesMxfp4(const uint8_t* b, SplitBlock& out) { out.scale[0] = std::ldexp(1.0f, b[0] - 128); }

// One scale for 256 values.
template <int kAt>
void ScaleOf256(const uint8_t* b, SplitBlock& out) {
  for (int g = 0; g < 8; ++g) out.scale[g] = ReadF16(b + kAt);
}

// The integers behind values of the form scale * code + min. Exact while |min| is below 2^16 scale:
// the rounding of a value is then far below half a step. In groups, which the compiler vectorises.
template <int kGroup>
void RecoverCodes(PackedKind kind, int n_values, const float* values, SplitBlock& out) {
  constexpr float kRound = 0x1.8p23f;  // added and taken away: rounds to the nearest integer
  const cpu::PanelFormat format = cpu::FormatOf(kind);
  const float least = format.bits == 4 ? 0.0f : -128.0f, most = format.bits == 4 ? 15.0f : 127.0f;
  for (int g = 0; g < n_values / kGroup; ++g) {
    const float min = format.has_min ? out.min[g] : 0.0f;
    const float scale = out.scale[g] == 0.0f ? HUGE_VALF : out.scale[g];  // all codes are 0
    for (int i = g * kGroup; i < (g + 1) * kGroup; ++i) {
      float code = (values[i] - min) / scale;
      code = code > least ? code : least;  // not-a-number, too: a broken scale, codes of no matter
      code = code < most ? code : most;
      out.codes[i] = static_cast<uint8_t>(static_cast<int>(code + kRound - kRound));
    }
  }
}

}  // namespace

const BlockFormat* FindBlockFormat(TensorType type) {
  using enum TensorType;
  static constexpr struct {
    TensorType type;
    BlockFormat format;
  } kFormats[] = {
      {kQ4_0, {PackedKind::kCode4, Scale, CodesQ4_0}},
      {kQ4_1, {PackedKind::kCode4Min, ScaleAndMin, CodesQ4_1}},
      {kQ5_0, {PackedKind::kCode8, Scale, nullptr}},
      {kQ5_1, {PackedKind::kCode8Min, ScaleAndMin, nullptr}},
      {kQ8_0, {PackedKind::kCode8, Scale, CodesQ8_0}},
      {kQ2_K, {PackedKind::kCode8HalfMin, ScalesQ2_K, nullptr}},
      {kQ3_K, {PackedKind::kCode8Half, ScalesQ3_K, nullptr}},
      {kQ4_K, {PackedKind::kCode4MinF32, ScalesQ4_K, nullptr}},
      {kQ5_K, {PackedKind::kCode8MinF32, ScalesQ4_K, nullptr}},
      {kQ6_K, {PackedKind::kCode8Half, ScalesQ6_K, nullptr}},
      {kIQ4_NL, {PackedKind::kCode8, Scale, nullptr}},
      {kIQ4_XS, {PackedKind::kCode8F32, ScalesIq4Xs, nullptr}},
      {kTQ1_0, {PackedKind::kCode8, ScaleOf256<52>, nullptr}},
      {kTQ2_0, {PackedKind::kCode8, ScaleOf256<64>, nullptr}},
      {kMXFP4, {PackedKind::kCode8F32, ScalesMxfp4, nullptr}},
  };
  for (const auto& row : kFormats) {
    if (row.type == type) return &row.format;
  }
  return nullptr;
}

Status SplitBlocks(TensorType type, const BlockFormat& format, const uint8_t* blocks,
                   int64_t n_blocks, SplitBlock* out) {
  const TensorTypeInfo& info = InfoOf(type);
  for (int64_t b = 0; b < n_blocks; ++b, blocks += info.block_bytes, ++out) {
    format.scales(blocks, *out);
    if (format.codes != nullptr) {
      format.codes(blocks, out->codes);
      continue;
    }
    float values[256];
    KV_RETURN_IF_ERROR(
        Dequantize(type, reinterpret_cast<const std::byte*>(blocks), info.block_values, values));
    if (cpu::FormatOf(format.kind).groups == 2) {
      RecoverCodes<16>(format.kind, info.block_values, values, *out);
    } else {
      RecoverCodes<32>(format.kind, info.block_values, values, *out);
    }
  }
  return {};
}

}  // namespace kvasir
