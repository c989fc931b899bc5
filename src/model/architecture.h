// An architecture: how a family of models writes its numbers into its metadata. One file each, and
// one line in the table of architecture.cc.
#pragma once

#include <string>
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

// How an architecture's layers see where its file says nothing else.
struct WindowPattern {
  int32_t window = 0;  // of "<architecture>.attention.sliding_window"; 0: layers see all
  int full_every =
      0;  // every n-th layer sees all ("..._pattern": n, or a boolean a layer); 0: none
};
// Fills the windows of config.layers.
Status ReadWindows(const ModelSource& source, ModelConfig& config, WindowPattern pattern = {});

// A number that is finite as a float, and above 0 or at least 0; the error names the key.
Result<double> ReadPositive(const ModelSource& source, const std::string& key, double fallback);
Result<double> ReadNotNegative(const ModelSource& source, const std::string& key, double fallback);

// The rotary table of metadata "<architecture>.rope.*" and of rope_freqs / rope_factors tensors:
// no scaling, linear, llama3 (as rope_freqs), YaRN, longrope, of which `texts` picks the factors.
enum class TextLength : uint8_t { kShort, kLong };
Result<RopeTable> ReadRope(const ModelSource& source, const ModelConfig& config,
                           TextLength texts = TextLength::kLong);
// The most tokens of a text that longrope rotates by its short factors; 0: they are not two kinds.
Result<int64_t> ReadShortContext(const ModelSource& source, const ModelConfig& config);
// A plain table: theta^(-2i / n_rot), positions divided by `linear_factor`.
RopeTable PlainRope(int n_rot, double theta, double linear_factor, bool neox);

}  // namespace kvasir
