#include "model/chat_template.h"

#include <algorithm>

namespace kvasir {

Result<ChatTemplate> ChatTemplate::Parse(std::string_view source) {
  auto parsed = jinja::Template::Parse(source);
  if (!parsed) return Fail("chat template: {}", parsed.error().message);
  return ChatTemplate(std::move(*parsed));
}

jinja::RenderResult ChatTemplate::Render(const ChatInputs& inputs,
                                         const jinja::Limits& limits) const {
  // transformers defines tools and documents always, and the special tokens that exist.
  nlohmann::ordered_json variables = {{"messages", inputs.messages},
                                      {"tools", inputs.tools},
                                      {"documents", nullptr},
                                      {"add_generation_prompt", inputs.add_generation_prompt}};
  const std::pair<const char*, const std::optional<std::string>*> tokens[] = {
      {"bos_token", &inputs.tokens.bos},
      {"eos_token", &inputs.tokens.eos},
      {"pad_token", &inputs.tokens.pad},
      {"unk_token", &inputs.tokens.unk}};
  for (const auto& [name, text] : tokens) {
    if (*text) variables[name] = **text;
  }
  if (inputs.extra.is_object()) {
    for (const auto& [name, value] : inputs.extra.items()) variables[name] = value;
  }
  jinja::RenderOptions options;
  options.limits = limits;
  options.now = inputs.date;
  return template_.Render(variables, options);
}

Result<std::vector<NamedTemplate>> ReadChatTemplates(const nlohmann::ordered_json& chat_template) {
  if (chat_template.is_string()) {
    return std::vector<NamedTemplate>{{"default", chat_template.get<std::string>()}};
  }
  if (!chat_template.is_array()) {
    return Fail("chat_template: expected a text or an array of {{name, template}}");
  }
  std::vector<NamedTemplate> templates;
  for (const auto& entry : chat_template) {
    const bool named = entry.is_object() && entry.contains("name") && entry["name"].is_string() &&
                       entry.contains("template") && entry["template"].is_string();
    if (!named) {
      return Fail("chat_template[{}]: expected an object with the texts name and template",
                  templates.size());
    }
    templates.push_back({entry["name"].get<std::string>(), entry["template"].get<std::string>()});
  }
  return templates;
}

Result<std::string> PickChatTemplate(const std::vector<NamedTemplate>& templates, bool has_tools,
                                     std::string_view name) {
  const auto find = [&](std::string_view wanted) {
    return std::find_if(templates.begin(), templates.end(),
                        [&](const NamedTemplate& t) { return t.name == wanted; });
  };
  auto found = templates.end();
  if (!name.empty()) {
    found = find(name);
  } else {
    if (has_tools) found = find("tool_use");
    if (found == templates.end()) found = find("default");
  }
  if (found != templates.end()) return found->source;
  std::string names;
  for (const NamedTemplate& t : templates) names += (names.empty() ? "" : ", ") + t.name;
  return Fail("no chat template '{}': there are {}", name.empty() ? "default" : name,
              names.empty() ? "none" : names);
}

Result<std::tm> ParseDate(std::string_view text) {
  const auto digits = [&](size_t at, size_t n) {
    int value = 0;
    for (const char c : text.substr(at, n)) value = value * 10 + (c - '0');
    return value;
  };
  static constexpr std::string_view kShape = "dddd-dd-dd";
  const bool shaped = text.size() == kShape.size() &&
                      std::equal(text.begin(), text.end(), kShape.begin(), [](char c, char s) {
                        return s == '-' ? c == '-' : c >= '0' && c <= '9';
                      });
  if (!shaped) return Fail("date '{}': expected YYYY-MM-DD", text);
  std::tm date = {};
  date.tm_year = digits(0, 4) - 1900;
  date.tm_mon = digits(5, 2) - 1;
  date.tm_mday = digits(8, 2);
  std::tm normal = date;
  timegm(&normal);  // fills the day of the week and of the year
  if (normal.tm_mon != date.tm_mon || normal.tm_mday != date.tm_mday) {
    return Fail("date '{}': there is no such day", text);
  }
  return normal;
}

}  // namespace kvasir
