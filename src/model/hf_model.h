// Hugging Face folders: config.json, tokenizer files and *.safetensors, seen with GGUF's keys and
// tensor names. Weights keep their bytes; only what GGUF stores otherwise is converted in memory.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "model/source.h"

namespace kvasir {

Result<std::unique_ptr<ModelSource>> OpenHfModel(const std::string& folder);

}  // namespace kvasir
