// kvasir template: a conversation as a chat template writes it. Reads no weights.
#include <nlohmann/json.hpp>

#include "commands.h"
#include "model/chat_template.h"
#include "model/tokenizer/tokenizer_source.h"
#include "model_file.h"

namespace kvasir::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kMaxJsonBytes = 64 << 20;

// What a model brings to rendering. Without one (a template is given): ChatML, no special tokens.
struct ModelTemplate {
  std::string source = std::string(kChatMlTemplate), source_with_tools;
  TemplateTokens tokens;
};

Result<ModelTemplate> ReadModelTemplate(const Args& args) {
  ModelTemplate found;
  const bool own = args.Given("template") || args.Given("jsonl");
  const auto path = ModelPath(args);
  if (!path && own) return found;
  KV_ASSIGN_OR_RETURN(const std::unique_ptr<ModelSource> source, OpenModelFile(args));
  const Metadata& metadata = source->metadata();
  KV_ASSIGN_OR_RETURN(found.source, metadata.String("tokenizer.chat_template", kChatMlTemplate));
  KV_ASSIGN_OR_RETURN(found.source_with_tools,
                      metadata.String("tokenizer.chat_template.tool_use", ""));
  KV_ASSIGN_OR_RETURN(const Tokenizer tokenizer, TokenizerFromMetadata(metadata));
  found.tokens = ReadTemplateTokens(metadata, tokenizer);
  return found;
}

Result<Json> ReadJson(const std::string& path) {
  KV_ASSIGN_OR_RETURN(const std::string text, ReadText(path));
  if (text.size() > kMaxJsonBytes) return Fail("{}: more than 64 MiB of JSON", path);
  Json json = ParseJson(text);
  if (json.is_discarded()) return Fail("{}: not JSON", path);
  return json;
}

class Renderer {
 public:
  Renderer(ModelTemplate model, std::optional<std::tm> date)
      : model_(std::move(model)), date_(date) {}

  // Without a source: the model's.
  Result<std::string> Render(const std::optional<std::string>& given, ChatInputs inputs) {
    const bool tools = !inputs.tools.is_null() && !model_.source_with_tools.empty();
    const std::string& source = given ? *given : tools ? model_.source_with_tools : model_.source;
    if (!parsed_ || source != parsed_source_) {  // lines of a file often share one template
      KV_ASSIGN_OR_RETURN(parsed_, ChatTemplate::Parse(source));
      parsed_source_ = source;
    }
    TemplateTokens& tokens = inputs.tokens;
    if (!tokens.bos) tokens.bos = model_.tokens.bos;
    if (!tokens.eos) tokens.eos = model_.tokens.eos;
    tokens.pad = model_.tokens.pad;
    tokens.unk = model_.tokens.unk;
    inputs.date = date_;
    auto text = parsed_->Render(inputs);
    if (!text) return tl::unexpected<Error>(Error{text.error().message});
    return std::move(*text);
  }

 private:
  const ModelTemplate model_;
  const std::optional<std::tm> date_;
  std::string parsed_source_;
  std::optional<ChatTemplate> parsed_;
};

// A text under `key`, or nothing where it is absent or null.
Result<std::optional<std::string>> TextOf(const Json& line, const char* key) {
  if (!line.contains(key) || line[key].is_null()) return std::optional<std::string>();
  if (!line[key].is_string()) return Fail("{}: a text is wanted", key);
  return std::optional(line[key].get<std::string>());
}

// One line of --jsonl. Keys without a meaning of their own are variables of the template, and so
// are those of an object "extra".
Result<std::string> RenderLine(Renderer& renderer, const std::optional<std::string>& otherwise,
                               bool generation_prompt, const Json& line) {
  ChatInputs inputs;
  if (!line.contains("messages")) return Fail("a line needs \"messages\"");
  KV_ASSIGN_OR_RETURN(const std::optional<std::string> source, TextOf(line, "template"));
  KV_ASSIGN_OR_RETURN(inputs.tokens.bos, TextOf(line, "bos_token"));
  KV_ASSIGN_OR_RETURN(inputs.tokens.eos, TextOf(line, "eos_token"));
  const Json add = line.value("add_generation_prompt", Json(generation_prompt));
  if (!add.is_boolean()) return Fail("add_generation_prompt: true or false is wanted");
  inputs.messages = line["messages"];
  inputs.tools = line.value("tools", Json());
  inputs.add_generation_prompt = add.get<bool>();
  inputs.extra = Json::object();
  for (const auto& [name, value] : line.items()) {
    if (name == "template" || name == "messages" || name == "tools" || name == "bos_token" ||
        name == "eos_token" || name == "add_generation_prompt") {
      continue;
    }
    inputs.extra[name] = value;
  }
  if (line.contains("extra") && line["extra"].is_object()) inputs.extra.update(line["extra"]);
  return renderer.Render(source ? source : otherwise, std::move(inputs));
}

Result<ChatInputs> InputsOf(const Args& args) {
  ChatInputs inputs;
  inputs.add_generation_prompt = !args.On("no-generation-prompt");
  if (args.Given("tools")) {
    KV_ASSIGN_OR_RETURN(inputs.tools, ReadJson(args.Text("tools")));
  }
  if (args.Given("messages")) {
    KV_ASSIGN_OR_RETURN(inputs.messages, ReadJson(args.Text("messages")));
    return inputs;
  }
  if (args.Given("system")) {
    inputs.messages.push_back({{"role", "system"}, {"content", args.Text("system")}});
  }
  inputs.messages.push_back({{"role", "user"}, {"content", args.Text("prompt")}});
  return inputs;
}

}  // namespace

Result<int> TemplateCommand(Context& context) {
  const Args& args = context.args;
  if (args.Given("messages") + args.Given("prompt") + args.Given("jsonl") != 1) {
    return WrongUsage(context, "give one of --messages FILE, -p TEXT, --jsonl FILE");
  }
  if (args.Given("messages") && args.Given("system")) {
    return WrongUsage(context, "--system goes with -p; --messages has its own system message");
  }
  std::optional<std::tm> date;
  if (args.Given("date")) {
    const auto parsed = ParseDate(args.Text("date"));
    if (!parsed) return WrongUsage(context, "--date {}: write YYYY-MM-DD", args.Text("date"));
    date = *parsed;
  }
  KV_ASSIGN_OR_RETURN(ModelTemplate model, ReadModelTemplate(args));
  std::optional<std::string> source;
  if (args.Given("template")) {
    KV_ASSIGN_OR_RETURN(source, ReadText(args.Text("template")));
    if (source->empty()) return Fail("--template {}: it is empty", args.Text("template"));
  }
  Renderer renderer(std::move(model), date);
  if (args.Given("jsonl")) {
    const bool generation_prompt = !args.On("no-generation-prompt");
    return AnswerLines(context, [&](const Json& line) -> Json {
      const auto text = RenderLine(renderer, source, generation_prompt, line);
      if (!text) return {{"error", text.error().message}};
      return {{"text", *text}};
    });
  }
  KV_ASSIGN_OR_RETURN(ChatInputs inputs, InputsOf(args));
  KV_ASSIGN_OR_RETURN(const std::string text, renderer.Render(source, std::move(inputs)));
  if (context.console.json()) {
    context.console.WriteJson({{"text", text}});
  } else {
    context.console.Write(text);
  }
  return kExitDone;
}

}  // namespace kvasir::cli
