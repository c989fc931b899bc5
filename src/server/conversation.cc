// Messages as clients send them to messages as templates want them.
#include <algorithm>
#include <array>
#include <span>

#include "server/chat.h"

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
    const auto body = part.find("text");
    const bool is_text = *type == "text" || *type == "input_text" || *type == "output_text";
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
Json ToolCalls(const Json& calls) {
  Json list = calls;
  for (Json& call : list) {
    if (!call.is_object() || !call.contains("function") || !call["function"].is_object()) continue;
    Json& function = call["function"];
    if (!function.contains("arguments") || !function["arguments"].is_string()) continue;
    const auto parsed = ParseBody(function["arguments"].get<std::string>());
    if (parsed) function["arguments"] = *parsed;
  }
  return list;
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
  const bool calls = message.contains("tool_calls") && message["tool_calls"].is_array() &&
                     !message["tool_calls"].empty();
  if (!message.contains("content") && !calls) return fails("content is missing");
  auto text = ContentText(message.value("content", Json()), place + ".content");
  if (!text) return Refuse(text.error());
  Json even = {{"role", name == "developer" ? "system" : name}, {"content", *text}};
  if (calls) even["tool_calls"] = ToolCalls(message["tool_calls"]);
  for (const char* key : {"tool_call_id", "name", "reasoning_content"}) {
    if (message.contains(key) && message[key].is_string()) even[key] = message[key];
  }
  return even;
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
  conversation.add_generation_prompt = fields.Flag("add_generation_prompt").value_or(true);
  if (fields.error()) return Refuse(*fields.error());
  return conversation;
}

ApiResult<std::string> RenderConversation(const LoadedModel& model,
                                          const Conversation& conversation) {
  auto text = model.RenderTemplate(conversation.messages, conversation.tools,
                                   conversation.add_generation_prompt, conversation.extra);
  if (!text) return Refuse({.message = text.error().message, .param = "messages"});
  return std::move(*text);
}

namespace {

// Whether all marks are in what the template makes of the messages; one that fails shows nothing.
bool Shows(const LoadedModel& model, const Json& messages, const Json& tools,
           std::span<const std::string_view> marks) {
  const auto text = model.RenderTemplate(messages, tools, true, Json::object());
  return text && std::all_of(marks.begin(), marks.end(), [&](std::string_view mark) {
           return text->find(mark) != std::string::npos;
         });
}

Json ProbeCall(std::string_view name) {
  return {{"id", "call_probe"},
          {"type", "function"},
          {"function", {{"name", name}, {"arguments", Json::object()}}}};
}

}  // namespace

Json TemplateCaps(const LoadedModel& model) {
  constexpr std::string_view kOne = "probe_marten", kTwo = "probe_otter";
  const Json user = {{"role", "user"}, {"content", "Hello"}};
  const auto said = [](std::string_view role, std::string_view text) -> Json {
    return {{"role", role}, {"content", text}};
  };
  const Json tools =
      Json::array({{{"type", "function"},
                    {"function",
                     {{"name", kOne},
                      {"description", ""},
                      {"parameters", {{"type", "object"}, {"properties", Json::object()}}}}}}});
  const auto called = [&](const Json& calls) {
    Json message = said("assistant", "");
    message["tool_calls"] = calls;
    return Json::array({user, std::move(message)});
  };
  const std::array one = {kOne}, two = {kTwo};
  const std::array both = {kOne, kTwo};
  Json thought = said("assistant", "Yes");
  thought["reasoning_content"] = kOne;
  Json answered = called(Json::array({ProbeCall(kOne)}));
  answered.push_back(
      {{"role", "tool"}, {"tool_call_id", "call_probe"}, {"name", kOne}, {"content", kTwo}});
  return {
      {"supports_system_role", Shows(model, Json::array({said("system", kOne), user}), {}, one)},
      {"supports_tools", Shows(model, Json::array({user}), tools, one)},
      {"supports_tool_calls", Shows(model, called(Json::array({ProbeCall(kOne)})), {}, one)},
      {"supports_parallel_tool_calls",
       Shows(model, called(Json::array({ProbeCall(kOne), ProbeCall(kTwo)})), {}, both)},
      {"supports_tool_responses", Shows(model, answered, {}, two)},
      {"supports_preserve_reasoning",
       Shows(model, Json::array({user, std::move(thought), user}), {}, one)}};
}

}  // namespace kvasir::server
