// Products of activations with packed weights: y = x W^T. Weights are repacked once at load for the
// CPU path at hand; activations are prepared (quantised to int8 per block, or kept in f32) once and
// shared by all matrices that read them.
//
// Determinism: the operations behind one output, and their order, depend on n_in alone: integer
// products of a block of 32 are exact, blocks are added up in order with the same multiply-adds in
// every kernel. So a row's result has the same bits alone or among many rows, for every thread
// count and every Isa.
#pragma once

#include <span>
#include <vector>

#include "base/buffer.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "base/view.h"
#include "kernels/isa.h"
#include "kernels/tensor_type.h"

namespace kvasir {

// The layout a weight type is packed to; one product kernel each.
enum class PackedKind : uint8_t;

// Memory of a model's packed weights: chunks on huge pages, which a decode step reads half as fast
// again as pages of 4 KiB. Freed at once, at the end. Not thread-safe.
class WeightArena {
 public:
  std::byte* Allocate(size_t n_bytes);         // aligned to 64 bytes
  size_t n_bytes() const { return n_bytes_; }  // handed out

 private:
  std::vector<Buffer> chunks_;
  std::byte* at_ = nullptr;
  size_t left_ = 0, n_bytes_ = 0;
};

// Weights [n_out, n_in], repacked: a view of an arena that outlives it.
class PackedMatrix {
 public:
  PackedMatrix() = default;
  int64_t n_out() const { return n_out_; }
  int64_t n_in() const { return n_in_; }
  size_t n_bytes() const { return n_bytes_; }  // what one decode step reads

 private:
  friend struct MatMulAccess;
  std::byte* bytes_ = nullptr;
  size_t n_bytes_ = 0;
  int64_t n_out_ = 0, n_in_ = 0;
  Isa isa_ = Isa::kAvx2;
  PackedKind kind_{};
};

// Packs the rows of one tensor. n_in of quantised types is a multiple of 32.
// F32, F16 and BF16 weights keep their bits and multiply with f32 activations; quantised types with
// int8 ones. Types without a packed kind are expanded to f32. Without an arena the matrix has
// memory of its own: give one for all matrices of a model.
Result<PackedMatrix> PackWeights(Isa isa, const WeightRef& weights, ThreadPool& pool,
                                 WeightArena& arena);

// The n_in weights of one row as f32, the same bits as Dequantize gives: an embedding tied to the
// output head is read from the packed head.
void UnpackRow(const PackedMatrix& weights, int64_t row, float* out);

// Activation rows ready for products. Reusable; grows, never shrinks.
class Activations {
 public:
  // x is [rows, n_in]. The products that follow read it: it stays as it is until the next Set. What
  // is prepared from it (int8 blocks, f32 tiles) is made once, by the first product that needs it.
  void Set(MatView<const float> x) {
    x_ = x;
    has_codes_ = has_residuals_ = has_floats_ = false;
  }

 private:
  friend struct MatMulAccess;
  MatView<const float> x_;
  Buffer codes_, residuals_, floats_;
  bool has_codes_ = false, has_residuals_ = false, has_floats_ = false;
};

// One product of a call: several with the same activations run as one parallel region.
struct MatMulJob {
  const PackedMatrix* weights = nullptr;
  MatView<float> y;             // [rows, n_out]; not overlapping x or another job's y
  const float* bias = nullptr;  // [n_out] added; null: none
  bool accumulate = false;      // y += instead of y =
  // Quantised weights: a second pass multiplies what int8 activations leave (15 bits in all). For
  // small products where their error counts most; twice the arithmetic, the same weights from
  // cache.
  bool precise = false;
};
void MatMul(Activations& x, std::span<const MatMulJob> jobs, ThreadPool& pool);

}  // namespace kvasir
