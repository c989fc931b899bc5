// Messages as clients send them to messages as templates want them.
#include <algorithm>
#include <array>

#include "server/chat.h"
#include "server/tool_prompt.h"

namespace kvasir::server {
namespace {

constexpr std::array<std::string_view, 6> kRoles = {"system",    "developer", "user",
                                                    "assistant", "tool",      "function"};

ApiResult<std::string> ContentText(const Json& content, const std::string& place) {
  const auto fails = [&](std::string_view what) {
    return Refuse({.message = fmt::format("'{}': {}", place, what), .param = place});
  };
  if (content.is_null()) return "";
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) return fails("expected a text, null or an array of parts");
  std::string text;
  for (const Json& part : content) {
    if (part.is_string()) {
      text += part.get<std::string>();
      continue;
    }
    if (!part.is_object()) return fails("a part is an object with a type");
    const auto type = part.find("type");
    if (type == part.end() || !type->is_string()) return fails("a part is an object with a type");
    const bool refusal = *type == "refusal";
    const auto body = part.find(refusal ? "refusal" : "text");
    const bool is_text =
        refusal || *type == "text" || *type == "input_text" || *type == "output_text";
    if (!is_text) {
      return fails(fmt::format("parts of type '{}' are not supported: this model reads text",
                               type->get<std::string>()));
    }
    if (body == part.end() || !body->is_string()) return fails("a text part has a text");
    text += body->get<std::string>();
  }
  return text;
}

// Templates write arguments with tojson, so they want the object and not its text.
void ParseArguments(Json& function) {
  if (!function.contains("arguments") || !function["arguments"].is_string()) return;
  const auto text = function["arguments"].get<std::string>();
  if (text.find_first_not_of(" \t\r\n") == std::string::npos) {
    function["arguments"] = Json::object();  // as clients write a call without arguments
  } else if (const auto parsed = ParseBody(text)) {
    function["arguments"] = *parsed;
  }
}

// Calls of a message; null: none.
Json CallsOf(const Json& message) {
  Json calls = message.value("tool_calls", Json());
  const Json function = message.value("function_call", Json());  // as they were before tool_calls
  if (!calls.is_array() && function.is_object()) {
    calls = Json::array({{{"type", "function"}, {"function", function}}});
  }
  if (!calls.is_array() || calls.empty()) return nullptr;
  for (Json& call : calls) {
    if (call.is_object() && call.contains("function") && call["function"].is_object())
      ParseArguments(call["function"]);
  }
  return calls;
}

// A message without a content is one where something else says what there was.
bool MayLackContent(const Json& message) {
  if (message["role"] != "assistant") return false;
  constexpr std::array<const char*, 4> kInstead = {"tool_calls", "function_call", "refusal",
                                                   "audio"};
  return std::ranges::any_of(kInstead, [&](const char* key) { return message.contains(key); });
}

ApiResult<Json> ReadMessage(const Json& message, size_t index) {
  const std::string place = fmt::format("messages[{}]", index);
  const auto fails = [&](std::string_view what) {
    return Refuse({.message = fmt::format("'{}': {}", place, what), .param = place});
  };
  if (!message.is_object()) return fails("expected an object with role and content");
  const auto role = message.find("role");
  if (role == message.end() || !role->is_string()) return fails("a role is missing");
  const auto name = role->get<std::string>();
  if (std::find(kRoles.begin(), kRoles.end(), name) == kRoles.end()) {
    return fails(fmt::format("there is no role '{}'", name));
  }
  Json calls = CallsOf(message);
  if (!message.contains("content") && calls.is_null() && !MayLackContent(message))
    return fails("content is missing");
  auto text = ContentText(message.value("content", Json()), place + ".content");
  if (!text) return Refuse(text.error());
  if (const Json refusal = message.value("refusal", Json()); text->empty() && refusal.is_string())
    *text = refusal.get<std::string>();
  Json even = {{"role", name == "developer" ? "system" : name}, {"content", *text}};
  if (!calls.is_null()) even["tool_calls"] = std::move(calls);
  for (const char* key : {"tool_call_id", "name", "reasoning_content"}) {
    if (message.contains(key) && message[key].is_string()) even[key] = message[key];
  }
  return even;
}

// Whether the answer goes on from the last message instead of following it: an assistant's with a
// text, unless the client says otherwise or asks for the next turn.
ApiResult<bool> GoesOn(const Conversation& conversation, Fields& fields) {
  const Json& last = conversation.messages.back();
  const bool can = last["role"] == "assistant" && !last.contains("tool_calls");
  const auto wanted = fields.Flag("continue_final_message");
  const auto next_turn = fields.Flag("add_generation_prompt");
  if (!wanted) return can && !next_turn && last["content"] != "";
  if (*wanted && !can) {
    return RefuseField("continue_final_message",
                       "the last message must be an assistant's, without calls");
  }
  if (*wanted && next_turn.value_or(false)) {
    return RefuseField("continue_final_message", "goes only without add_generation_prompt");
  }
  return *wanted;
}

}  // namespace

ApiResult<Conversation> ReadConversation(const Json& body) {
  Fields fields(body);
  Conversation conversation;
  const Json* messages = fields.Get("messages");
  if (messages == nullptr || !messages->is_array() || messages->empty()) {
    return Refuse({.message = "'messages': expected an array of messages, one at least",
                   .param = "messages"});
  }
  for (size_t i = 0; i < messages->size(); ++i) {
    auto message = ReadMessage((*messages)[i], i);
    if (!message) return Refuse(message.error());
    conversation.messages.push_back(std::move(*message));
  }
  if (const Json* tools = fields.Array("tools"); tools != nullptr && !tools->empty()) {
    for (const Json& tool : *tools) {
      const bool good = tool.is_object() && tool.value("type", Json("function")) == "function" &&
                        tool.contains("function") && tool["function"].is_object() &&
                        tool["function"].contains("name") && tool["function"]["name"].is_string();
      if (!good)
        fields.Fail("tools", "expected {\"type\": \"function\", \"function\": {\"name\", …}}");
    }
    conversation.tools = *tools;
  }
  if (const Json* extra = fields.Object("chat_template_kwargs")) conversation.extra = *extra;
  const auto goes_on = GoesOn(conversation, fields);
  if (fields.error()) return Refuse(*fields.error());
  if (!goes_on) return Refuse(goes_on.error());
  conversation.continue_last = *goes_on;
  conversation.add_generation_prompt =
      !*goes_on && fields.Flag("add_generation_prompt").value_or(true);
  return conversation;
}

ApiResult<std::string> RenderConversation(const LoadedModel& model, Conversation conversation) {
  // Where a text ends that the answer goes on from; templates cut white space, so it is no blank.
  constexpr std::string_view kEnd = "kvasir-the-answer-goes-on-from-here";
  Conversation shown = WithToolsAsText(model, std::move(conversation));
  if (shown.continue_last) {
    Json& content = shown.messages.back()["content"];
    content = content.get<std::string>() + std::string(kEnd);
  }
  auto text =
      model.RenderTemplate(shown.messages, shown.tools, shown.add_generation_prompt, shown.extra);
  if (!text) return Refuse({.message = text.error().message, .param = "messages"});
  if (!shown.continue_last) return std::move(*text);
  const size_t end = text->rfind(kEnd);
  if (end == std::string::npos) {
    return RefuseField("messages", "the chat template does not show the text to go on from");
  }
  return text->substr(0, end);
}

}  // namespace kvasir::server
