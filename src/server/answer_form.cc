// Forms that clients ask for, as grammars.
#include <algorithm>

#include "engine/constraint.h"
#include "grammar/gbnf.h"
#include "grammar/json_schema.h"
#include "server/structured.h"

namespace kvasir::server {
namespace {

using GrammarPtr = std::shared_ptr<const grammar::Grammar>;

// What the client wants of the answer's text: one of these, or neither.
struct TextForm {
  GrammarPtr grammar = nullptr;
  Json schema = nullptr;   // null: none
  std::string place = {};  // of the schema
  bool strict = false;     // what of it cannot be held to is an error
  bool any() const { return grammar != nullptr || !schema.is_null(); }
};

const Json& AnyObject() {
  static const Json kSchema = {{"type", "object"}};
  return kSchema;
}

ApiResult<TextForm> ReadResponseFormat(const Json& format) {
  const Json type = format.value("type", Json());
  if (type == "text") return TextForm();
  if (type == "json_object") {
    const Json schema = format.value("schema", Json());
    return TextForm{.schema = schema.is_null() ? AnyObject() : schema,
                    .place = "response_format.schema"};
  }
  if (type != "json_schema") {
    return RefuseField("response_format", "expected the type text, json_object or json_schema");
  }
  // A response has it without the level between.
  const Json inner = format.value("json_schema", Json());
  const Json& holder = inner.is_object() ? inner : format;
  const Json schema = holder.value("schema", Json());
  if (schema.is_null() && !inner.is_object() && !format.contains("name")) {
    return RefuseField("response_format.json_schema", "a schema is missing");
  }
  return TextForm{.schema = schema.is_null() ? AnyObject() : schema,
                  .place = "response_format.json_schema.schema",
                  .strict = holder.value("strict", Json()) == true};
}

ApiResult<TextForm> ReadForm(const Json& body) {
  Fields fields(body);
  if (const auto text = fields.Text("grammar"); text && !text->empty()) {
    auto parsed = grammar::ParseGbnf(*text);
    if (!parsed) return RefuseField("grammar", parsed.error().message);
    return TextForm{.grammar = std::move(*parsed)};
  }
  if (const Json* schema = fields.Object("json_schema")) {
    return TextForm{.schema = *schema, .place = "json_schema"};
  }
  const Json* format = fields.Object("response_format");
  if (fields.error()) return Refuse(*fields.error());
  return format != nullptr ? ReadResponseFormat(*format) : TextForm();
}

// Put together from calls and a form's schema, where both may come.
class FormGrammar {
 public:
  explicit FormGrammar(std::vector<std::string>& warnings) : warnings_(warnings) {}

  ApiResult<void> AddSchema(const TextForm& form) {
    std::vector<std::string> left_out;
    auto schema = grammar::AddJsonSchema(form.schema, rules_, form.strict ? nullptr : &left_out);
    if (!schema) return RefuseField(form.place, "JSON schema: " + schema.error().message);
    for (const std::string& what : left_out) {
      warnings_.push_back(fmt::format("'{}': {}", form.place, what));
    }
    choices_.push_back(*schema);
    place_ = form.place;
    return {};
  }

  ApiResult<void> AddCalls(const Json& tools, grammar::ToolGrammarOptions options) {
    std::vector<std::string> left_out;
    options.left_out = &left_out;
    auto calls = grammar::AddToolCalls(tools, options, rules_);
    if (!calls) return RefuseField("tools", calls.error().message);
    for (const std::string& what : left_out) warnings_.push_back("'tools': " + what);
    choices_.push_back(*calls);
    place_ = "tools";
    return {};
  }

  ApiResult<GrammarPtr> Build() {
    const grammar::RuleId root = builder_.Declare("#");
    builder_.Define(root, builder_.Choice(std::move(choices_)));
    auto built = builder_.Build(root);
    if (!built) return RefuseField(place_, built.error().message);
    return std::move(*built);
  }

