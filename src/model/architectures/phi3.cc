// Phi-3 and Phi-3.5: fused QKV, fused gate and up, optional sliding window, longrope.
#include "model/architecture.h"

namespace kvasir {
namespace {

Result<ModelConfig> Config(const ModelSource& source) {
  KV_ASSIGN_OR_RETURN(ModelConfig config, ReadCommonConfig(source, "phi3"));
  KV_ASSIGN_OR_RETURN(const int32_t window, ReadWindow(source, "phi3"));
  for (LayerConfig& layer : config.layers) layer.window = window;
  return config;
}

}  // namespace

extern constinit const Architecture kPhi3 = {"phi3", &Config};

}  // namespace kvasir
