// /v1/responses: OpenAI's newer form, as far as it is text. Responses are not stored.
#pragma once

#include <memory>

#include "server/chat.h"

namespace kvasir::server {

// The body of a request as that of a chat completion.
ApiResult<Json> ChatBodyOfResponses(const Json& body);
std::unique_ptr<Dialect> MakeResponsesDialect(ReplyFacts facts, const Json& body);

}  // namespace kvasir::server
