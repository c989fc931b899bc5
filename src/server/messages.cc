#include "server/messages.h"

#include <algorithm>

namespace kvasir::server {
namespace {

constexpr double kFiveMinutes = 300, kHour = 3600;  // what "ephemeral" means, and its longer form

tl::unexpected<ApiError> Wrong(const std::string& place, std::string_view what) {
  return Refuse({.message = fmt::format("'{}': {}", place, what), .param = place});
}

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
  if (!message.is_object()) return Wrong(place, "expected an object with role and content");
  const Json role = message.value("role", Json());
  if (role != "user" && role != "assistant")
    return Wrong(place + ".role", "expected user or assistant");
  const Json content = message.value("content", Json());
  if (content.is_string()) {
    messages.push_back({{"role", role}, {"content", content}});
    return {};
  }
  if (!content.is_array())
    return Wrong(place + ".content", "expected a text or an array of blocks");
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
      return Wrong(place + ".content",
                   "blocks are text, tool_use or tool_result: this model reads text");
    }
  }
  if (parts.empty() && calls.empty()) return {};
  Json even = {{"role", role}, {"content", parts.empty() ? Json("") : parts}};
  if (!calls.empty()) even["tool_calls"] = std::move(calls);
  messages.push_back(std::move(even));
  return {};
}

void AddTools(const Json& body, Json& chat) {
  if (!body.contains("tools") || !body["tools"].is_array()) return;
  Json tools = Json::array();
  for (const Json& tool : body["tools"]) {
    if (!tool.is_object()) continue;
    tools.push_back({{"type", "function"},
                     {"function",
                      {{"name", tool.value("name", Json())},
                       {"description", tool.value("description", Json(""))},
                       {"parameters", tool.value("input_schema", Json::object())}}}});
  }
  chat["tools"] = std::move(tools);
  const Json choice = body.value("tool_choice", Json());
  const Json type = choice.is_object() ? choice.value("type", Json()) : Json();
  if (type == "any") chat["tool_choice"] = "required";
  if (type == "none" || type == "auto") chat["tool_choice"] = type;
  if (type == "tool") {
    chat["tool_choice"] = {{"type", "function"},
                           {"function", {{"name", choice.value("name", Json())}}}};
  }
}

std::string_view StopReason(const BatchOutcome& outcome) {
  if (outcome.finish == "length") return "max_tokens";
  if (outcome.finish == "tool_calls") return "tool_use";
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
  explicit MessagesDialect(ReplyFacts facts) : facts_(std::move(facts)) {}

  Json Whole(std::span<const Choice> choices) override {
    const BatchOutcome& outcome = choices[0].outcome;
    Json message = Message(Json::array({{{"type", "text"}, {"text", choices[0].text}}}));
    message["stop_reason"] = StopReason(outcome);
    if (!outcome.stop_text.empty()) message["stop_sequence"] = outcome.stop_text;
    message["usage"] = InputUsage(outcome);
    message["kv"] = KvJson(outcome);
    return message;
  }

  void Start(EventStream& out, size_t) override {
    out.Event("message_start", {{"type", "message_start"}, {"message", Message(Json::array())}});
    out.Event("content_block_start", {{"type", "content_block_start"},
                                      {"index", 0},
                                      {"content_block", {{"type", "text"}, {"text", ""}}}});
    out.Event("ping", {{"type", "ping"}});
  }

  void Piece(EventStream& out, const Choice&, const BatchEvent& event) override {
    if (event.text.empty()) return;
    out.Event("content_block_delta", {{"type", "content_block_delta"},
                                      {"index", 0},
                                      {"delta", {{"type", "text_delta"}, {"text", event.text}}}});
  }

  void Last(EventStream& out, const Choice& choice) override {
    const BatchOutcome& outcome = choice.outcome;
    out.Event("content_block_stop", {{"type", "content_block_stop"}, {"index", 0}});
    out.Event("message_delta",
              {{"type", "message_delta"},
               {"delta",
                {{"stop_reason", StopReason(outcome)},
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
  Json ErrorBody(const ApiError& error) override {
    return {{"type", "error"},
            {"error", {{"type", ErrorType(error.status)}, {"message", error.message}}}};
  }

 private:
  Json Message(Json content) const {
    return {{"id", facts_.id},
            {"type", "message"},
            {"role", "assistant"},
            {"model", facts_.model},
            {"content", std::move(content)},
            {"stop_reason", nullptr},
            {"stop_sequence", nullptr},
            {"usage", {{"input_tokens", 0}, {"output_tokens", 0}}}};
  }
  const ReplyFacts facts_;
};

}  // namespace

ApiResult<Json> ChatBodyOfMessages(const Json& body, bool needs_max_tokens) {
  Fields fields(body);
  const Json* list = fields.Array("messages");
  if (list == nullptr || list->empty()) {
    return Wrong("messages", "expected an array of messages, one at least");
  }
  if (needs_max_tokens && !fields.Integer("max_tokens", 1, INT32_MAX)) {
    return Wrong("max_tokens", "expected a whole number, 1 at least");
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
                           "seed", "chat_template_kwargs"}) {
    if (body.contains(name)) chat[name] = body[name];
  }
  if (body.contains("stop_sequences")) chat["stop"] = body["stop_sequences"];
  AddTools(body, chat);
  return chat;
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

std::unique_ptr<Dialect> MakeMessagesDialect(ReplyFacts facts) {
  return std::make_unique<MessagesDialect>(std::move(facts));
}

}  // namespace kvasir::server
