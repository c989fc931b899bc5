// What a model does between products and attention: norms, rotations, activations, and reductions
// of logit vectors. All work on a row at a time in a fixed order, so a row's bits do not depend on
// its neighbours; threading is the caller's. Outputs may be the inputs.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/view.h"
#include "kernels/isa.h"

namespace kvasir {

// out = x / sqrt(mean(x^2) + eps) * weight, by row. weight null: 1.
void RmsNorm(Isa isa, MatView<const float> x, const float* weight, float eps, MatView<float> out);

// Rotary embedding of one layer. Pair i of a head vector is (2i, 2i + 1), or (i, i + n_rot / 2) in
// the NeoX order; dimensions from n_rot on stay as they are.
struct RopeTable {
  std::vector<double>
      inv_freq;  // [n_rot / 2] radians a position; scaling (linear, llama3, YaRN) in
  bool neox = false;
  float attention_factor = 1.0f;  // YaRN's mscale, multiplied into cos and sin
  int n_rot() const { return 2 * static_cast<int>(inv_freq.size()); }
};
// cos, sin: [n_rot / 2] of the angles of a position (any int32; a negative one rotates backwards).
void RopeAngles(const RopeTable& table, int32_t position, float* cos, float* sin);
// Rotates n_heads vectors, `stride` floats apart, in place.
void RotateHeads(Isa isa, const RopeTable& table, const float* cos, const float* sin, float* x,
                 int64_t n_heads, int64_t stride);
inline void RotateHead(Isa isa, const RopeTable& table, const float* cos, const float* sin,
                       float* x) {
  RotateHeads(isa, table, cos, sin, x, 1, 0);
}

// out[i] = silu(gate[i]) * up[i]
void SwiGlu(Isa isa, std::span<const float> gate, const float* up, float* out);
// out[i] = gelu(gate[i]) * up[i], gelu in its tanh form.
void GeGlu(Isa isa, std::span<const float> gate, const float* up, float* out);

void Add(Isa isa, std::span<const float> a, const float* b, float* out);  // out = a + b
void Scale(Isa isa, std::span<float> x, float factor);                    // x *= factor
void Softcap(Isa isa, std::span<float> x, float cap);                     // x = cap * tanh(x / cap)

// Index of the largest, the first of equals; NaN never wins. REQUIRES: x is not empty.
int64_t ArgMax(Isa isa, std::span<const float> x);
// log(sum(exp(x))); -inf for all -inf.
float LogSumExp(Isa isa, std::span<const float> x);
// out = exp(x - LogSumExp(x)). Returns the log-sum-exp.
float Softmax(Isa isa, std::span<const float> x, float* out);

}  // namespace kvasir
