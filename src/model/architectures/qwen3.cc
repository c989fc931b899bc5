// Qwen3: an RMS norm on every query and key head before rotation; the head size stands alone.
#include "model/architecture.h"

namespace kvasir {
namespace {

Result<ModelConfig> Config(const ModelSource& source) {
  KV_ASSIGN_OR_RETURN(ModelConfig config, ReadCommonConfig(source, "qwen3"));
  KV_RETURN_IF_ERROR(ReadWindows(source, config));
  return config;
}

}  // namespace

extern constinit const Architecture kQwen3 = {"qwen3", &Config};

}  // namespace kvasir
