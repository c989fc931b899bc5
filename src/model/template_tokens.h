// The special tokens that chat templates see as variables.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "model/json_reader.h"
#include "model/metadata.h"

namespace kvasir {

class Tokenizer;

struct TemplateTokens {
  std::optional<std::string> bos, eos, pad, unk;  // absent: undefined in templates
};

// Those of tokenizer_config.json, for ReadTemplateTokens: a null there means that there is none,
// whatever ids the model has.
Status SetTemplateTokens(const JsonReader& tokenizer_config, Metadata& metadata);
TemplateTokens ReadTemplateTokens(const Metadata& metadata, const Tokenizer& tokenizer);

}  // namespace kvasir