 private:
  std::vector<std::string>& warnings_;
  grammar::GrammarBuilder builder_;
  grammar::JsonRules rules_{builder_};
  std::vector<grammar::ExprId> choices_;
  std::string place_;  // what made it too large
};

struct ToolChoice {
  enum class Kind : uint8_t { kNone, kAuto, kRequired } kind = Kind::kAuto;
  std::string only = {};
  std::optional<std::vector<std::string>> allowed = {};  // of the tools; nullopt: all
};

std::optional<ToolChoice::Kind> KindOf(const Json& name) {
  if (name == "auto") return ToolChoice::Kind::kAuto;
  if (name == "none") return ToolChoice::Kind::kNone;
  if (name == "required" || name == "any") return ToolChoice::Kind::kRequired;
  return std::nullopt;
}

// {"name": …}, or one level deeper in `function`; null: neither.
Json NameOfFunction(const Json& json) {
  if (!json.is_object()) return nullptr;
  const Json function = json.value("function", Json());
  return (function.is_object() ? function : json).value("name", Json());
}

// {"mode", "tools"}, in a chat one level deeper.
ApiResult<ToolChoice> ReadAllowedTools(const Json& choice) {
  const Json inner = choice.value("allowed_tools", Json());
  const Json& holder = inner.is_object() ? inner : choice;
  const auto kind = KindOf(holder.value("mode", Json("auto")));
  const Json tools = holder.value("tools", Json());
  ToolChoice read = {.kind = kind.value_or(ToolChoice::Kind::kAuto),
                     .allowed = std::vector<std::string>()};
  bool good = kind && tools.is_array();
  for (const Json& tool : good ? tools : Json::array()) {
    const Json name = NameOfFunction(tool);
    good = good && name.is_string();
    if (good) read.allowed->push_back(name.get<std::string>());
  }
  if (!good) {
    return RefuseField("tool_choice", "allowed_tools has a mode, auto or required, and tools");
  }
  return read;
}

ApiResult<ToolChoice> ReadToolChoice(const Json& body) {
  const Json choice = body.value("tool_choice", Json());
  if (choice.is_null()) return ToolChoice();
  const Json type = choice.is_object() ? choice.value("type", Json()) : choice;
  if (type == "allowed_tools") return ReadAllowedTools(choice);
  if (const auto kind = KindOf(type)) return ToolChoice{.kind = *kind};
  const Json name = NameOfFunction(choice);
  if (!name.is_string()) {
    return RefuseField("tool_choice", "expected none, auto, required, a function or allowed_tools");
  }
  return ToolChoice{.kind = ToolChoice::Kind::kRequired, .only = name.get<std::string>()};
}

// Leaves those that are allowed.
ApiResult<void> Restrict(Json& tools, const std::vector<std::string>& allowed) {
  Json kept = Json::array();
  for (const std::string& name : allowed) {
    const auto tool = std::ranges::find_if(
        tools, [&](const Json& each) { return each["function"]["name"] == name; });
    if (tool == tools.end()) {
      return RefuseField("tool_choice", fmt::format("there is no tool '{}' to call", name));
    }
    kept.push_back(*tool);
  }
  tools = kept.empty() ? Json() : std::move(kept);
  return {};
}

// What a model's template shows it of calls.
grammar::ToolCallStyle StyleOf(const LoadedModel& model) {
  const std::string& source = model.template_source();
  const bool llama = source.find("<tool_call>") == std::string::npos &&
                     (source.find("python_tag") != std::string::npos ||
                      source.find("\"parameters\"") != std::string::npos);
  return llama ? grammar::ToolCallStyle::kLlama : grammar::ToolCallStyle::kHermes;
}

}  // namespace

ApiResult<AnswerForm> ReadAnswerForm(const Json& body, const LoadedModel& model,
                                     Conversation& conversation) {
  AnswerForm answer;
  auto form = ReadForm(body);
  if (!form) return Refuse(form.error());
  const auto choice = ReadToolChoice(body);
  if (!choice) return Refuse(choice.error());
  Json& tools = conversation.tools;
  if (choice->kind == ToolChoice::Kind::kNone) tools = nullptr;
  if (choice->allowed) {
    const auto restricted = Restrict(tools, *choice->allowed);
    if (!restricted) return Refuse(restricted.error());
  }
  const bool required = choice->kind == ToolChoice::Kind::kRequired;
  if (required && tools.is_null()) {
    return RefuseField("tool_choice", "there are no tools to call");
  }
  if (required && form->grammar) {
    return RefuseField("tool_choice", "a call and a grammar cannot both be required");
  }
  for (const Json& tool : tools.is_array() ? tools : Json::array()) {
    answer.answer.tools.push_back(tool["function"]["name"].get<std::string>());
  }
  answer.answer.parallel_calls = body.value("parallel_tool_calls", Json()) != false;
  answer.answer.formed = form->any() && !required;

  FormGrammar rules(answer.warnings);
  if (required || (!tools.is_null() && !form->schema.is_null())) {
    // Beside a form calls have tags, which no JSON begins with.
    const auto added =
        rules.AddCalls(tools, {.style = required ? StyleOf(model) : grammar::ToolCallStyle::kHermes,
                               .only = choice->only,
                               .parallel = choice->only.empty() && answer.answer.parallel_calls});
    if (!added) return Refuse(added.error());
  }
  if (!required && !form->schema.is_null()) {
    const auto added = rules.AddSchema(*form);
    if (!added) return Refuse(added.error());
  }
  if (required || !form->schema.is_null()) {
    auto built = rules.Build();
    if (!built) return Refuse(built.error());
    form->grammar = std::move(*built);
  }
  if (form->grammar) answer.constraint = MakeConstraint(model, std::move(form->grammar));
  return answer;
}

ApiResult<std::shared_ptr<const TokenConstraint>> ReadTextForm(const Json& body,
                                                               const LoadedModel& model) {
  auto form = ReadForm(body);
  if (!form) return Refuse(form.error());
  if (!form->schema.is_null()) {
    form->strict = true;  // no place for what is left out: it would not be told
    std::vector<std::string> warnings;
    FormGrammar rules(warnings);
    const auto added = rules.AddSchema(*form);
    if (!added) return Refuse(added.error());
    auto built = rules.Build();
    if (!built) return Refuse(built.error());
    form->grammar = std::move(*built);
  }
  if (!form->grammar) return nullptr;
  return MakeConstraint(model, std::move(form->grammar));
}

}  // namespace kvasir::server
