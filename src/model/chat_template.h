// ChatTemplate: a conversation to the text of a prompt, as transformers' apply_chat_template does
// it. Thread-safe once parsed.
#pragma once

#include <ctime>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "jinja/template.h"
#include "model/template_tokens.h"

namespace kvasir {

struct ChatInputs {
  nlohmann::ordered_json messages = nlohmann::ordered_json::array();
  nlohmann::ordered_json tools;  // null: templates see none
  bool add_generation_prompt = true;
  TemplateTokens tokens;
  nlohmann::ordered_json extra;  // object of more variables, or null; they win
  std::optional<std::tm> date;   // what strftime_now() shows; the current local time if absent
};

class ChatTemplate {
 public:
  static Result<ChatTemplate> Parse(std::string_view source);

  // error().raised tells a refusal by the template (a fault of the conversation; the message is the
  // template's own) from any other failure.
  jinja::RenderResult Render(const ChatInputs& inputs, const jinja::Limits& limits = {}) const;

 private:
  explicit ChatTemplate(jinja::Template jinja_template) : template_(std::move(jinja_template)) {}
  jinja::Template template_;
};

struct NamedTemplate {
  std::string name, source;
};

// `chat_template` of a tokenizer_config.json: one text, named "default", or an array of objects
// with name and template.
Result<std::vector<NamedTemplate>> ReadChatTemplates(const nlohmann::ordered_json& chat_template);

// The one of that name; without a name "tool_use" if there are tools and it exists, else "default".
Result<std::string> PickChatTemplate(const std::vector<NamedTemplate>& templates, bool has_tools,
                                     std::string_view name = "");

// For models that bring no template.
inline constexpr std::string_view kChatMlTemplate =
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

// Midnight of "YYYY-MM-DD".
Result<std::tm> ParseDate(std::string_view text);

}  // namespace kvasir
