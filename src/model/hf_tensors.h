// Tensors of a Hugging Face model under GGUF's names and in GGUF's conventions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/hf_config.h"
#include "model/safetensors.h"
#include "model/source_builder.h"

namespace kvasir {

// "model.layers.3.self_attn.q_proj.weight" -> "blk.3.attn_q.weight". Nothing for a tensor that the
// text model does not use (vision parts, stored rotary tables, the output of tied embeddings); an
// error for one that we do not know.
Result<std::optional<std::string>> GgufTensorName(std::string_view name, const HfConfig& config);

// Adds one tensor. Matrices stay in the file; vectors become F32, and gemma's norms get their 1.
Status AddHfTensor(SourceBuilder& builder, const SafetensorsEntry& entry, const HfConfig& config);

// rope_freqs.weight, rope_factors_long.weight, rope_factors_short.weight, where there are any.
Status AddRopeFactors(SourceBuilder& builder, const HfRopeFactors& factors);

}  // namespace kvasir
