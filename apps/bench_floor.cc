#include "bench_floor.h"

#include <algorithm>

#include "machine.h"

namespace kvasir::cli {

Floors::Floors(const ModelConfig& config, const ModelFacts& facts)
    : config_(&config),
      f32_weights_(facts.f32_weights),
      isa_(ParseIsa(facts.cpu).value_or(Isa::kAvx2)),
      pool_(facts.threads) {
  Measure();
}

void Floors::Measure() {
  float_ops_s_ = std::max(float_ops_s_, MeasureFloatPeak(pool_, isa_));
  weight_ops_s_ =
      std::max(weight_ops_s_, f32_weights_ ? float_ops_s_ : MeasureInt8Peak(pool_, isa_));
}

// Q, K, V, output; gate, up, down; a multiply-add is two.
double Floors::WeightOpsAToken() const {
  const ModelConfig& c = *config_;
  const double hidden = c.hidden, head_dim = c.head_dim;
  return 2 * c.n_layers *
         (hidden * head_dim * (2.0 * c.n_q_heads + 2.0 * c.n_kv_heads) + 3.0 * hidden * c.ffn);
}

double Floors::DecodeTokS(const DecodeStep& step) {
  if (step.read_bytes <= 0) return 0;
  constexpr int64_t kStep = 16 << 20;
  const int64_t size = static_cast<int64_t>(step.read_bytes / kStep + 1) * kStep;
  double& bytes_s = bytes_s_[size];
  bytes_s = std::max(bytes_s, MeasureReadBandwidth(pool_, size));
  const ModelConfig& c = *config_;
  const auto batch = static_cast<double>(step.batch);
  const double weight_ops = batch * (WeightOpsAToken() + 2.0 * c.hidden * c.n_vocab);
  const double attention_ops = 4.0 * step.entries * c.head_dim * c.group();
  return batch / std::max(step.read_bytes / bytes_s,
                          weight_ops / weight_ops_s_ + attention_ops / float_ops_s_);
}

double Floors::PrefillTokS(int64_t n_tokens) const {
  const ModelConfig& c = *config_;
  const double n = static_cast<double>(n_tokens), head_dim = c.head_dim;
  const double weight_ops = n * WeightOpsAToken();  // the logits of one token are left out
  double attention_ops = 0;
  for (const LayerConfig& layer : c.layers) {
    const double window = layer.window > 0 ? std::min<double>(layer.window, n) : n;
    const double pairs = window * n - window * window / 2;  // causal: the first rows see less
    attention_ops += 4 * pairs * head_dim * c.n_q_heads;    // q.k and p.v
  }
  const double seconds = weight_ops / weight_ops_s_ + attention_ops / float_ops_s_;
  return seconds > 0 ? n / seconds : 0;
}

}  // namespace kvasir::cli
