// Phi-3 and Phi-3.5: fused QKV, fused gate and up, optional sliding window, longrope.
#include "model/architecture.h"

namespace kvasir {
namespace {

Result<ModelConfig> Config(const ModelSource& source) {
  KV_ASSIGN_OR_RETURN(ModelConfig config, ReadCommonConfig(source, "phi3"));
  KV_RETURN_IF_ERROR(ReadWindows(source, config));
  return config;
}

}  // namespace

extern constinit const Architecture kPhi3 = {"phi3", &Config};

}  // namespace kvasir
