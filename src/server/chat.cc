#include "server/chat.h"

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
  call.conversation = std::move(*conversation);
  Fields fields(body);
  ReadGeneration(fields, LimitsOf(engine), engine.ctx(), call.request, call.reply);
  const auto top = fields.Integer("top_logprobs", 0, 20);
  if (fields.Flag("logprobs").value_or(false)) {
    call.request.top_logprobs = static_cast<int>(top.value_or(0));
  }
  for (const char* name : {"response_format", "json_schema", "grammar", "tools"}) {
    const Json* asked = fields.Get(name);
    const bool plain =
        asked != nullptr && asked->is_object() && asked->value("type", Json()) == "text";
    const bool empty = asked == nullptr || (asked->is_array() && asked->empty());
    if (!empty && !plain) {
      fields.Fail(ApiError{
          .status = 501, .message = fmt::format("'{}' is not supported", name), .param = name});
    }
  }
  if (fields.error()) return Refuse(*fields.error());
  auto text = RenderConversation(engine.model(), call.conversation);
  if (!text) return Refuse(text.error());
  call.request.prompt = TokenizeRendered(engine.model(), *text);
  return call;
}

namespace {

class ChatDialect final : public Dialect {
 public:
  ChatDialect(const LoadedModel& model, ReplyFacts facts, bool logprobs)
      : model_(model), facts_(std::move(facts)), logprobs_(logprobs) {}

  Json Whole(std::span<const Choice> choices) override {
    Json list = Json::array();
    for (const Choice& choice : choices) {
      list.push_back(
          {{"index", choice.index},
           {"message", {{"role", "assistant"}, {"content", choice.text}, {"refusal", nullptr}}},
           {"logprobs", logprobs_ ? ChatLogprobsJson(model_, choice.tokens) : Json()},
           {"finish_reason", choice.outcome.finish}});
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
    for (size_t i = 0; i < n_choices; ++i) {
      out.Data(Chunk(static_cast<int>(i), {{"role", "assistant"}, {"content", ""}}, {}, nullptr));
    }
  }

  void Piece(EventStream& out, const Choice& choice, const BatchEvent& event) override {
    out.Data(Chunk(choice.index, {{"content", event.text}}, event.tokens, nullptr));
  }

  void Last(EventStream& out, const Choice& choice) override {
    Json chunk = Chunk(choice.index, Json::object(), {}, choice.outcome.finish);
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
};

}  // namespace

std::unique_ptr<Dialect> MakeChatDialect(const LoadedModel& model, ReplyFacts facts,
                                         const ChatCall& call) {
  return std::make_unique<ChatDialect>(model, std::move(facts), call.request.top_logprobs >= 0);
}

}  // namespace kvasir::server
