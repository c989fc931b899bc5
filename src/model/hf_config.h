// config.json of a Hugging Face folder, put into GGUF's words.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/json_file.h"
#include "model/metadata.h"

namespace kvasir {

// A model family as config.json names it, what distinguishes it, and the values that transformers
// gives to keys that a file leaves out (0: the file must have it, or there is none).
struct HfFamily {
  std::string_view model_type;      // of config.json
  std::string_view architecture;    // GGUF's general.architecture
  bool is_gemma = false;            // norms stored without the 1, four norms a layer, GELU, tied
  bool has_partial_rotary = false;  // others do not look at partial_rotary_factor
  int sliding_pattern = 0;          // every n-th layer sees all, the others a window; 0: all alike
  int64_t n_heads = 0, n_kv_heads = 0, head_dim = 0, context = 0, original_context = 0, window = 0;
  double rms_eps = 1e-6, rope_theta = 1e4, attention_softcap = 0, logit_softcap = 0;
};

// Factors that divide the base frequencies of RoPE; they become tensors, as in GGUF. Empty: none.
struct HfRopeFactors {
  std::vector<float> llama3, long_context, short_context;
};

struct HfConfig {
  const HfFamily* family = nullptr;
  int64_t n_layers = 0;
  bool tied_embeddings = false;
  HfRopeFactors rope_factors;
};

// Sets "<architecture>.*" keys in `metadata` from a parsed config.json; `name` goes in front of
// error messages.
Result<HfConfig> TranslateConfig(const Json& root, const std::string& name, Metadata& metadata);

}  // namespace kvasir
