#include "server/messages.h"

#include <algorithm>

#include "server/structured.h"

namespace kvasir::server {
namespace {

constexpr double kFiveMinutes = 300, kHour = 3600;  // what "ephemeral" means, and its longer form

// The text of a tool's result: a text or text blocks.
std::string ResultText(const Json& content) {
  if (content.is_string()) return content.get<std::string>();
  std::string text;
  for (const Json& block : content.is_array() ? content : Json::array()) {
    if (block.is_object() && block.value("type", Json()) == "text" && block.contains("text") &&
        block["text"].is_string()) {
      text += block["text"].get<std::string>();
    }
  }
  return text;
}

// One message of theirs may be several of OpenAI's: results of tools are messages there.
ApiResult<void> AddMessage(const Json& message, const std::string& place, Json& messages) {
  if (!message.is_object()) return RefuseField(place, "expected an object with role and content");
  const Json role = message.value("role", Json());
  if (role != "user" && role != "assistant")
    return RefuseField(place + ".role", "expected user or assistant");
  const Json content = message.value("content", Json());
  if (content.is_string()) {
    messages.push_back({{"role", role}, {"content", content}});
    return {};
  }
  if (!content.is_array())
    return RefuseField(place + ".content", "expected a text or an array of blocks");
  Json parts = Json::array(), calls = Json::array();
  for (const Json& block : content) {
    const Json type = block.is_object() ? block.value("type", Json()) : Json();
    if (type == "text") {
      parts.push_back(block);
    } else if (type == "tool_use" && block.contains("name") && block["name"].is_string()) {
      calls.push_back(
          {{"id", block.value("id", Json(""))},
           {"type", "function"},
           {"function",
            {{"name", block["name"]}, {"arguments", block.value("input", Json::object())}}}});
    } else if (type == "tool_result") {
      messages.push_back({{"role", "tool"},
                          {"tool_call_id", block.value("tool_use_id", Json(""))},
                          {"content", ResultText(block.value("content", Json()))}});
    } else if (type == "thinking" || type == "redacted_thinking") {
      continue;  // of earlier turns: the model does not read it again
    } else {
      return RefuseField(place + ".content",
                         "blocks are text, tool_use or tool_result: this model reads text");
    }
  }
  if (parts.empty() && calls.empty()) return {};
  Json even = {{"role", role}, {"content", parts.empty() ? Json("") : parts}};
  if (!calls.empty()) even["tool_calls"] = std::move(calls);
  messages.push_back(std::move(even));
  return {};
}

ApiResult<void> AddToolChoice(const Json& choice, Json& chat) {
  const Json type = choice.value("type", Json());
  if (type == "any") {
    chat["tool_choice"] = "required";
  } else if (type == "none" || type == "auto") {
    chat["tool_choice"] = type;
  } else if (type == "tool") {
    chat["tool_choice"] = {{"type", "function"},
                           {"function", {{"name", choice.value("name", Json())}}}};
  } else {
    return RefuseField("tool_choice", "expected the type auto, any, tool or none");
  }
  if (choice.value("disable_parallel_tool_use", Json()) == true) {
    chat["parallel_tool_calls"] = false;
  }
  return {};
}

ApiResult<void> AddTools(Fields& fields, Json& chat) {
  const Json* list = fields.Array("tools");
  Json tools = Json::array();
  for (const Json& tool : list != nullptr ? *list : Json::array()) {
    const Json kind = tool.is_object() ? tool.value("type", Json("custom")) : Json();
    if (kind != "custom" && !(kind.is_null() && tool.is_object())) {
      return RefuseField("tools",
                         "expected {\"name\", \"input_schema\", …}: tools that a server would "
                         "have to run are not there");
    }
    tools.push_back({{"type", "function"},
                     {"function",
                      {{"name", tool.value("name", Json())},
                       {"description", tool.value("description", Json(""))},
                       {"parameters", tool.value("input_schema", Json::object())}}}});
  }
  if (list != nullptr) chat["tools"] = std::move(tools);
  const Json* choice = fields.Object("tool_choice");
  return choice != nullptr ? AddToolChoice(*choice, chat) : ApiResult<void>();
}

std::string_view StopReason(const BatchOutcome& outcome, bool calls) {
  if (outcome.finish == "length") return "max_tokens";
  if (calls) return "tool_use";
  return outcome.eos ? "end_turn" : "stop_sequence";
}

Json InputUsage(const BatchOutcome& outcome) {
  return {{"input_tokens", outcome.n_prompt - outcome.n_cached},
          {"cache_read_input_tokens", outcome.n_cached},
          {"cache_creation_input_tokens", 0},
          {"output_tokens", outcome.n_generated}};
}

class MessagesDialect final : public Dialect {
 public:
  MessagesDialect(ReplyFacts facts, const AnswerOptions& answer, size_t n_prompt)
      : facts_(std::move(facts)), options_(answer), n_prompt_(n_prompt), parser_(answer) {}

