#include "kernels/elementwise.h"

#include <cmath>
#include <limits>

#include "base/result.h"
#include "kernels/cpu/elementwise.h"

namespace kvasir {
namespace {

const cpu::ElementwiseTable& TableOf(Isa isa) {
  return isa == Isa::kAvx2 ? cpu::N_AVX2::kElementwise : cpu::N_AVX3::kElementwise;
}

int64_t Size(std::span<const float> x) { return static_cast<int64_t>(x.size()); }

}  // namespace

void RmsNorm(Isa isa, MatView<const float> x, const float* weight, float eps, MatView<float> out) {
  const cpu::ElementwiseTable& table = TableOf(isa);
  const int64_t n = x.shape[1];
  for (int64_t row = 0; row < x.shape[0]; ++row) {
    const float mean = table.sum_squares(x.row(row), n) / static_cast<float>(n);
    table.scale_weight(x.row(row), 1.0f / std::sqrt(mean + eps), weight, n, out.row(row));
  }
}

void RopeAngles(const RopeTable& table, int32_t position, float* cos, float* sin) {
  const double factor = table.attention_factor;
  for (size_t i = 0; i < table.inv_freq.size(); ++i) {
    const double angle = position * table.inv_freq[i];
    cos[i] = static_cast<float>(std::cos(angle) * factor);
    sin[i] = static_cast<float>(std::sin(angle) * factor);
  }
}

void RotateHeads(Isa isa, const RopeTable& table, const float* cos, const float* sin, float* x,
                 int64_t n_heads, int64_t stride) {
  const auto rotate = table.neox ? TableOf(isa).rotate_halves : TableOf(isa).rotate_pairs;
  const int64_t n_pairs = table.n_rot() / 2;
  for (int64_t head = 0; head < n_heads; ++head) rotate(cos, sin, n_pairs, x + head * stride);
}

void SwiGlu(Isa isa, std::span<const float> gate, const float* up, float* out) {
  TableOf(isa).swiglu(gate.data(), up, Size(gate), out);
}

void GeGlu(Isa isa, std::span<const float> gate, const float* up, float* out) {
  TableOf(isa).geglu(gate.data(), up, Size(gate), out);
}

void Add(Isa isa, std::span<const float> a, const float* b, float* out) {
  TableOf(isa).add(a.data(), b, Size(a), out);
}

void Scale(Isa isa, std::span<float> x, float factor) {
  TableOf(isa).scale(x.data(), factor, Size(x));
}

void Softcap(Isa isa, std::span<float> x, float cap) {
  TableOf(isa).softcap(x.data(), cap, Size(x));
}

int64_t ArgMax(Isa isa, std::span<const float> x) {
  KV_CHECK(!x.empty());
  const float max = TableOf(isa).max(x.data(), Size(x));
  for (size_t i = 0; i < x.size(); ++i) {
    if (x[i] == max) return static_cast<int64_t>(i);
  }
  return 0;  // only NaN
}

float LogSumExp(Isa isa, std::span<const float> x) {
  const cpu::ElementwiseTable& table = TableOf(isa);
  const float max = table.max(x.data(), Size(x));
  if (std::isinf(max)) return max;
  return static_cast<float>(max + std::log(table.sum_exp(x.data(), max, Size(x))));
}

float Softmax(Isa isa, std::span<const float> x, float* out) {
  const cpu::ElementwiseTable& table = TableOf(isa);
  const int64_t n = Size(x);
  const float max = table.max(x.data(), n);
  const double sum = table.sum_exp(x.data(), max, n);
  table.exp_minus(x.data(), max, n, out);
  table.scale(out, static_cast<float>(1.0 / sum), n);
  return static_cast<float>(max + std::log(sum));
}

}  // namespace kvasir
