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
#include "server/reasoning.h"

namespace kvasir::server {

// How an answer is to look.
struct AnswerForm {
  std::shared_ptr<const TokenConstraint> constraint;  // null: as the model likes
  AnswerOptions answer;
  std::vector<std::string> warnings;  // what of the schemas is not held to
};
// Reads response_format, json_schema, grammar, tools, tool_choice and parallel_tool_calls.
// `conversation` loses the tools that are not to be called. A call that is required goes before a
// form; one that is not comes instead of it.
ApiResult<AnswerForm> ReadAnswerForm(const Json& body, const LoadedModel& model,
                                     Conversation& conversation);
// Of these the first three: what a plain completion may ask for. null: any text.
ApiResult<std::shared_ptr<const TokenConstraint>> ReadTextForm(const Json& body,
                                                               const LoadedModel& model);

struct AnswerEvent {
  enum Kind : uint8_t {
    kReasoning,
    kContent,
    kCall,       // index, id, name: a call begins
    kArguments,  // index, text: a piece of its arguments
  } kind = kContent;
  std::string text = {};
  int index = 0;
  std::string id = {}, name = {};
};

// The parts of an answer while it comes: what the model thinks, text, and calls, without the white
// space around calls.
class AnswerParser {
 public:
  explicit AnswerParser(const AnswerOptions& options);
  std::vector<AnswerEvent> Push(std::string_view text);
  std::vector<AnswerEvent> Finish();
  int n_calls() const { return calls_ ? calls_->n_calls() : 0; }
  bool over() const { return calls_ && calls_->over(); }  // nothing that comes will be told
  // After Finish: whether the answer ended with calls for the client to make.
  bool calls_whole() const { return n_calls() > 0 && !calls_->cut_off(); }

 private:
  void Add(const ReasoningSplitter::Piece& piece);
  void Add(std::vector<grammar::ToolEvent> events);

  ReasoningSplitter reasoning_;
  std::optional<grammar::ToolCallParser> calls_;
  std::string blank_;  // white space that is told if a text follows it
  std::vector<AnswerEvent> events_;
};

// Lets the model write as it likes, and ends the answer where its parser is over: after a call,
// where there is to be one. REQUIRES: the model outlives it.
std::unique_ptr<TokenConstraint> EndWithCalls(const LoadedModel& model,
                                              const AnswerOptions& options);

struct ParsedCall {
  std::string id, name, arguments;
};
struct ParsedAnswer {
  std::string reasoning, content;
  std::vector<ParsedCall> calls;
  bool calls_whole = false;  // there are calls, and the last one is not cut off
};
ParsedAnswer ParseAnswer(const std::string& text, const AnswerOptions& options);

}  // namespace kvasir::server
