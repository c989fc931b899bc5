// What completions and embeddings are made of.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/batch_engine.h"
#include "server/api_error.h"

namespace kvasir::server {

// `prompt` or `input`: a text, texts, tokens or lists of tokens; `most` of them.
struct Prompt {
  std::vector<int32_t> ids = {};
  std::optional<std::string> text = {};  // where it came as one
};
ApiResult<std::vector<Prompt>> ReadPrompts(const Json* prompts, std::string_view name,
                                           const BatchEngine& engine, size_t most);
// Refuses a text that is longer than the context could ever hold, before it is tokenized.
ApiResult<void> CheckLength(std::string_view text, const BatchEngine& engine);

}  // namespace kvasir::server
