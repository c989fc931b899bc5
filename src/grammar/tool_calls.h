// ToolCallParser: finds calls of tools in a model's answer while it comes, in the forms that chat
// models are trained on:
//
//   text <tool_call>{"name": "f", "arguments": {…}}</tool_call> …      Hermes, Qwen
//   <|python_tag|>{"name": "f", "parameters": {…}}; {…}                Llama 3
//   {"name": "f", "parameters": {…}}      [{…}, {…}]                   the answer is plain JSON:
//   only
//                                                                      names of known tools are
//                                                                      calls
//
// What comes out does not depend on how the text was cut into pieces. Only what may still become a
// call is held back, and no piece ends inside a character of UTF-8. What turns out to be no call is
// content, as it was written; what began as one and was cut off before its name is nothing.
#pragma once

#include <climits>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/json_rules.h"

namespace kvasir::grammar {

struct ToolEvent {
  enum Kind : uint8_t {
    kContent,    // text
    kCall,       // index, id, name: a call begins
    kArguments,  // index, text: a piece of the call's arguments (JSON, or what there is of it)
  } kind;
  std::string text = {};
  int index = 0;
  std::string id = {}, name = {};
};

class ToolCallParser {
 public:
  struct Options {
    std::vector<std::string> tools = {};        // names
    std::function<std::string()> make_id = {};  // empty: "call_" and random letters
    bool tagged_only = false;                   // JSON without a tag is text: it was asked for
    int max_calls = INT_MAX;                    // with the last of them the answer is over
  };
  explicit ToolCallParser(Options options);

  std::vector<ToolEvent> Push(std::string_view text);
  // The answer is over: what was held back.
  std::vector<ToolEvent> Finish();
  int n_calls() const { return n_calls_; }
  // Nothing that comes will be told.
  bool over() const { return state_ == State::kOver; }
  // After Finish: the last call's arguments are not all there.
  bool cut_off() const { return cut_off_; }

 private:
  enum class State : uint8_t {
    kStart,  // nothing but white space so far
    kContent,
    kMarker,   // what may become a marker
    kTagged,   // after a marker, before its object
    kObject,   // in a call's object; see Part
    kClosing,  // after a tagged object
    kBetween,  // after a call, before what may be another one
    kOver,     // after the last call that may come: nothing is told
  };
  enum class Part : uint8_t {
    kKeyOrEnd,
    kKey,
    kInKey,
    kColon,
    kValue,
    kInString,
    kInNested,
    kInScalar,
    kCommaOrEnd
  };
  enum class Form : uint8_t { kHermes, kPython, kPlain, kArray };
  enum class Role : uint8_t { kSkipped, kName, kArguments };

  void Feed(char c);
  void FeedMarker(char c);
  void FeedObject(char c);
  void FeedKeyStart(char c);
  void FeedColon(char c);
  void FeedValueStart(char c);
  void FeedNested(char c);
  void FeedScalar(char c);
  void FeedCommaOrEnd(char c);
  void LeaveObject(char c);
  void FeedClosing(char c);
  void FeedBetween(char c);
  void BeginObject();
  void EndString();
  void EndValue();
  void EndObject();
  void EndCall();
  void TakeName(const std::string& name);
  void Fail(char c);  // no call after all
  void Argument(std::string_view text);
  void Emit(ToolEvent::Kind kind, std::string_view text);
  void CutCharacters();

  Options options_;
  State state_ = State::kStart;
  Form form_ = Form::kHermes;
  std::string held_;  // written, and not yet known what it is
  int n_calls_ = 0;
  bool cut_off_ = false;
  std::vector<ToolEvent> events_;
  std::string tail_;  // the start of a character, cut off the last event
  ToolEvent tail_of_ = {};

  // Of the object at hand.
  Part part_ = Part::kKeyOrEnd;
  Role role_ = Role::kSkipped;
  bool named_ = false, has_arguments_ = false;
  bool in_string_ = false, escaped_ = false;  // inside a nested value
  int depth_ = 0;
  std::string key_, value_;  // a string or scalar at hand, as written
  std::string arguments_;    // until the name is known
};

enum class ToolCallStyle : uint8_t { kHermes, kLlama };

struct ToolGrammarOptions {
  ToolCallStyle style = ToolCallStyle::kHermes;
  std::string only = {};  // the one function that is to be called; empty: any of them
  bool parallel = true;   // several calls
  // Of tools that do not say "strict": as of AddJsonSchema.
  std::vector<std::string>* left_out = nullptr;
};

// An answer that is nothing but calls, their arguments as the tools' schemas want them. tools: as
// in OpenAI's API, [{"type": "function", "function": {"name", "parameters"?}}…].
Result<std::shared_ptr<const Grammar>> ToolCallGrammar(const Json& tools,
                                                       const ToolGrammarOptions& options);
// The same as an expression, for grammars of which calls are a part.
Result<ExprId> AddToolCalls(const Json& tools, const ToolGrammarOptions& options, JsonRules& rules);

}  // namespace kvasir::grammar
