#include "server/endpoints.h"

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
  for (BatchRequest& request : requests) request.tenant = call.tenant;
  Generate(services.engine, call.exchange, std::move(requests), std::move(dialect), stream,
           std::exchange(call.on_end, nullptr));
}

void ChatCompletions(const Services& services, Call& call) {
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
  const auto body = ChatBodyOfMessages(call.body, /*needs_max_tokens=*/true);
  if (!body) return call.Fail(body.error());
  auto chat = ReadChat(*body, services.engine);
  if (!chat) return call.Fail(chat.error());
  if (chat->request.ttl_s < 0) chat->request.ttl_s = CacheSeconds(call.body);
  std::vector<BatchRequest> requests;
  requests.push_back(std::move(chat->request));
  auto dialect = MakeMessagesDialect(FactsFor(services, call, "msg_", chat->reply), chat->tools);
  StartGeneration(services, call, std::move(requests), std::move(dialect), chat->reply.stream);
}

void CountTokens(const Services& services, Call& call) {
  const auto body = ChatBodyOfMessages(call.body, /*needs_max_tokens=*/false);
  if (!body) return call.Fail(body.error());
  const auto conversation = ReadConversation(*body);
  if (!conversation) return call.Fail(conversation.error());
  const auto text = RenderConversation(services.engine.model(), *conversation);
  if (!text) return call.Fail(text.error());
  call.Reply({{"input_tokens", TokenizeRendered(services.engine.model(), *text).size()}});
}

void Responses(const Services& services, Call& call) {
  const auto body = ChatBodyOfResponses(call.body);
  if (!body) return call.Fail(body.error());
  auto chat = ReadChat(*body, services.engine);
  if (!chat) return call.Fail(chat.error());
  auto dialect = MakeResponsesDialect(FactsFor(services, call, "resp_", chat->reply), call.body);
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
    const auto conversation = ReadConversation(call.body);
    if (!conversation) return call.Fail(conversation.error());
    const auto text = RenderConversation(model, *conversation);
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
  const auto lists =
      ReadPrompts(call.body.contains("tokens") ? &call.body["tokens"] : nullptr, "tokens", model);
  if (!lists) return call.Fail(lists.error());
  const std::string text = model.Detokenize((*lists)[0]);
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
  const auto conversation = ReadConversation(call.body);
  if (!conversation) return call.Fail(conversation.error());
  const auto text = RenderConversation(services.engine.model(), *conversation);
  if (!text) return call.Fail(text.error());
  call.Reply({{"prompt", *text}});
}

void InputTokens(const Services& services, Call& call) {
  const auto conversation = ReadConversation(call.body);
  if (!conversation) return call.Fail(conversation.error());
  const auto text = RenderConversation(services.engine.model(), *conversation);
  if (!text) return call.Fail(text.error());
  const auto n = TokenizeRendered(services.engine.model(), *text).size();
  call.Reply({{"object", "response.input_tokens"}, {"input_tokens", n}});
}

void Slots(const Services& services, Call& call) {
  Json list = Json::array();
  bool any_free = false;
  for (const SlotFacts& slot : services.engine.slots()) {
    any_free = any_free || !slot.busy;
    list.push_back({{"id", slot.id},
                    {"id_task", slot.busy ? Json(slot.request) : Json(-1)},
                    {"n_ctx", services.engine.ctx()},
                    {"speculative", false},
                    {"is_processing", slot.busy},
                    {"params", {{"kv", slot.spec}}},
                    {"n_tokens", slot.n_tokens},
                    {"kv_bytes", slot.kv_bytes},
                    {"next_token",
                     {{"has_next_token", slot.busy},
                      {"has_new_line", false},
                      {"n_remain", slot.n_remain},
                      {"n_decoded", slot.n_generated}}}});
  }
  if (call.http.query.contains("fail_on_no_slot") && !any_free) {
    return call.Fail({.status = 503, .message = "no slot is free", .retry_after_s = 2});
  }
  call.Reply(list);
}

void SlotAction(const Services& services, Call& call) {
  int slot = -1;
  const std::string& id = call.operand;
  if (!id.empty() && id.size() < 6 && id.find_first_not_of("0123456789") == std::string::npos) {
    slot = std::stoi(id);
  }
  if (slot < 0 || slot >= services.engine.options().n_slots) {
    return call.Fail({.status = 404, .message = fmt::format("there is no slot '{}'", id)});
  }
  const auto found = call.http.query.find("action");
  const std::string action = found == call.http.query.end() ? "" : found->second;
  if (action == "save" || action == "restore") {
    return call.Fail({.status = 501, .message = "slots are not saved to files by this server"});
  }
  if (action != "erase") {
    return call.Fail({.message = "'action': expected erase", .param = "action"});
  }
  int64_t n_erased = -1;
  services.engine.Between([&](Scheduler& scheduler) { n_erased = scheduler.Erase(slot); });
  if (n_erased < 0) return call.Fail({.status = 409, .message = "the slot is busy"});
  call.Reply({{"id_slot", slot}, {"n_erased", n_erased}});
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
              {"chat_template_caps", Json::object()},
              {"modalities", {{"vision", false}, {"audio", false}}},
              {"build_info", services.fingerprint},
              {"is_sleeping", false}});
}

}  // namespace kvasir::server
