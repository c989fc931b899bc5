// Gemma 3: five sliding-window layers to each global one, a rotary base of their own, an RMS norm
// on every query and key head, a norm before and after each block, scaled embeddings.
#include <cmath>

#include "model/architecture.h"

namespace kvasir {
namespace {

Result<ModelConfig> Config(const ModelSource& source) {
  KV_ASSIGN_OR_RETURN(ModelConfig config, ReadCommonConfig(source, "gemma3"));
  KV_RETURN_IF_ERROR(ReadWindows(source, config, {.window = 1024, .full_every = 6}));
  KV_ASSIGN_OR_RETURN(const double local_theta,
                      ReadPositive(source, "gemma3.rope.freq_base_swa", 10000.0));
  KV_ASSIGN_OR_RETURN(const double logit_cap,
                      ReadNotNegative(source, "gemma3.final_logit_softcapping", 0.0));
  config.logit_softcap = static_cast<float>(logit_cap);
  config.embedding_scale = std::sqrt(static_cast<float>(config.hidden));
  config.activation = Activation::kGeGlu;
  config.ropes.push_back(
      PlainRope(config.ropes[0].n_rot(), local_theta, 1.0, config.ropes[0].neox));
  for (LayerConfig& layer : config.layers) layer.rope = layer.window > 0 ? 1 : 0;
  // The 27B model scales by hidden / heads, not by the head size; its files do not say so.
  if (config.n_layers == 62 && !source.metadata().Has("gemma3.attention.scale")) {
    config.attention_scale =
        1.0f / std::sqrt(static_cast<float>(config.hidden) / static_cast<float>(config.n_q_heads));
  }
  return config;
}

}  // namespace

extern constinit const Architecture kGemma3 = {"gemma3", &Config};

}  // namespace kvasir
