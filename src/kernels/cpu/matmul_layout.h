// How weights and activations lie in memory, and the kernels of an instruction set that read them.
//
// Weights: `lanes` output rows (one vector of f32) make a panel; panels follow each other. A panel
// is block after block of inputs, the values of a block before its scales, so that products read
// one stream of addresses (scales in a plane of their own halve the bandwidth: the prefetcher does
// not follow). Values of a block of 32 inputs: 8 quads, a quad being 4 inputs of each row, row
// after row (what one vpdpbusd reads); 4-bit codes hold quad v in the low halves and quad v + 4 in
// the high halves of the bytes of vector v. Scales: for each group of the block, `lanes` scales,
// then `lanes` minima if the kind has them. Float weights: input after input, `lanes` values each.
// Missing rows and inputs are zero.
//
// Activations: rows in tiles of 16, then 8, 4, 2 and 1 as they fit; a tile is block after block, so
// a row block's parts are at constant offsets from one pointer.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/view.h"
#include "kernels/matmul.h"

namespace kvasir {

enum class PackedKind : uint8_t {
  kCode4,        // w = scale (code - 8)
  kCode4Min,     // w = scale code + min
  kCode4MinF32,  // the same, scale and min in f32
  kCode8,        // w = scale code, signed codes
  kCode8Min,
  kCode8F32,
  kCode8MinF32,
  kCode8Half,  // scales for groups of 16
  kCode8HalfMin,
  kF32,
  kF16,
  kBF16,
};

namespace cpu {

inline constexpr int kPackedKinds = 12;

struct PanelFormat {
  int bits;    // of a value
  int block;   // inputs a step of the kernel
  int groups;  // scales of a row in a block; 0: the values are floats
  bool has_min;
  bool half_scales;  // scales and minima are f16, as in the file
};

inline constexpr PanelFormat kPanelFormats[kPackedKinds] = {
    {4, 32, 1, false, true},  {4, 32, 1, true, true},   {4, 32, 1, true, false},
    {8, 32, 1, false, true},  {8, 32, 1, true, true},   {8, 32, 1, false, false},
    {8, 32, 1, true, false},  {8, 32, 2, false, false}, {8, 32, 2, true, false},
    {32, 8, 0, false, false}, {16, 8, 0, false, false}, {16, 8, 0, false, false},
};
constexpr PanelFormat FormatOf(PackedKind kind) { return kPanelFormats[static_cast<int>(kind)]; }

// Sizes of one panel.
struct PanelShape {
  constexpr PanelShape(PackedKind kind, int lanes, int64_t n_in) {
    const PanelFormat format = FormatOf(kind);
    const int scale_bytes = (format.half_scales ? 2 : 4) * (format.has_min ? 2 : 1);
    n_blocks = (n_in + format.block - 1) / format.block;
    value_bytes = int64_t{lanes} * format.block * format.bits / 8;
    block_bytes = value_bytes + int64_t{lanes} * format.groups * scale_bytes;
    bytes = (n_blocks * block_bytes + 63) / 64 * 64;
  }
  int64_t n_blocks;
  int64_t value_bytes, block_bytes;  // of a block: its values, with its scales
  int64_t bytes;
};

// T rows of a block of int8 activations.
template <int T>
struct CodeBlock {
  int8_t code[T][32];
  float scale[T];           // x = scale code
  float sum[T];             // scale * (sum of codes): what a minimum is multiplied with
  int32_t zero[T];          // -128 * (sum of codes): takes the offset out of unsigned weights
  int32_t half_zero[T][2];  // the same for each half of the block
};
inline constexpr int64_t kCodeBlockBytes = sizeof(CodeBlock<1>);  // a row
static_assert(sizeof(CodeBlock<16>) == 16 * kCodeBlockBytes);

template <int T>
struct FloatBlock {
  float x[T][8];
};
inline constexpr int64_t kFloatBlockBytes = sizeof(FloatBlock<1>);

// Rows of the next tile when `left` rows are left.
constexpr int TileRows(int64_t left) {
  return left >= 16 ? 16 : left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

// One product, restricted to panels [first_panel, last_panel).
struct PanelRange {
  const std::byte* panels;
  PanelShape shape;
  int64_t first_panel, last_panel;
  const std::byte* x;  // tiles of all rows
  int64_t n_rows;
  float* y;  // [n_rows, n_out]
  int64_t y_stride, n_out;
  const float* bias;
  bool accumulate;
};

struct MatMulKernels {
  int lanes;
  int code8_offset;  // what is added to signed 8-bit codes in memory
  void (*run[kPackedKinds])(const PanelRange&);
};
const MatMulKernels& MatMulAvx2();
const MatMulKernels& MatMulAvx512();
const MatMulKernels& MatMulAvx512Vnni();
const MatMulKernels& MatMulAmx();

// Rows of x, a tile, to int8 blocks (n_in a multiple of 32) or f32 blocks (zeros at the end).
// residual, where it is not null, gets int8 blocks of what the first ones leave: together 15 bits.
void QuantiseTile(MatView<const float> x, int64_t row, int n_rows, std::byte* out,
                  std::byte* residual);
void CopyTile(MatView<const float> x, int64_t row, int n_rows, std::byte* out);

}  // namespace cpu

// What PackedMatrix and Activations show to the files of this operation.
struct MatMulAccess {
  static auto& Bytes(auto& m) { return m.bytes_; }
  static auto& NBytes(auto& m) { return m.n_bytes_; }
  static auto& NOut(auto& m) { return m.n_out_; }
  static auto& NIn(auto& m) { return m.n_in_; }
  static auto& IsaOf(auto& m) { return m.isa_; }
  static auto& Kind(auto& m) { return m.kind_; }
  static const std::byte* Codes(Activations& x, bool precise, ThreadPool& pool);
  static const std::byte* Residuals(const Activations& x) { return x.residuals_.data(); }
  static const std::byte* Floats(Activations& x, ThreadPool& pool);
  static MatView<const float> X(const Activations& x) { return x.x_; }
};

const cpu::MatMulKernels& KernelsOf(Isa isa);

}  // namespace kvasir
