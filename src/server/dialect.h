// A dialect makes an endpoint's replies of what the engine tells: one JSON document, or a stream of
// server-sent events. It knows nothing of connections.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "server/generation_request.h"

namespace kvasir::server {

// One answer as it grows.
struct Choice {
  int index = 0;
  std::string text = {};
  std::vector<TokenRecord> tokens = {};  // where log-probabilities are wanted
  std::vector<TokenRecord> prompt = {};
  std::vector<int32_t> ids = {};  // where they are wanted; of a stream: those that no piece told
  int64_t n_generated = 0;
  int64_t n_read = 0;  // of the prompt, beside what was cached; told while it is read
  bool done = false;
  BatchOutcome outcome = {};  // once done
};

// What all replies of one request carry.
struct ReplyFacts {
  std::string id;
  int64_t created = 0;
  std::string model, fingerprint;
  ReplyOptions options;
};

// Collects server-sent events.
class EventStream {
 public:
  void Data(const Json& json) { text_ += "data: " + Dump(json) + "\n\n"; }
  void Event(std::string_view name, const Json& json) {
    text_ += fmt::format("event: {}\ndata: {}\n\n", name, Dump(json));
  }
  void Done() { text_ += "data: [DONE]\n\n"; }
  std::string Take() { return std::exchange(text_, {}); }

 private:
  std::string text_;
};

class Dialect {
 public:
  virtual ~Dialect() = default;
  virtual Json Whole(std::span<const Choice> choices) = 0;
  // A stream: Start, progress and pieces of any choice, Last of each choice, Finish.
  virtual void Start(EventStream& out, size_t n_choices) = 0;
  virtual void Progress(EventStream&, const BatchEvent&) {}
  virtual void Piece(EventStream& out, const Choice& choice, const BatchEvent& event) = 0;
  virtual void Last(EventStream& out, const Choice& choice) = 0;
  virtual void Finish(EventStream& out, std::span<const Choice> choices) = 0;
  virtual void Error(EventStream& out, const ApiError& error) { out.Data(ErrorJson(error)); }
  virtual Json ErrorBody(const ApiError& error) { return ErrorJson(error); }
};

// {"prompt_tokens", …}; the answers to one prompt count it once.
Json UsageJson(std::span<const Choice> choices, int64_t n_reasoning = 0);
// llama-server's figures of one answer.
Json TimingsJson(const BatchOutcome& outcome);
// And how far a prompt is read, likewise.
Json ProgressJson(const BatchEvent& event);
// What a piece's chunk carries on request: "timings", and its choice's "tokens".
void AddExtras(Json& chunk, const ReplyOptions& options, const BatchEvent& event);
// What the cache did.
Json KvJson(const BatchOutcome& outcome);
// The byte values of a token, and its text as far as it is UTF-8.
Json BytesJson(const std::string& bytes);

// Of a part of an answer that came as text.
int64_t TokenCount(const LoadedModel& model, const std::string& text);

std::string RandomId(std::string_view prefix);
int64_t UnixTime();

}  // namespace kvasir::server
