#include "server/chat.h"

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
  call.tools = std::move(form->tools);
  Fields fields(body);
  ReadGeneration(fields, LimitsOf(engine), engine.ctx(), call.request, call.reply);
  const auto top = fields.Integer("top_logprobs", 0, 20);
  if (fields.Flag("logprobs").value_or(false)) {
    call.request.top_logprobs = static_cast<int>(top.value_or(0));
  }
  if (fields.error()) return Refuse(*fields.error());
  auto text = RenderConversation(engine.model(), *conversation);
  if (!text) return Refuse(text.error());
  call.request.prompt = TokenizeRendered(engine.model(), *text);
  call.request.constraint = std::move(form->constraint);
  return call;
}

namespace {

class ChatDialect final : public Dialect {
 public:
  ChatDialect(const LoadedModel& model, ReplyFacts facts, const ChatCall& call)
      : model_(model),
        facts_(std::move(facts)),
        logprobs_(call.request.top_logprobs >= 0),
        tools_(call.tools) {}

  Json Whole(std::span<const Choice> choices) override {
    Json list = Json::array();
    for (const Choice& choice : choices) {
      const ParsedAnswer answer = ParseAnswer(choice.text, tools_);
      list.push_back({{"index", choice.index},
                      {"message", MessageJson(answer)},
                      {"logprobs", logprobs_ ? ChatLogprobsJson(model_, choice.tokens) : Json()},
                      {"finish_reason", FinishReason(choice, !answer.calls.empty())}});
    }
    return {{"id", facts_.id},
            {"object", "chat.completion"},
            {"created", facts_.created},
            {"model", facts_.model},
            {"system_fingerprint", facts_.fingerprint},
            {"choices", std::move(list)},
            {"usage", UsageJson(choices)},
            {"timings", TimingsJson(choices[0].outcome)},
            {"kv", KvJson(choices[0].outcome)}};
  }

  void Start(EventStream& out, size_t n_choices) override {
    parsers_.assign(n_choices, AnswerParser(tools_));
    for (size_t i = 0; i < n_choices; ++i) {
      out.Data(Chunk(static_cast<int>(i), {{"role", "assistant"}, {"content", ""}}, {}, nullptr));
    }
  }

  void Piece(EventStream& out, const Choice& choice, const BatchEvent& event) override {
    std::vector<grammar::ToolEvent> pieces = parsers_[choice.index].Push(event.text);
    // Log-probabilities do not wait for what may become a call.
    if (pieces.empty() && !event.tokens.empty()) {
      pieces.push_back({.kind = grammar::ToolEvent::kContent});
    }
    std::span<const TokenRecord> tokens = event.tokens;
    for (const grammar::ToolEvent& piece : pieces) {
      out.Data(Chunk(choice.index, DeltaJson(piece), std::exchange(tokens, {}), nullptr));
    }
  }

  void Last(EventStream& out, const Choice& choice) override {
    for (const grammar::ToolEvent& piece : parsers_[choice.index].Finish()) {
      out.Data(Chunk(choice.index, DeltaJson(piece), {}, nullptr));
    }
    const bool calls = parsers_[choice.index].n_calls() > 0;
    Json chunk = Chunk(choice.index, Json::object(), {}, FinishReason(choice, calls));
    chunk["timings"] = TimingsJson(choice.outcome);
    chunk["kv"] = KvJson(choice.outcome);
    out.Data(chunk);
  }

  void Finish(EventStream& out, std::span<const Choice> choices) override {
    if (facts_.options.include_usage) {
      Json chunk = Envelope();
      chunk["choices"] = Json::array();
      chunk["usage"] = UsageJson(choices);
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
    const bool blank = answer.content.find_first_not_of(" \t\r\n") == std::string::npos;
    Json message = {{"role", "assistant"},
                    {"content", blank && !calls.empty() ? Json() : Json(answer.content)},
                    {"refusal", nullptr}};
    if (!calls.empty()) message["tool_calls"] = std::move(calls);
    return message;
  }

  // Clients put calls together by their index, so each piece has it.
  static Json DeltaJson(const grammar::ToolEvent& event) {
    if (event.kind == grammar::ToolEvent::kContent) return {{"content", event.text}};
    Json call = {{"index", event.index}};
    if (event.kind == grammar::ToolEvent::kCall) {
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
  const std::vector<std::string> tools_;
  std::vector<AnswerParser> parsers_;  // of a stream's choices
};

}  // namespace

std::unique_ptr<Dialect> MakeChatDialect(const LoadedModel& model, ReplyFacts facts,
                                         const ChatCall& call) {
  return std::make_unique<ChatDialect>(model, std::move(facts), call);
}

}  // namespace kvasir::server
