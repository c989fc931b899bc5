#include "engine/token_gates.h"

#include "kernels/elementwise.h"

namespace kvasir {

void PackedGates::Pack(Isa isa, ThreadPool& pool) {
  for (const TokenGate& gate : gates_) {
    const auto pack = [&](const std::vector<float>& weights, int64_t n_out) {
      const auto n_in = static_cast<int64_t>(weights.size()) / n_out;
      auto packed = PackWeights(
          isa, {TensorType::kF32, n_out, n_in, reinterpret_cast<const std::byte*>(weights.data())},
          pool, arena_);
      KV_CHECK(packed.has_value());  // f32 of any shape packs
      return *packed;
    };
    packed_.push_back({pack(gate.weight1, gate.width),
                       pack(gate.weight2, static_cast<int64_t>(gate.bias2.size()))});
  }
}

void PackedGates::Run(int layer, MatView<const float> x, Activation activation, Isa isa,
                      ThreadPool& pool, std::vector<float>& out) {
  if (packed_.empty()) Pack(isa, pool);
  const TokenGate& gate = gates_[layer];
  const int64_t n_rows = x.shape[0], n_heads = static_cast<int64_t>(gate.bias2.size());
  hidden_.resize(n_rows * gate.width);
  ones_.assign(hidden_.size(), 1.0f);
  activations_.Set(x);
  const MatView<float> hidden = Mat(hidden_.data(), n_rows, gate.width);
  const MatMulJob first{&packed_[layer].first, hidden, gate.bias1.data()};
  MatMul(activations_, {&first, 1}, pool);
  const auto activate = activation == Activation::kSwiGlu ? SwiGlu : GeGlu;
  activate(isa, hidden_, ones_.data(), hidden_.data());
  out.resize(out.size() + n_rows * n_heads);
  activations_.Set(Mat<const float>(hidden_.data(), n_rows, gate.width));
  const MatMulJob second{&packed_[layer].second,
                         Mat(out.data() + out.size() - n_rows * n_heads, n_rows, n_heads),
                         gate.bias2.data()};
  MatMul(activations_, {&second, 1}, pool);
}

}  // namespace kvasir
