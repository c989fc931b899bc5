// Products of activations with packed weights: y = x W^T. Weights are repacked once at load for the
// CPU path at hand; activations are prepared (quantised to int8 per block, or kept in f32) once and
// shared by all matrices that read them.
//
// Determinism: the order of additions behind one output depends on n_in alone, so a row's result
// has the same bits alone or among many rows, for every thread count.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/buffer.h"
#include "base/thread_pool.h"
#include "base/view.h"
#include "kernels/isa.h"
#include "kernels/tensor_type.h"

namespace kvasir {

// The layout a weight type is packed to; one product kernel each.
enum class PackedKind : uint8_t;

// Weights [n_out, n_in], repacked; owns its bytes. Move-only.
class PackedMatrix {
 public:
  PackedMatrix() = default;
  int64_t n_out() const { return n_out_; }
  int64_t n_in() const { return n_in_; }
  size_t n_bytes() const { return bytes_.size(); }  // what one decode step reads

 private:
  friend struct MatMulAccess;
  Buffer bytes_;
  int64_t n_out_ = 0, n_in_ = 0;
  Isa isa_ = Isa::kAvx2;
  PackedKind kind_{};
};

// Packs the rows of one tensor. n_in of quantised types is a multiple of 32.
// f32 weights stay f32 (f32 products); quantised types multiply with int8 activations.
Result<PackedMatrix> PackWeights(Isa isa, const WeightRef& weights, ThreadPool& pool);

// Activation rows ready for products. Reusable; grows, never shrinks.
class Activations {
 public:
  // x is [rows, n_in]; what is prepared (int8 blocks, f32) is decided by the matrices that follow.
  void Set(Isa isa, MatView<const float> x, ThreadPool& pool);

 private:
  friend struct MatMulAccess;
  Buffer bytes_;
  MatView<const float> x_;
  bool quantised_ = false;
};

// One product of a call: several with the same activations run as one parallel region.
struct MatMulJob {
  const PackedMatrix* weights = nullptr;
  MatView<float> y;            // [rows, n_out]
  const float* bias = nullptr; // [n_out] added; null: none
  bool accumulate = false;     // y += instead of y =
};
void MatMul(Activations& x, std::span<const MatMulJob> jobs, ThreadPool& pool);

}  // namespace kvasir
