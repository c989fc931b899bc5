#include "server/chat.h"

#include <algorithm>
#include <iterator>

#include "server/structured.h"

namespace kvasir::server {

Json ChatLogprobsJson(const LoadedModel& model, std::span<const TokenRecord> tokens) {
  Json content = Json::array();
  for (const TokenRecord& token : tokens) {
    Json top = Json::array();
    for (const auto& [id, logprob] : token.top) {
      const std::string piece = model.tokenizer().Piece(id);
      top.push_back({{"token", piece}, {"logprob", logprob}, {"bytes", BytesJson(piece)}});
    }
    content.push_back({{"token", token.bytes},
                       {"logprob", token.logprob},
                       {"bytes", BytesJson(token.bytes)},
                       {"top_logprobs", std::move(top)}});
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

ApiResult<ChatCall> ReadChat(const Json& body, const BatchEngine& engine) {
  ChatCall call;
  auto conversation = ReadConversation(body);
  if (!conversation) return Refuse(conversation.error());
  auto form = ReadAnswerForm(body, engine.model(), *conversation);
  if (!form) return Refuse(form.error());
  call.answer = std::move(form->answer);
  Fields fields(body);
  ReadGeneration(fields, LimitsOf(engine), engine.ctx(), call.request, call.reply);
  const auto top = fields.Integer("top_logprobs", 0, 20);
  if (fields.Flag("logprobs").value_or(false)) {
    call.request.top_logprobs = static_cast<int>(top.value_or(0));
  }
  if (fields.error()) return Refuse(*fields.error());
  std::ranges::move(form->warnings, std::back_inserter(call.request.warnings));
  auto text = RenderConversation(engine.model(), std::move(*conversation));
  if (!text) return Refuse(text.error());
  call.request.prompt = TokenizeRendered(engine.model(), *text);
  // An answer of a form has no thoughts in front of it.
  call.answer.in_reasoning = !form->constraint && OpensReasoning(*text);
  call.request.constraint = std::move(form->constraint);
  if (!call.request.constraint && !call.answer.parallel_calls && !call.answer.tools.empty()) {
    call.request.constraint = EndWithCalls(engine.model(), call.answer);
  }
  return call;
}

namespace {

class ChatDialect final : public Dialect {
 public:
  ChatDialect(const LoadedModel& model, ReplyFacts facts, const ChatCall& call)
      : model_(model),
        facts_(std::move(facts)),
        logprobs_(call.request.top_logprobs >= 0),
        options_(call.answer) {}

  Json Whole(std::span<const Choice> choices) override {
    Json list = Json::array();
    int64_t n_reasoning = 0;
    for (const Choice& choice : choices) {
      const ParsedAnswer answer = ParseAnswer(choice.text, options_);
      n_reasoning += TokenCount(model_, answer.reasoning);
      list.push_back({{"index", choice.index},
                      {"message", MessageJson(answer)},
                      {"logprobs", logprobs_ ? ChatLogprobsJson(model_, choice.tokens) : Json()},
                      {"finish_reason", FinishReason(choice, answer.calls_whole)}});
      if (facts_.options.return_tokens) list.back()["tokens"] = choice.ids;
    }
    return {{"id", facts_.id},
            {"object", "chat.completion"},
            {"created", facts_.created},
            {"model", facts_.model},
            {"system_fingerprint", facts_.fingerprint},
            {"choices", std::move(list)},
            {"usage", UsageJson(choices, n_reasoning)},
            {"timings", TimingsJson(choices[0].outcome)},
            {"kv", KvJson(choices[0].outcome)}};
  }

  void Start(EventStream& out, size_t n_choices) override {
    parsers_.assign(n_choices, AnswerParser(options_));
    for (size_t i = 0; i < n_choices; ++i) {
      out.Data(Chunk(static_cast<int>(i), {{"role", "assistant"}, {"content", ""}}, {}, nullptr));
    }
  }

  void Progress(EventStream& out, const BatchEvent& event) override {
    Json chunk = Chunk(event.answer, Json::object(), {}, nullptr);
    chunk["prompt_progress"] = ProgressJson(event);
    out.Data(chunk);
  }

  void Piece(EventStream& out, const Choice& choice, const BatchEvent& event) override {
    std::vector<AnswerEvent> pieces = parsers_[choice.index].Push(event.text);
    // What is told of each token does not wait for what may become a call.
    const bool of_tokens =
        !event.tokens.empty() || !event.ids.empty() || facts_.options.timings_per_token;
    if (pieces.empty() && of_tokens) pieces.push_back({.kind = AnswerEvent::kContent});
    std::span<const TokenRecord> tokens = event.tokens;
    for (const AnswerEvent& piece : pieces) {
      if (piece.kind == AnswerEvent::kReasoning) reasoning_ += piece.text;
      Json chunk = Chunk(choice.index, DeltaJson(piece), std::exchange(tokens, {}), nullptr);
      if (&piece == &pieces.back()) AddExtras(chunk, facts_.options, event);
      out.Data(chunk);
    }
  }

  void Last(EventStream& out, const Choice& choice) override {
    for (const AnswerEvent& piece : parsers_[choice.index].Finish()) {
      out.Data(Chunk(choice.index, DeltaJson(piece), {}, nullptr));
    }
    const bool calls = parsers_[choice.index].calls_whole();
    Json chunk = Chunk(choice.index, Json::object(), {}, FinishReason(choice, calls));
    if (!choice.ids.empty()) chunk["choices"][0]["tokens"] = choice.ids;
    chunk["timings"] = TimingsJson(choice.outcome);
    chunk["kv"] = KvJson(choice.outcome);
    out.Data(chunk);
  }

  void Finish(EventStream& out, std::span<const Choice> choices) override {
    if (facts_.options.include_usage) {
      Json chunk = Envelope();
      chunk["choices"] = Json::array();
      chunk["usage"] = UsageJson(choices, TokenCount(model_, reasoning_));
      out.Data(chunk);
    }
    out.Done();
  }

 private:
  static std::string FinishReason(const Choice& choice, bool calls) {
    return calls && choice.outcome.finish == "stop" ? "tool_calls" : choice.outcome.finish;
  }

  static Json MessageJson(const ParsedAnswer& answer) {
    Json calls = Json::array();
    for (const ParsedCall& call : answer.calls) {
      calls.push_back({{"id", call.id},
                       {"type", "function"},
                       {"function", {{"name", call.name}, {"arguments", call.arguments}}}});
    }
    Json message = {
        {"role", "assistant"},
        {"content", answer.content.empty() && !calls.empty() ? Json() : Json(answer.content)},
        {"refusal", nullptr}};
    if (!answer.reasoning.empty()) message["reasoning_content"] = answer.reasoning;
    if (!calls.empty()) message["tool_calls"] = std::move(calls);
    return message;
  }

  // Clients put calls together by their index, so each piece has it.
  static Json DeltaJson(const AnswerEvent& event) {
    if (event.kind == AnswerEvent::kReasoning) return {{"reasoning_content", event.text}};
    if (event.kind == AnswerEvent::kContent) return {{"content", event.text}};
    Json call = {{"index", event.index}};
    if (event.kind == AnswerEvent::kCall) {
      call["id"] = event.id;
      call["type"] = "function";
      call["function"] = {{"name", event.name}, {"arguments", ""}};
    } else {
      call["function"] = {{"arguments", event.text}};
    }
    return {{"tool_calls", Json::array({call})}};
  }

  Json Envelope() const {
    return {{"id", facts_.id},
            {"object", "chat.completion.chunk"},
            {"created", facts_.created},
            {"model", facts_.model},
            {"system_fingerprint", facts_.fingerprint}};
  }

  Json Chunk(int index, Json delta, std::span<const TokenRecord> tokens, Json finish) const {
    Json chunk = Envelope();
    chunk["choices"] = Json::array(
        {{{"index", index},
          {"delta", std::move(delta)},
          {"logprobs", logprobs_ && !tokens.empty() ? ChatLogprobsJson(model_, tokens) : Json()},
          {"finish_reason", std::move(finish)}}});
    if (facts_.options.include_usage) chunk["usage"] = nullptr;
    return chunk;
  }

  const LoadedModel& model_;
  const ReplyFacts facts_;
  const bool logprobs_;
  const AnswerOptions options_;
  std::vector<AnswerParser> parsers_;  // of a stream's choices
  std::string reasoning_;              // of them all
};

}  // namespace

std::unique_ptr<Dialect> MakeChatDialect(const LoadedModel& model, ReplyFacts facts,
                                         const ChatCall& call) {
  return std::make_unique<ChatDialect>(model, std::move(facts), call);
}

}  // namespace kvasir::server
