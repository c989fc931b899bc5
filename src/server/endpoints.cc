#include "server/endpoints.h"

#include <algorithm>

#include "server/chat.h"
#include "server/completions.h"
#include "server/messages.h"
#include "server/responses.h"

namespace kvasir::server {

ReplyFacts FactsFor(const Services& services, const Call&, std::string_view prefix,
                    const ReplyOptions& reply) {
  // One model is served, whatever name a client uses; it is called as the client called it.
  return {.id = RandomId(prefix),
          .created = UnixTime(),
          .model = reply.model.empty() ? services.model_name : reply.model,
          .fingerprint = services.fingerprint,
          .options = reply};
}

void StartGeneration(const Services& services, Call& call, std::vector<BatchRequest> requests,
                     std::unique_ptr<Dialect> dialect, bool stream) {
  for (BatchRequest& request : requests) {
    request.tenant = call.caller.tenant;
    request.most_at_once = call.caller.parallel;
    const auto n = static_cast<int64_t>(request.prompt.size());
    for (const auto& [first, end] : request.pins) {
      if (end <= n) continue;
      return call.Fail(
          {.message = fmt::format("'kv.pin': [{}, {}) ends beyond the prompt, which has "
                                  "{} tokens",
                                  first, end, n),
           .param = "kv.pin"});
    }
  }
  Generate(services.engine, call.exchange, std::move(requests), std::move(dialect), stream,
           std::exchange(call.on_end, nullptr));
}

void ChatCompletions(const Services& services, Call& call) {
  Fields fields(call.body);
  if (fields.Integer("top_logprobs", 0, 20).value_or(0) > 0 &&
      !fields.Flag("logprobs").value_or(false)) {
    fields.Fail("top_logprobs", "they are told where 'logprobs' is true");
    return call.Fail(*fields.error());
  }
  auto chat = ReadChat(call.body, services.engine);
  if (!chat) return call.Fail(chat.error());
  auto dialect = MakeChatDialect(services.engine.model(),
                                 FactsFor(services, call, "chatcmpl-", chat->reply), *chat);
  std::vector<BatchRequest> requests;
  requests.push_back(std::move(chat->request));
  StartGeneration(services, call, std::move(requests), std::move(dialect), chat->reply.stream);
}

void Completions(const Services& services, Call& call) {
  auto completion = ReadCompletion(call.body, services.engine);
  if (!completion) return call.Fail(completion.error());
  auto dialect = MakeCompletionDialect(
      services.engine.model(), FactsFor(services, call, "cmpl-", completion->reply), *completion);
  StartGeneration(services, call, std::move(completion->requests), std::move(dialect),
                  completion->reply.stream);
}

void Messages(const Services& services, Call& call) {
  static constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"stop_sequences", "stop"},
      {"output_config.format", "response_format.json_schema"},
      {"output_config.format", "response_format"}};
  const auto body = ChatBodyOfMessages(call.body, /*needs_max_tokens=*/true);
  if (!body) return call.Fail(body.error());
  auto chat = ReadChat(*body, services.engine);
  if (!chat) return call.Fail(InNamesOf(kNames, chat.error()));
  if (chat->request.ttl_s < 0) chat->request.ttl_s = CacheSeconds(call.body);
  auto dialect = MakeMessagesDialect(FactsFor(services, call, "msg_", chat->reply), chat->answer,
                                     chat->request.prompt.size());
  std::vector<BatchRequest> requests;
  requests.push_back(std::move(chat->request));
  StartGeneration(services, call, std::move(requests), std::move(dialect), chat->reply.stream);
}

namespace {

// Tokens of the prompt that a chat's body makes.
ApiResult<size_t> CountPrompt(const Services& services, const Json& body) {
  auto conversation = ReadConversation(body);
  if (!conversation) return Refuse(conversation.error());
  const auto text = RenderConversation(services.engine.model(), std::move(*conversation));
  if (!text) return Refuse(text.error());
  return TokenizeRendered(services.engine.model(), *text).size();
}

void ReplyCount(const Services& services, Call& call, const ApiResult<Json>& body, Json reply) {
  if (!body) return call.Fail(body.error());
  const auto n = CountPrompt(services, *body);
  if (!n) return call.Fail(n.error());
  reply["input_tokens"] = *n;
  call.Reply(reply);
}

}  // namespace

void CountTokens(const Services& services, Call& call) {
  ReplyCount(services, call, ChatBodyOfMessages(call.body, /*needs_max_tokens=*/false),
             Json::object());
}

void InputTokens(const Services& services, Call& call) {
  ReplyCount(services, call, call.body, {{"object", "response.input_tokens"}});
}

void ResponseInputTokens(const Services& services, Call& call) {
  ReplyCount(services, call, ChatBodyOfResponses(call.body), {{"object", "response.input_tokens"}});
}

void Responses(const Services& services, Call& call) {
  static constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"max_output_tokens", "max_tokens"},
      {"text.format", "response_format.json_schema"},
      {"text.format", "response_format"}};
  const auto body = ChatBodyOfResponses(call.body);
  if (!body) return call.Fail(body.error());
  auto chat = ReadChat(*body, services.engine);
  if (!chat) return call.Fail(InNamesOf(kNames, chat.error()));
  auto dialect =
      MakeResponsesDialect(FactsFor(services, call, "resp_", chat->reply), call.body, chat->answer,
                           &services.engine.model(), chat->request.top_logprobs >= 0);
  std::vector<BatchRequest> requests;
  requests.push_back(std::move(chat->request));
  StartGeneration(services, call, std::move(requests), std::move(dialect), chat->reply.stream);
}

