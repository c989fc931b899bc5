// Qwen2 and Qwen2.5: llama with biases on Q, K and V.
#include "model/architecture.h"

namespace kvasir {
namespace {

Result<ModelConfig> Config(const ModelSource& source) {
  KV_ASSIGN_OR_RETURN(ModelConfig config, ReadCommonConfig(source, "qwen2"));
  KV_RETURN_IF_ERROR(ReadWindows(source, config));
  return config;
}

}  // namespace

extern constinit const Architecture kQwen2 = {"qwen2", &Config};

}  // namespace kvasir
