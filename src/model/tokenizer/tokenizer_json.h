// Tokenizers of Hugging Face's tokenizer.json.
#pragma once

#include <string_view>

#include "base/result.h"
#include "model/tokenizer/tokenizer.h"

namespace kvasir {

// `json` is the text of tokenizer.json; `config` that of tokenizer_config.json, or empty: it names
// the tokens that begin and end a text.
Result<Tokenizer> TokenizerFromJson(std::string_view json, std::string_view config = {});

// Anything in the files that would change ids and is not supported is an error that names it.
Result<TokenizerData> TokenizerDataFromJson(std::string_view json, std::string_view config = {});

}  // namespace kvasir