  Json Whole(std::span<const Choice> choices) override {
    const BatchOutcome& outcome = choices[0].outcome;
    const ParsedAnswer answer = ParseAnswer(choices[0].text, options_);
    Json content = Json::array();
    if (!answer.reasoning.empty()) content.push_back(Thinking(answer.reasoning));
    if (!answer.content.empty() || answer.calls.empty()) {
      content.push_back({{"type", "text"}, {"text", answer.content}});
    }
    for (const ParsedCall& call : answer.calls) {
      const auto input = ParseBody(call.arguments);
      content.push_back({{"type", "tool_use"},
                         {"id", call.id},
                         {"name", call.name},
                         {"input", input ? *input : Json::object()}});
    }
    Json message = Message(std::move(content));
    message["stop_reason"] = StopReason(outcome, answer.calls_whole);
    if (!outcome.stop_text.empty()) message["stop_sequence"] = outcome.stop_text;
    message["usage"] = InputUsage(outcome);
    message["kv"] = KvJson(outcome);
    return message;
  }

  void Start(EventStream& out, size_t) override {
    out.Event("message_start", {{"type", "message_start"}, {"message", Message(Json::array())}});
  }

  void Piece(EventStream& out, const Choice&, const BatchEvent& event) override {
    for (const AnswerEvent& piece : parser_.Push(event.text)) Tell(out, piece);
  }

  void Last(EventStream& out, const Choice& choice) override {
    const BatchOutcome& outcome = choice.outcome;
    for (const AnswerEvent& piece : parser_.Finish()) Tell(out, piece);
    if (block_ < 0) Open(out, {{"type", "text"}, {"text", ""}});
    CloseBlock(out);
    out.Event("message_delta",
              {{"type", "message_delta"},
               {"delta",
                {{"stop_reason", StopReason(outcome, parser_.calls_whole())},
                 {"stop_sequence", outcome.stop_text.empty() ? Json() : Json(outcome.stop_text)}}},
               {"usage", InputUsage(outcome)},
               {"kv", KvJson(outcome)}});
  }

  void Finish(EventStream& out, std::span<const Choice>) override {
    out.Event("message_stop", {{"type", "message_stop"}});
  }
  void Error(EventStream& out, const ApiError& error) override {
    out.Event("error", ErrorBody(error));
  }
  Json ErrorBody(const ApiError& error) override { return MessagesErrorJson(error); }

 private:
  static Json Thinking(const std::string& text) {
    return {{"type", "thinking"}, {"thinking", text}, {"signature", ""}};
  }

  // Thoughts, text and calls are blocks, one after another.
  void Tell(EventStream& out, const AnswerEvent& piece) {
    if (piece.kind == AnswerEvent::kCall) {
      return Open(out, {{"type", "tool_use"},
                        {"id", piece.id},
                        {"name", piece.name},
                        {"input", Json::object()}});
    }
    if (piece.kind == AnswerEvent::kReasoning) {
      if (open_ != "thinking") Open(out, Thinking(""));
      Delta(out, {{"type", "thinking_delta"}, {"thinking", piece.text}});
    } else if (piece.kind == AnswerEvent::kContent) {
      if (open_ != "text") Open(out, {{"type", "text"}, {"text", ""}});
      Delta(out, {{"type", "text_delta"}, {"text", piece.text}});
    } else {
      Delta(out, {{"type", "input_json_delta"}, {"partial_json", piece.text}});
    }
  }
  void Delta(EventStream& out, const Json& delta) const {
    out.Event("content_block_delta",
              {{"type", "content_block_delta"}, {"index", block_}, {"delta", delta}});
  }
  void Open(EventStream& out, const Json& block) {
    CloseBlock(out);
    ++block_;
    open_ = block["type"].get<std::string>();
    out.Event("content_block_start",
              {{"type", "content_block_start"}, {"index", block_}, {"content_block", block}});
    if (block_ == 0) out.Event("ping", {{"type", "ping"}});
  }
  void CloseBlock(EventStream& out) {
    if (!open_.empty()) {
      out.Event("content_block_stop", {{"type", "content_block_stop"}, {"index", block_}});
    }
    open_.clear();
  }

