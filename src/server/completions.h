// /v1/completions: text or tokens that the model goes on from.
#pragma once

#include <memory>
#include <vector>

#include "server/dialect.h"
#include "server/prompts.h"

namespace kvasir::server {

// What of a prompt goes in front of its answers.
struct Echo {
  std::string text = {};  // empty: nothing
  size_t n_added = 0;     // tokens of the prompt that stand in front of the text, and not in it
};

struct CompletionCall {
  std::vector<BatchRequest> requests;  // one a prompt
  std::vector<Echo> echoes;            // likewise
  int n_returned = 1;                  // answers to each prompt, the best of those that are made
  bool logprobs = false;               // are told
  ReplyOptions reply;
};
ApiResult<CompletionCall> ReadCompletion(const Json& body, const BatchEngine& engine);

std::unique_ptr<Dialect> MakeCompletionDialect(const LoadedModel& model, ReplyFacts facts,
                                               const CompletionCall& call);

}  // namespace kvasir::server
