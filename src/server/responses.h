// /v1/responses: OpenAI's newer form, with texts and calls of functions. Responses are not stored.
#pragma once

#include <memory>

#include "server/chat.h"

namespace kvasir::server {

// The body of a request as that of a chat completion (responses_request.cc).
ApiResult<Json> ChatBodyOfResponses(const Json& body);

// model: counts the tokens of thoughts and names those of log-probabilities; null: neither is told.
std::unique_ptr<Dialect> MakeResponsesDialect(ReplyFacts facts, const Json& body,
                                              const AnswerOptions& answer,
                                              const LoadedModel* model = nullptr,
                                              bool logprobs = false);

}  // namespace kvasir::server
