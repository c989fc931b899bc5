// Gemma 2: soft caps on attention and logits, a sliding window in every other layer (the even
// ones), a norm before and after each block, scaled embeddings.
#include <cmath>

#include "model/architecture.h"

namespace kvasir {
namespace {

Result<ModelConfig> Config(const ModelSource& source) {
  KV_ASSIGN_OR_RETURN(ModelConfig config, ReadCommonConfig(source, "gemma2"));
  KV_ASSIGN_OR_RETURN(const double attention_cap,
                      ReadNotNegative(source, "gemma2.attn_logit_softcapping", 50.0));
  KV_ASSIGN_OR_RETURN(const double logit_cap,
                      ReadNotNegative(source, "gemma2.final_logit_softcapping", 30.0));
  KV_RETURN_IF_ERROR(ReadWindows(source, config, {.window = 4096, .full_every = 2}));
  config.attention_softcap = static_cast<float>(attention_cap);
  config.logit_softcap = static_cast<float>(logit_cap);
  config.embedding_scale = std::sqrt(static_cast<float>(config.hidden));
  config.activation = Activation::kGeGlu;
  // The 27B model scales by hidden / heads, not by the head size; its files do not say so.
  if (config.n_layers == 46 && !source.metadata().Has("gemma2.attention.scale")) {
    config.attention_scale =
        1.0f / std::sqrt(static_cast<float>(config.hidden) / static_cast<float>(config.n_q_heads));
  }
  return config;
}

}  // namespace

extern constinit const Architecture kGemma2 = {"gemma2", &Config};

}  // namespace kvasir
