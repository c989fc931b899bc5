#include "server/responses.h"

#include "server/structured.h"

namespace kvasir::server {
namespace {

Json TextPart(const std::string& text, Json logprobs = Json::array()) {
  return {{"type", "output_text"},
          {"text", text},
          {"annotations", Json::array()},
          {"logprobs", std::move(logprobs)}};
}

// The tokens of an answer, and where in its text each one ends. What follows thoughts is the end of
// the text, so a place tells which tokens belong to it.
class PlacedTokens {
 public:
  void Add(std::span<const TokenRecord> tokens) {
    for (const TokenRecord& token : tokens) {
      end_ += static_cast<int64_t>(utf8_.Push(token.bytes).size());
      tokens_.emplace_back(end_, token);
    }
  }
  // Those that end behind the place, and all where it is the text's start; they are forgotten.
  std::vector<TokenRecord> TakeFrom(int64_t place) {
    std::vector<TokenRecord> taken;
    for (auto& [end, token] : std::exchange(tokens_, {})) {
      if (place == 0 || end > place) taken.push_back(std::move(token));
    }
    return taken;
  }

 private:
  Utf8Stream utf8_;
  int64_t end_ = 0;
  std::vector<std::pair<int64_t, TokenRecord>> tokens_;
};

Json MessageItem(std::string_view status, Json content) {
  return {{"type", "message"},
          {"id", RandomId("msg_")},
          {"status", status},
          {"role", "assistant"},
          {"content", std::move(content)}};
}

Json ReasoningPart(const std::string& text) { return {{"type", "reasoning_text"}, {"text", text}}; }

Json ReasoningItem(Json content) {
  return {{"type", "reasoning"},
          {"id", RandomId("rs_")},
          {"summary", Json::array()},
          {"content", std::move(content)}};
}

Json CallItem(std::string_view status, const ParsedCall& call) {
  return {{"type", "function_call"}, {"id", RandomId("fc_")}, {"call_id", call.id},
          {"name", call.name},       {"status", status},      {"arguments", call.arguments}};
}

std::string_view StatusOf(const BatchOutcome& outcome) {
  return outcome.finish == "length" ? "incomplete" : "completed";
}

class ResponsesDialect final : public Dialect {
 public:
  ResponsesDialect(ReplyFacts facts, const Json& body, const AnswerOptions& answer,
                   const LoadedModel* model, bool logprobs)
      : facts_(std::move(facts)),
        options_(answer),
        model_(model),
        logprobs_(logprobs && model != nullptr),
        parser_(answer) {
    const auto echo = [&](const char* name, Json otherwise) {
      const bool given = body.contains(name) && !body[name].is_null();
      echoed_[name] = given ? body[name] : std::move(otherwise);
    };
    echo("instructions", nullptr);
    echo("max_output_tokens", nullptr);
    echo("metadata", Json::object());
    echo("parallel_tool_calls", true);
    echo("prompt_cache_key", nullptr);
    echo("temperature", 1.0);
    echo("text", {{"format", {{"type", "text"}}}});
    echo("tool_choice", "auto");
    echo("tools", Json::array());
    echo("top_logprobs", 0);
    echo("top_p", 1.0);
  }

  Json Whole(std::span<const Choice> choices) override {
    const BatchOutcome& outcome = choices[0].outcome;
    const ParsedAnswer answer = ParseAnswer(choices[0].text, options_);
    Json output = Json::array();
    if (!answer.reasoning.empty()) {
      output.push_back(ReasoningItem(Json::array({ReasoningPart(answer.reasoning)})));
    }
    if (!answer.content.empty() || answer.calls.empty()) {
      PlacedTokens tokens;
      tokens.Add(choices[0].tokens);
      const size_t place = choices[0].text.size() - answer.content.size();
      Json logprobs = LogprobsJson(tokens.TakeFrom(static_cast<int64_t>(place)));
      output.push_back(MessageItem(StatusOf(outcome),
                                   Json::array({TextPart(answer.content, std::move(logprobs))})));
    }
    for (const ParsedCall& call : answer.calls) {
      output.push_back(CallItem(StatusOf(outcome), call));
    }
    return Ended(outcome, std::move(output), answer.reasoning);
  }

  void Start(EventStream& out, size_t) override {
    Emit(out, "response.created", {{"response", Response("in_progress", Json::array())}});
    Emit(out, "response.in_progress", {{"response", Response("in_progress", Json::array())}});
  }

  void Piece(EventStream& out, const Choice&, const BatchEvent& event) override {
    if (logprobs_) tokens_.Add(event.tokens);
    n_text_ += static_cast<int64_t>(event.text.size());
    for (const AnswerEvent& piece : parser_.Push(event.text)) Tell(out, piece);
  }

  void Last(EventStream& out, const Choice& choice) override {
    for (const AnswerEvent& piece : parser_.Finish()) Tell(out, piece);
    const std::string_view status = StatusOf(choice.outcome);
    if (output_.empty() && item_.is_null()) Open(out, MessageItem("in_progress", Json::array()));
    Close(out, status);
    Emit(out, fmt::format("response.{}", status),
         {{"response", Ended(choice.outcome, output_, reasoning_)}});
  }

  void Finish(EventStream&, std::span<const Choice>) override {}

  void Error(EventStream& out, const ApiError& error) override {
    const Json inner = ErrorJson(error)["error"];
    Emit(out, "error",
         {{"code", inner["code"]}, {"message", inner["message"]}, {"param", inner["param"]}});
  }

