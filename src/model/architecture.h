// An architecture: how a family of models writes its numbers into its metadata. One file each, and
// one line in the table of architecture.cc.
#pragma once

#include <string_view>

#include "model/config.h"
#include "model/source.h"

namespace kvasir {

struct Architecture {
  std::string_view name;  // GGUF's general.architecture
  Result<ModelConfig> (*config)(const ModelSource& source);
};

// The config of a model; an error names an architecture that we do not know, and those we do.
Result<ModelConfig> ReadConfig(const ModelSource& source);

// What nearly all architectures share, for their files: sizes, heads, one rope for all layers, no
// windows. Keys are "<architecture>.block_count" and so on; every number is checked.
Result<ModelConfig> ReadCommonConfig(const ModelSource& source, std::string_view architecture);

// "<architecture>.attention.sliding_window"; 0 where a model has none.
Result<int32_t> ReadWindow(const ModelSource& source, std::string_view architecture);

// The rotary table of metadata "<architecture>.rope.*" and of rope_freqs / rope_factors tensors:
// no scaling, linear, llama3 (as rope_freqs), YaRN, longrope.
Result<RopeTable> ReadRope(const ModelSource& source, const ModelConfig& config);
// A plain table: theta^(-2i / n_rot), positions divided by `linear_factor`.
RopeTable PlainRope(int n_rot, double theta, double linear_factor, bool neox);

}  // namespace kvasir
