// /v1/completions: text or tokens that the model goes on from.
#pragma once

#include <memory>
#include <vector>

#include "server/dialect.h"

namespace kvasir::server {

struct CompletionCall {
  std::vector<BatchRequest> requests;  // one a prompt
  std::vector<std::string> echoes;     // likewise: what goes in front of the text; empty: nothing
  ReplyOptions reply;
};
ApiResult<CompletionCall> ReadCompletion(const Json& body, const BatchEngine& engine);

// `prompt` or `input`: a text, texts, tokens or lists of tokens.
ApiResult<std::vector<std::vector<int32_t>>> ReadPrompts(const Json* prompts, std::string_view name,
                                                         const LoadedModel& model);

std::unique_ptr<Dialect> MakeCompletionDialect(const LoadedModel& model, ReplyFacts facts,
                                               const CompletionCall& call);

}  // namespace kvasir::server
