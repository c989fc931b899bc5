// /v1/chat/completions: requests and replies.
#pragma once

#include <memory>

#include "server/dialect.h"

namespace kvasir::server {

// A conversation as templates want it.
struct Conversation {
  Json messages = Json::array();
  Json tools;  // null: none
  Json extra;  // more variables of the template
  bool add_generation_prompt = true;
  bool continue_last = false;  // the answer goes on from the last message's text
};

// Checks and evens out: parts are joined, null is "", arguments of tool calls become objects,
// "developer" is "system". An assistant's text at the end is one that the answer goes on from.
ApiResult<Conversation> ReadConversation(const Json& body);
// The prompt's text.
ApiResult<std::string> RenderConversation(const LoadedModel& model, Conversation conversation);

// What the model's template makes of a conversation, by llama-server's names: found out by
// rendering.
Json TemplateCaps(const LoadedModel& model);
// Of these "supports_tools" and "supports_system_role".
bool ShowsTools(const LoadedModel& model);
bool ShowsSystem(const LoadedModel& model);

// Log-probabilities as the chat endpoint writes them.
Json ChatLogprobsJson(const LoadedModel& model, std::span<const TokenRecord> tokens);

// What an answer may hold beside text.
struct AnswerOptions {
  std::vector<std::string> tools = {};  // functions that may be called
  bool parallel_calls = true;           // several of them
  bool formed = false;        // a form was asked for: JSON is the answer, and calls have tags
  bool in_reasoning = false;  // the prompt's end opened what the model thinks
};

struct ChatCall {
  BatchRequest request;
  ReplyOptions reply;
  AnswerOptions answer = {};
};
ApiResult<ChatCall> ReadChat(const Json& body, const BatchEngine& engine);

std::unique_ptr<Dialect> MakeChatDialect(const LoadedModel& model, ReplyFacts facts,
                                         const ChatCall& call);

}  // namespace kvasir::server