void Models(const Services& services, Call& call) {
  const ModelFacts& facts = services.engine.model().facts();
  const Json model = {{"id", services.model_name},
                      {"object", "model"},
                      {"created", services.created},
                      {"owned_by", "kvasir"},
                      {"max_model_len", services.engine.ctx()},
                      {"meta",
                       {{"n_vocab", facts.n_vocab},
                        {"n_ctx_train", facts.n_ctx_train},
                        {"n_embd", facts.hidden},
                        {"n_params", facts.n_params},
                        {"size", facts.weight_bytes}}}};
  if (call.operand.empty()) return call.Reply({{"object", "list"}, {"data", Json::array({model})}});
  if (DecodeQuery(call.operand) == services.model_name) return call.Reply(model);
  call.Fail({.status = 404,
             .message = fmt::format("there is no model '{}'; this server has '{}'", call.operand,
                                    services.model_name),
             .code = "model_not_found"});
}

namespace {

Json PieceJson(const std::string& piece) {
  return IsValidUtf8(piece) ? Json(piece) : BytesJson(piece);
}

}  // namespace

// Both dialects at once: llama-server's `content` and vLLM's `prompt` or `messages`.
void Tokenize(const Services& services, Call& call) {
  const LoadedModel& model = services.engine.model();
  Fields fields(call.body);
  const auto content = fields.Text("content");
  const bool is_llama = content.has_value();
  const bool add_special = is_llama ? fields.Flag("add_special").value_or(false)
                                    : fields.Flag("add_special_tokens").value_or(true);
  const bool parse_special = fields.Flag("parse_special").value_or(true);
  const bool with_pieces = fields.Flag("with_pieces").value_or(false);
  const bool strings = fields.Flag("return_token_strs").value_or(false);
  std::vector<int32_t> ids;
  if (!is_llama && fields.Get("messages") != nullptr) {
    auto conversation = ReadConversation(call.body);
    if (!conversation) return call.Fail(conversation.error());
    const auto text = RenderConversation(model, std::move(*conversation));
    if (!text) return call.Fail(text.error());
    ids = TokenizeRendered(model, *text);
  } else {
    const auto text = is_llama ? content : fields.Text("prompt");
    if (!text) fields.Fail("content", "expected 'content', 'prompt' or 'messages'");
    if (fields.error()) return call.Fail(*fields.error());
    ids = model.tokenizer().Encode(*text,
                                   {.parse_special = parse_special, .add_special = add_special});
  }
  if (fields.error()) return call.Fail(*fields.error());
  Json tokens = Json::array(), texts = Json::array();
  for (const int32_t id : ids) {
    const std::string piece = model.tokenizer().Piece(id);
    tokens.push_back(with_pieces ? Json{{"id", id}, {"piece", PieceJson(piece)}} : Json(id));
    if (strings) texts.push_back(piece);
  }
  call.Reply({{"tokens", std::move(tokens)},
              {"count", ids.size()},
              {"max_model_len", services.engine.ctx()},
              {"token_strs", strings ? std::move(texts) : Json()}});
}

void Detokenize(const Services& services, Call& call) {
  const LoadedModel& model = services.engine.model();
  Fields fields(call.body);
  const Json* tokens = fields.Array("tokens");
  const bool all_ids =
      tokens != nullptr && std::all_of(tokens->begin(), tokens->end(),
                                       [](const Json& id) { return id.is_number_integer(); });
  if (!all_ids) fields.Fail("tokens", "expected an array of token ids");
  if (fields.error()) return call.Fail(*fields.error());
  std::string text;
  if (!tokens->empty()) {
    const auto ids = ReadPrompts(tokens, "tokens", services.engine, 1);
    if (!ids) return call.Fail(ids.error());
    text = model.Detokenize((*ids)[0].ids);
  }
  call.Reply({{"content", text}, {"prompt", text}});
}

// vLLM's: what a client needs that tokenizes here and keeps the special tokens there.
void TokenizerInfo(const Services& services, Call& call) {
  const LoadedModel& model = services.engine.model();
  const auto piece = [&](int32_t id) {
    return id < 0 ? Json() : PieceJson(model.tokenizer().Piece(id));
  };
  call.Reply({{"bos_token", piece(model.tokenizer().bos())},
              {"eos_token", piece(model.tokenizer().eos())},
              {"chat_template", model.template_source()},
              {"model_max_length", services.engine.ctx()}});
}

void ApplyTemplate(const Services& services, Call& call) {
  auto conversation = ReadConversation(call.body);
  if (!conversation) return call.Fail(conversation.error());
  const auto text = RenderConversation(services.engine.model(), std::move(*conversation));
  if (!text) return call.Fail(text.error());
  call.Reply({{"prompt", *text}});
}

void Props(const Services& services, Call& call) {
  const LoadedModel& model = services.engine.model();
  const BatchOptions& options = services.engine.options();
  call.Reply({{"default_generation_settings",
               {{"n_ctx", services.engine.ctx()},
                {"kv", options.kv},
                {"params", {{"temperature", 1.0}, {"top_p", 1.0}, {"seed", -1}}}}},
              {"total_slots", options.n_slots},
              {"model_path", model.facts().path},
              {"chat_template", model.template_source()},
              {"chat_template_caps", TemplateCaps(model)},
              {"modalities", {{"vision", false}, {"audio", false}}},
              {"build_info", services.fingerprint},
              {"is_sleeping", false}});
}

}  // namespace kvasir::server
