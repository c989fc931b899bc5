// Llama 2 and 3, Mistral, SmolLM2 and their kin. Mistral's sliding window, where a file states one,
// holds in every layer.
#include "model/architecture.h"

namespace kvasir {
namespace {

Result<ModelConfig> Config(const ModelSource& source) {
  KV_ASSIGN_OR_RETURN(ModelConfig config, ReadCommonConfig(source, "llama"));
  KV_RETURN_IF_ERROR(ReadWindows(source, config));
  return config;
}

}  // namespace

extern constinit const Architecture kLlama = {"llama", &Config};

}  // namespace kvasir