 private:
  // Thoughts, texts and calls are items, one after another.
  void Tell(EventStream& out, const AnswerEvent& piece) {
    if (piece.kind == AnswerEvent::kCall) {
      return Open(out, CallItem("in_progress", {piece.id, piece.name, ""}));
    }
    const bool thought = piece.kind == AnswerEvent::kReasoning;
    if (thought && !In("reasoning")) Open(out, ReasoningItem(Json::array()));
    if (piece.kind == AnswerEvent::kContent && !In("message")) {
      Open(out, MessageItem("in_progress", Json::array()));
    }
    text_ += piece.text;
    if (thought) {
      reasoning_ += piece.text;
      Emit(out, "response.reasoning_text.delta", At({{"content_index", 0}, {"delta", piece.text}}));
    } else if (In("message")) {
      // Where a message begins, its piece reaches to the end of what has come.
      Json logprobs = LogprobsJson(
          tokens_.TakeFrom(said_.empty() ? n_text_ - static_cast<int64_t>(piece.text.size()) : 0));
      said_.insert(said_.end(), logprobs.begin(), logprobs.end());
      Emit(out, "response.output_text.delta",
           At({{"content_index", 0}, {"delta", piece.text}, {"logprobs", std::move(logprobs)}}));
    } else {
      Emit(out, "response.function_call_arguments.delta", At({{"delta", piece.text}}));
    }
  }

  bool In(std::string_view type) const { return !item_.is_null() && item_["type"] == type; }

  void Open(EventStream& out, Json item) {
    Close(out, "completed");
    item_ = std::move(item);
    Emit(out, "response.output_item.added", {{"output_index", output_.size()}, {"item", item_}});
    if (In("message")) {
      Emit(out, "response.content_part.added", At({{"content_index", 0}, {"part", TextPart("")}}));
    }
  }

  void Close(EventStream& out, std::string_view status) {
    if (item_.is_null()) return;
    if (In("reasoning")) {
      Emit(out, "response.reasoning_text.done", At({{"content_index", 0}, {"text", text_}}));
      item_["content"] = Json::array({ReasoningPart(text_)});
    } else if (In("message")) {
      const Json part = TextPart(text_, said_);
      Emit(out, "response.output_text.done",
           At({{"content_index", 0}, {"text", text_}, {"logprobs", said_}}));
      said_ = Json::array();
      Emit(out, "response.content_part.done", At({{"content_index", 0}, {"part", part}}));
      item_["content"] = Json::array({part});
    } else {
      Emit(out, "response.function_call_arguments.done",
           At({{"name", item_["name"]}, {"arguments", text_}}));
      item_["arguments"] = text_;
    }
    item_["status"] = status;
    Emit(out, "response.output_item.done", {{"output_index", output_.size()}, {"item", item_}});
    output_.push_back(std::exchange(item_, nullptr));
    text_.clear();
  }

  // Where an event of the item at hand belongs.
  Json At(Json fields) const {
    fields["item_id"] = item_["id"];
    fields["output_index"] = output_.size();
    return fields;
  }

  Json Response(std::string_view status, Json output) const {
    Json response = {{"id", facts_.id},
                     {"object", "response"},
                     {"created_at", facts_.created},
                     {"status", status},
                     {"error", nullptr},
                     {"incomplete_details", nullptr},
                     {"model", facts_.model},
                     {"output", std::move(output)},
                     {"store", false},
                     {"usage", nullptr}};
    response.update(echoed_);
    return response;
  }

  // As a chat writes them.
  Json LogprobsJson(const std::vector<TokenRecord>& tokens) const {
    return logprobs_ ? ChatLogprobsJson(*model_, tokens)["content"] : Json::array();
  }

  Json Ended(const BatchOutcome& outcome, Json output, const std::string& reasoning) const {
    Json response = Response(StatusOf(outcome), std::move(output));
    if (outcome.finish == "length") {
      response["incomplete_details"] = {{"reason", "max_output_tokens"}};
    }
    response["usage"] = {
        {"input_tokens", outcome.n_prompt},
        {"input_tokens_details", {{"cached_tokens", outcome.n_cached}, {"cache_write_tokens", 0}}},
        {"output_tokens", outcome.n_generated},
        {"output_tokens_details",
         {{"reasoning_tokens", model_ == nullptr ? 0 : TokenCount(*model_, reasoning)}}},
        {"total_tokens", outcome.n_prompt + outcome.n_generated}};
    response["kv"] = KvJson(outcome);
    return response;
  }

  void Emit(EventStream& out, std::string_view type, const Json& fields) {
    Json event = {{"type", type}, {"sequence_number", n_events_++}};
    event.update(fields);
    out.Event(type, event);
  }

  const ReplyFacts facts_;
  const AnswerOptions options_;
  const LoadedModel* const model_;
  const bool logprobs_;
  Json echoed_ = Json::object();
  // Of a stream.
  AnswerParser parser_;
  Json output_ = Json::array();  // items that are done
  Json item_;                    // the one at hand; null: none
  std::string text_;             // its text or arguments
  std::string reasoning_;        // all thoughts
  PlacedTokens tokens_;          // of which no piece has told
  int64_t n_text_ = 0;           // bytes of text that have come
  Json said_ = Json::array();    // log-probabilities of the message at hand
  int64_t n_events_ = 0;
};

}  // namespace

std::unique_ptr<Dialect> MakeResponsesDialect(ReplyFacts facts, const Json& body,
                                              const AnswerOptions& answer, const LoadedModel* model,
                                              bool logprobs) {
  return std::make_unique<ResponsesDialect>(std::move(facts), body, answer, model, logprobs);
}

}  // namespace kvasir::server
