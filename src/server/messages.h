// /v1/messages: Anthropic's form of a conversation.
#pragma once

#include <memory>

#include "server/chat.h"

namespace kvasir::server {

// The body of a request as that of a chat completion: system, messages, tools, sampling.
ApiResult<Json> ChatBodyOfMessages(const Json& body, bool needs_max_tokens);
Json MessagesErrorJson(const ApiError& error);
// Seconds that cache_control marks ask a cache to be kept; -1: there is none.
double CacheSeconds(const Json& body);

// n_prompt: tokens, which a stream tells at its beginning.
std::unique_ptr<Dialect> MakeMessagesDialect(ReplyFacts facts, const AnswerOptions& answer,
                                             size_t n_prompt = 0);

}  // namespace kvasir::server
