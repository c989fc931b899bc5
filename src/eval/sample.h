// Sample: one prompt with what is asked about it, and what would be right.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace kvasir::eval {

using Json = nlohmann::ordered_json;

struct Span {
  size_t begin = 0, end = 0;  // bytes
};

// One question about the context. Questions of a sample are independent: each is asked of the cache
// as it was after the context, and leaves no trace.
struct Turn {
  std::string question = {};
  std::string answer_prefix = {};  // first words of the answer, put after the assistant's header
  std::vector<std::string> answers = {};
  std::vector<Span> evidence = {};  // bytes of Sample::context that hold the answer
  int max_new = 0;                  // tokens of this answer; 0: Sample::max_new
  Json meta = Json::object();       // depth, kind, …
};

// What of the prompt the methods compress.
enum class Scope : uint8_t {
  kContext,   // the context alone: the question comes after (query-agnostic)
  kQuestion,  // context and question; then come the end of the turn and the answer's first words
  kAll,       // all of it, the answer's first words too
};

// What is put around the user's words.
enum class Wrap : uint8_t {
  kChat,  // the model's chat template
  kLine,  // nothing before, a new line after
  kNone,  // nothing: the model goes on with the text itself
};

struct Sample {
  std::string context;
  std::vector<Turn> turns;
  int max_new = 32;                  // tokens of an answer, the most that any turn has
  std::vector<std::string> choices;  // what the right answers are told from, where a score wants it
  Wrap wrap = Wrap::kChat;
  // Turns are one conversation: the right answers of earlier ones are its history, and the methods
  // compress the context with the first question.
  bool history = false;
  bool newline_stops = false;  // a line is an answer
  std::vector<int32_t> ids;    // a text as tokens, for fidelity; context is then empty
  int64_t n_prefix = 0;        // of ids, the prompt; the others are teacher-forced
  Json meta = Json::object();  // what was drawn: goes into the record
};

}  // namespace kvasir::eval
