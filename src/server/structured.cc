#include "server/structured.h"

#include <algorithm>

#include "engine/constraint.h"
#include "grammar/gbnf.h"
#include "grammar/json_schema.h"

namespace kvasir::server {
namespace {

using GrammarPtr = std::shared_ptr<const grammar::Grammar>;

ApiResult<GrammarPtr> Schema(const Json& schema, const std::string& place) {
  auto compiled = grammar::CompileJsonSchema(schema);
  if (!compiled) return RefuseField(place, compiled.error().message);
  return std::move(*compiled);
}

// null: any text.
ApiResult<GrammarPtr> FormatGrammar(const Json& body) {
  Fields fields(body);
  if (const auto text = fields.Text("grammar"); text && !text->empty()) {
    auto parsed = grammar::ParseGbnf(*text);
    if (!parsed) return RefuseField("grammar", parsed.error().message);
    return std::move(*parsed);
  }
  if (const Json* schema = fields.Object("json_schema")) return Schema(*schema, "json_schema");
  const Json* format = fields.Object("response_format");
  if (fields.error()) return Refuse(*fields.error());
  if (format == nullptr) return GrammarPtr();
  const Json type = format->value("type", Json());
  if (type == "text") return GrammarPtr();
  if (type == "json_object") {
    if (!format->contains("schema")) return grammar::AnyJsonObject();
    return Schema((*format)["schema"], "response_format.schema");
  }
  if (type == "json_schema") {
    const Json inner = format->value("json_schema", Json());
    const Json& holder = inner.is_object() ? inner : *format;
    if (!holder.contains("schema")) {
      return RefuseField("response_format.json_schema", "a schema is missing");
    }
    return Schema(holder["schema"], "response_format.json_schema.schema");
  }
  return RefuseField("response_format", "expected the type text, json_object or json_schema");
}

struct ToolChoice {
  enum class Kind : uint8_t { kNone, kAuto, kRequired } kind = Kind::kAuto;
  std::string only = {};
};

ApiResult<ToolChoice> ReadToolChoice(const Json& body) {
  const Json choice = body.value("tool_choice", Json());
  if (choice.is_null() || choice == "auto") return ToolChoice{};
  if (choice == "none") return ToolChoice{.kind = ToolChoice::Kind::kNone};
  if (choice == "required") return ToolChoice{.kind = ToolChoice::Kind::kRequired};
  const Json function = choice.is_object() ? choice.value("function", Json()) : Json();
  const Json name = function.is_object() ? function.value("name", Json()) : Json();
  if (!name.is_string()) {
    return RefuseField("tool_choice", "expected none, auto, required or a function");
  }
  return ToolChoice{.kind = ToolChoice::Kind::kRequired, .only = name.get<std::string>()};
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
  AnswerForm form;
  auto rules = FormatGrammar(body);
  if (!rules) return Refuse(rules.error());
  const auto choice = ReadToolChoice(body);
  if (!choice) return Refuse(choice.error());
  const bool asked = !conversation.tools.is_null();
  if (choice->kind == ToolChoice::Kind::kNone) conversation.tools = nullptr;
  if (choice->kind == ToolChoice::Kind::kRequired) {
    if (!asked) return RefuseField("tool_choice", "there are no tools to call");
    if (*rules)
      return RefuseField("tool_choice", "a call and a response_format cannot both be required");
    const Json parallel = body.value("parallel_tool_calls", Json());
    auto calls = grammar::ToolCallGrammar(conversation.tools,
                                          {.style = StyleOf(model),
                                           .only = choice->only,
                                           .parallel = choice->only.empty() && parallel != false});
    if (!calls) return RefuseField("tools", calls.error().message);
    *rules = std::move(*calls);
  }
  for (size_t i = 0; conversation.tools.is_array() && i < conversation.tools.size(); ++i) {
    form.tools.push_back(conversation.tools[i]["function"]["name"].get<std::string>());
  }
  if (*rules) form.constraint = MakeConstraint(model, std::move(*rules));
  return form;
}

ApiResult<std::shared_ptr<const TokenConstraint>> ReadTextForm(const Json& body,
                                                               const LoadedModel& model) {
  auto rules = FormatGrammar(body);
  if (!rules) return Refuse(rules.error());
  if (!*rules) return nullptr;
  return MakeConstraint(model, std::move(*rules));
}

AnswerParser::AnswerParser(const AnswerOptions& options) : reasoning_(options.in_reasoning) {
  if (!options.tools.empty()) {
    calls_.emplace(grammar::ToolCallParser::Options{.tools = options.tools});
  }
}

std::vector<AnswerEvent> AnswerParser::Push(std::string_view text) {
  Add(reasoning_.Push(text));
  return std::exchange(events_, {});
}

std::vector<AnswerEvent> AnswerParser::Finish() {
  Add(reasoning_.Finish());
  if (calls_) Add(calls_->Finish());
  // An answer without calls is as the model wrote it.
  if (n_calls() == 0 && !blank_.empty()) {
    events_.push_back({.kind = AnswerEvent::kContent, .text = std::exchange(blank_, {})});
  }
  return std::exchange(events_, {});
}

void AnswerParser::Add(const ReasoningSplitter::Piece& piece) {
  if (!piece.reasoning.empty()) {
    events_.push_back({.kind = AnswerEvent::kReasoning, .text = piece.reasoning});
  }
  if (calls_) {
    Add(calls_->Push(piece.content));
  } else if (!piece.content.empty()) {
    events_.push_back({.kind = AnswerEvent::kContent, .text = piece.content});
  }
}

void AnswerParser::Add(std::vector<grammar::ToolEvent> events) {
  for (grammar::ToolEvent& event : events) {
    if (event.kind != grammar::ToolEvent::kContent) {
      blank_.clear();
      const bool call = event.kind == grammar::ToolEvent::kCall;
      events_.push_back({.kind = call ? AnswerEvent::kCall : AnswerEvent::kArguments,
                         .text = std::move(event.text),
                         .index = event.index,
                         .id = std::move(event.id),
                         .name = std::move(event.name)});
      continue;
    }
    const size_t n = event.text.find_last_not_of(" \t\r\n") + 1;  // npos + 1 is 0
    if (n > 0) {
      events_.push_back({.kind = AnswerEvent::kContent,
                         .text = std::exchange(blank_, {}) + event.text.substr(0, n)});
    }
    blank_ += event.text.substr(n);
  }
}

ParsedAnswer ParseAnswer(const std::string& text, const AnswerOptions& options) {
  ParsedAnswer answer;
  AnswerParser parser(options);
  const auto take = [&](const std::vector<AnswerEvent>& events) {
    for (const AnswerEvent& event : events) {
      if (event.kind == AnswerEvent::kReasoning) {
        answer.reasoning += event.text;
      } else if (event.kind == AnswerEvent::kContent) {
        answer.content += event.text;
      } else if (event.kind == AnswerEvent::kCall) {
        answer.calls.push_back({event.id, event.name, ""});
      } else {
        answer.calls[event.index].arguments += event.text;
      }
    }
  };
  take(parser.Push(text));
  take(parser.Finish());
  return answer;
}

}  // namespace kvasir::server