  Json Message(Json content) const {
    return {{"id", facts_.id},
            {"type", "message"},
            {"role", "assistant"},
            {"model", facts_.model},
            {"content", std::move(content)},
            {"stop_reason", nullptr},
            {"stop_sequence", nullptr},
            {"usage", {{"input_tokens", n_prompt_}, {"output_tokens", 0}}}};
  }
  const ReplyFacts facts_;
  const AnswerOptions options_;
  const size_t n_prompt_;  // tokens
  AnswerParser parser_;
  int block_ = -1;
  std::string open_;  // type of the block that is open; empty: none
};

}  // namespace

ApiResult<Json> ChatBodyOfMessages(const Json& body, bool needs_max_tokens) {
  Fields fields(body);
  const Json* list = fields.Array("messages");
  if (list == nullptr || list->empty()) {
    return RefuseField("messages", "expected an array of messages, one at least");
  }
  if (needs_max_tokens && !fields.Integer("max_tokens", 1, INT32_MAX)) {
    return RefuseField("max_tokens", "expected a whole number, 1 at least");
  }
  Json messages = Json::array();
  if (const Json* system = fields.Get("system")) {
    messages.push_back({{"role", "system"}, {"content", *system}});
  }
  for (size_t i = 0; i < list->size(); ++i) {
    const auto added = AddMessage((*list)[i], fmt::format("messages[{}]", i), messages);
    if (!added) return Refuse(added.error());
  }
  Json chat = {{"messages", std::move(messages)}};
  for (const char* name : {"model", "max_tokens", "temperature", "top_p", "top_k", "stream", "kv",
                           "seed", "chat_template_kwargs", "cache_salt", "priority", "id_slot",
                           "cache_prompt", "prompt_cache_key"}) {
    if (body.contains(name)) chat[name] = body[name];
  }
  if (body.contains("stop_sequences")) chat["stop"] = body["stop_sequences"];
  const auto tools = AddTools(fields, chat);
  if (!tools) return Refuse(tools.error());
  if (const Json* config = fields.Object("output_config"); config && config->contains("format")) {
    chat["response_format"] = (*config)["format"];
  }
  if (fields.error()) return Refuse(*fields.error());
  return chat;
}

Json MessagesErrorJson(const ApiError& error) {
  const std::string_view type = error.status == 413   ? "request_too_large"
                                : error.status == 503 ? "overloaded_error"
                                : error.status >= 500 ? "api_error"
                                                      : ErrorType(error.status);
  return {{"type", "error"}, {"error", {{"type", type}, {"message", error.message}}}};
}

double CacheSeconds(const Json& body) {
  double seconds = -1;
  const auto look = [&](const Json& block) {
    if (!block.is_object() || !block.contains("cache_control")) return;
    const Json& control = block["cache_control"];
    if (!control.is_object() || control.value("type", Json()) != "ephemeral") return;
    seconds = std::max(seconds, control.value("ttl", Json()) == "1h" ? kHour : kFiveMinutes);
  };
  const auto look_at_all = [&](const Json& blocks) {
    for (const Json& block : blocks.is_array() ? blocks : Json::array()) look(block);
  };
  look_at_all(body.value("system", Json()));
  look_at_all(body.value("tools", Json()));
  for (const Json& message : body.value("messages", Json::array())) {
    if (message.is_object()) look_at_all(message.value("content", Json()));
  }
  return seconds;
}

std::unique_ptr<Dialect> MakeMessagesDialect(ReplyFacts facts, const AnswerOptions& answer,
                                             size_t n_prompt) {
  return std::make_unique<MessagesDialect>(std::move(facts), answer, n_prompt);
}

}  // namespace kvasir::server
