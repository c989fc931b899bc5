// Structured answers: what a client wants of their form (response_format, grammars, tools), as a
// constraint on tokens, and calls of tools found in what the model writes.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/batch_request.h"
#include "grammar/tool_calls.h"
#include "server/chat.h"

namespace kvasir::server {

// How an answer is to look.
struct AnswerForm {
  std::shared_ptr<const TokenConstraint> constraint;  // null: as the model likes
  std::vector<std::string> tools;                     // names of functions that may be called
};
// Reads response_format, json_schema, grammar, tools, tool_choice and parallel_tool_calls. Where no
// tool is to be called, `conversation` loses them.
ApiResult<AnswerForm> ReadAnswerForm(const Json& body, const LoadedModel& model,
                                     Conversation& conversation);

// The text of an answer with the calls taken out of it.
class AnswerParser {
 public:
  explicit AnswerParser(const std::vector<std::string>& tools);
  std::vector<grammar::ToolEvent> Push(std::string_view text);
  std::vector<grammar::ToolEvent> Finish();
  int n_calls() const { return parser_ ? parser_->n_calls() : 0; }

 private:
  std::optional<grammar::ToolCallParser> parser_;
};

struct ParsedCall {
  std::string id, name, arguments;
};
struct ParsedAnswer {
  std::string content;
  std::vector<ParsedCall> calls;
};
ParsedAnswer ParseAnswer(const std::string& text, const std::vector<std::string>& tools);

}  // namespace kvasir::server
