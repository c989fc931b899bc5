// Tokenizers of model files.
#pragma once

#include "base/result.h"
#include "model/metadata.h"
#include "model/tokenizer/tokenizer.h"

namespace kvasir {

// From GGUF's tokenizer.ggml.* keys, or from the texts of a Hugging Face folder (see source.h).
Result<Tokenizer> TokenizerFromMetadata(const Metadata& metadata);

// The data of GGUF's keys.
Result<TokenizerData> TokenizerDataFromGguf(const Metadata& metadata);

}  // namespace kvasir
