// RoPE of a Hugging Face config.json ("rope_theta" with "rope_scaling", or the newer
// "rope_parameters") as GGUF keys "<architecture>.rope.*" and factor tensors.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "model/hf_config.h"
#include "model/json_reader.h"
#include "model/metadata.h"

namespace kvasir {

Result<HfRopeFactors> TranslateRope(const JsonReader& config, const HfFamily& family,
                                    int64_t head_dim, int64_t context, Metadata& metadata);

}  // namespace kvasir
