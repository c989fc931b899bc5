// ModelConfig: the numbers of a decoder, whatever its architecture; the forward pass knows nothing
// else about a model but this and its weights.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/elementwise.h"

namespace kvasir {

enum class Activation : uint8_t { kSwiGlu, kGeGlu };

struct LayerConfig {
  int32_t window = 0;  // a query sees the `window` newest positions, itself included; 0: all
  int rope = 0;        // index into ModelConfig::ropes
};

struct ModelConfig {
  std::string architecture, name;
  int n_layers = 0, hidden = 0, n_q_heads = 0, n_kv_heads = 0, ffn = 0, n_vocab = 0;
  // A head's size in the model's files, and everywhere else: rounded up to what the kernels take,
  // with zeros behind. A dimension that is 0 in queries, keys and values changes no attention.
  int file_head_dim = 0, head_dim = 0;
  int64_t n_ctx_train = 0;
  float rms_eps = 1e-5f;
  float embedding_scale = 1;    // gemma: sqrt(hidden)
  float attention_scale = 0;    // 1 / sqrt(file_head_dim) unless the model says otherwise
  float attention_softcap = 0;  // 0: none
  float logit_softcap = 0;      // 0: none
  Activation activation = Activation::kSwiGlu;
  std::vector<RopeTable> ropes;
  // Those of texts of at most short_ctx tokens (Phi-3's longrope); empty: the same.
  std::vector<RopeTable> short_ropes;
  int64_t short_ctx = 0;
  std::vector<LayerConfig> layers;

  int group() const { return n_q_heads / n_kv_heads; }
};

}  // namespace kvasir
