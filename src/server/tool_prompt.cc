#include "server/tool_prompt.h"

#include <algorithm>

namespace kvasir::server {
namespace {

std::string ToolsText(const Json& tools) {
  std::string text =
      "You can call functions. These are there, a line each:\n"
      "<tools>\n";
  for (const Json& tool : tools) text += Dump(tool["function"]) + "\n";
  text +=
      "</tools>\n"
      "To call one, answer with nothing but its name and its arguments, as JSON in this form:\n"
      "<tool_call>\n"
      "{\"name\": \"the function\", \"arguments\": {\"an argument\": \"its value\"}}\n"
      "</tool_call>\n"
      "Its result then comes in <tool_response></tool_response>.";
  return text;
}

std::string CallText(const Json& call) {
  const Json function = call.is_object() ? call.value("function", Json()) : Json();
  if (!function.is_object()) return "";
  return fmt::format("<tool_call>\n{{\"name\": {}, \"arguments\": {}}}\n</tool_call>",
                     Dump(function.value("name", Json(""))),
                     Dump(function.value("arguments", Json::object())));
}

void Append(Json& message, const std::string& text) {
  const auto before = message["content"].get<std::string>();
  message["content"] = before.empty() || text.empty() ? before + text : before + "\n" + text;
}

void CallsBecomeText(Json& message) {
  const Json calls = std::exchange(message["tool_calls"], nullptr);
  for (const Json& call : calls) Append(message, CallText(call));
  message.erase("tool_calls");
}

// Results, and what the user says after them, are one turn: some templates want turns to alternate.
Json ResultsBecomeTurns(const Json& messages) {
  Json turns = Json::array();
  bool after_result = false;
  for (const Json& message : messages) {
    const bool result = message["role"] == "tool" || message["role"] == "function";
    const auto content = message["content"].get<std::string>();
    const std::string text =
        result ? "<tool_response>\n" + content + "\n</tool_response>" : content;
    if (after_result && (result || message["role"] == "user")) {
      Append(turns.back(), text);
    } else if (result) {
      turns.push_back({{"role", "user"}, {"content", text}});
    } else {
      turns.push_back(message);
    }
    after_result = result;
  }
  return turns;
}

// In front: of the system message, or of the first of the user where there can be no other.
void Tell(Json& messages, const std::string& text, bool system) {
  const char* const role = system ? "system" : "user";
  const auto first =
      std::ranges::find_if(messages, [&](const Json& message) { return message["role"] == role; });
  if (first != messages.end() && (!system || first == messages.begin())) {
    const auto said = (*first)["content"].get<std::string>();
    (*first)["content"] = system ? said + "\n\n" + text : text + "\n\n" + said;
  } else {
    const Json message = {{"role", role}, {"content", text}};
    messages.insert(messages.begin(), message);
  }
}

}  // namespace

Conversation WithToolsAsText(const LoadedModel& model, Conversation conversation) {
  const bool any = !conversation.tools.is_null() ||
                   std::ranges::any_of(conversation.messages, [](const Json& message) {
                     return message.contains("tool_calls") || message["role"] == "tool" ||
                            message["role"] == "function";
                   });
  if (!any || ShowsTools(model)) return conversation;
  for (Json& message : conversation.messages) {
    if (message.contains("tool_calls")) CallsBecomeText(message);
  }
  conversation.messages = ResultsBecomeTurns(conversation.messages);
  if (!conversation.tools.is_null()) {
    Tell(conversation.messages, ToolsText(std::exchange(conversation.tools, nullptr)),
         ShowsSystem(model));
  }
  return conversation;
}

}  // namespace kvasir::server
