// What a chat template can show, found out by rendering.
#include <algorithm>
#include <array>
#include <span>

#include "server/chat.h"

namespace kvasir::server {
namespace {

// Whether all marks are in what the template makes of the messages; one that fails shows nothing.
bool Shows(const LoadedModel& model, const Json& messages, const Json& tools,
           std::span<const std::string_view> marks) {
  const auto text = model.RenderTemplate(messages, tools, true, Json::object());
  return text && std::all_of(marks.begin(), marks.end(), [&](std::string_view mark) {
           return text->find(mark) != std::string::npos;
         });
}

constexpr std::string_view kOne = "probe_marten", kTwo = "probe_otter";

Json Said(std::string_view role, std::string_view text) {
  return {{"role", role}, {"content", text}};
}

Json ProbeCall(std::string_view name) {
  return {{"id", "call_probe"},
          {"type", "function"},
          {"function", {{"name", name}, {"arguments", Json::object()}}}};
}

}  // namespace

bool ShowsTools(const LoadedModel& model) {
  const Json tools =
      Json::array({{{"type", "function"},
                    {"function",
                     {{"name", kOne},
                      {"description", ""},
                      {"parameters", {{"type", "object"}, {"properties", Json::object()}}}}}}});
  return Shows(model, Json::array({Said("user", "Hello")}), tools, std::array{kOne});
}

bool ShowsSystem(const LoadedModel& model) {
  return Shows(model, Json::array({Said("system", kOne), Said("user", "Hello")}), {},
               std::array{kOne});
}

Json TemplateCaps(const LoadedModel& model) {
  const Json user = Said("user", "Hello");
  const auto called = [&](const Json& calls) {
    Json message = Said("assistant", "");
    message["tool_calls"] = calls;
    return Json::array({user, std::move(message)});
  };
  const std::array one = {kOne}, two = {kTwo};
  const std::array both = {kOne, kTwo};
  Json thought = Said("assistant", "Yes");
  thought["reasoning_content"] = kOne;
  Json answered = called(Json::array({ProbeCall(kOne)}));
  answered.push_back(
      {{"role", "tool"}, {"tool_call_id", "call_probe"}, {"name", kOne}, {"content", kTwo}});
  return {{"supports_system_role", ShowsSystem(model)},
          {"supports_tools", ShowsTools(model)},
          {"supports_tool_calls", Shows(model, called(Json::array({ProbeCall(kOne)})), {}, one)},
          {"supports_parallel_tool_calls",
           Shows(model, called(Json::array({ProbeCall(kOne), ProbeCall(kTwo)})), {}, both)},
          {"supports_tool_responses", Shows(model, answered, {}, two)},
          {"supports_preserve_reasoning",
           Shows(model, Json::array({user, std::move(thought), user}), {}, one)}};
}

}  // namespace kvasir::server
