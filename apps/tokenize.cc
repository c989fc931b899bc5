// kvasir tokenize: text to ids and back. Reads no weights.
#include <nlohmann/json.hpp>

#include "commands.h"
#include "model/tokenizer/tokenizer_source.h"
#include "model_file.h"

namespace kvasir::cli {
namespace {

using Json = nlohmann::ordered_json;

std::vector<int32_t> EncodeText(Context& context, const Tokenizer& tokenizer, std::string_view text,
                                bool parse_special) {
  EncodeNotes notes;
  std::vector<int32_t> ids = tokenizer.Encode(
      text,
      {.parse_special = parse_special, .add_special = context.args.On("bos"), .notes = &notes});
  if (notes.dropped_bytes > 0) {
    context.console.Warn(fmt::format("{} bytes have no token in this vocabulary and were dropped",
                                     notes.dropped_bytes));
  }
  return ids;
}

Json TextJson(const Tokenizer& tokenizer, std::span<const int32_t> ids) {
  Json json = {{"text", tokenizer.Decode(ids, {.special = true})}};
  return json;
}

// One line of --jsonl.
Json Answer(Context& context, const Tokenizer& tokenizer, const Json& line) {
  if (line.contains("text") && line["text"].is_string()) {
    const Json special = line.value("parse_special", Json(!context.args.On("no-special")));
    if (!special.is_boolean()) return {{"error", "parse_special is true or false"}};
    return {{"ids", EncodeText(context, tokenizer, line["text"].get_ref<const std::string&>(),
                               special.get<bool>())}};
  }
  if (!line.contains("ids") || !line["ids"].is_array()) {
    return {{"error", "a line has \"text\" (a string) or \"ids\" (an array)"}};
  }
  std::vector<int32_t> ids;
  for (const Json& id : line["ids"]) {
    const bool fits =
        id.is_number_integer() && id.get<int64_t>() >= 0 && id.get<int64_t>() < tokenizer.n_vocab();
    if (!fits) return {{"error", "ids are whole numbers below the size of the vocabulary"}};
    ids.push_back(id.get<int32_t>());
  }
  return TextJson(tokenizer, ids);
}

Result<int> Decode(Context& context, const Tokenizer& tokenizer) {
  const std::vector<int32_t> ids = context.args.Tokens("ids");
  for (const int32_t id : ids) {
    if (id >= tokenizer.n_vocab()) {
      return Fail("--ids {}: the vocabulary has 0..{}", id, tokenizer.n_vocab() - 1);
    }
  }
  if (context.console.json()) {
    context.console.WriteJson(TextJson(tokenizer, ids));
  } else {
    context.console.Write(tokenizer.Decode(ids, {.special = true}) + "\n");
  }
  return kExitDone;
}

Result<int> Encode(Context& context, const Tokenizer& tokenizer) {
  const Args& args = context.args;
  std::string text = args.Text("prompt");
  if (args.Given("file")) {
    KV_ASSIGN_OR_RETURN(text, ReadText(args.Text("file")));
  }
  const std::vector<int32_t> ids = EncodeText(context, tokenizer, text, !args.On("no-special"));
  Json pieces = Json::array();
  for (const int32_t id : ids) pieces.push_back(tokenizer.Piece(id));
  context.console.WriteJson({{"ids", ids}, {"pieces", std::move(pieces)}});
  return kExitDone;
}

}  // namespace

Result<int> TokenizeCommand(Context& context) {
  const Args& args = context.args;
  const int n_inputs =
      args.Given("prompt") + args.Given("file") + args.Given("jsonl") + args.Given("ids");
  if (n_inputs != 1 || args.On("decode") != args.Given("ids")) {
    return WrongUsage(context, "give one of -p TEXT, -f FILE, --jsonl FILE, --decode --ids 1,2,3");
  }
  KV_ASSIGN_OR_RETURN(const std::unique_ptr<ModelSource> source, OpenModelFile(args));
  KV_ASSIGN_OR_RETURN(const Tokenizer tokenizer, TokenizerFromMetadata(source->metadata()));
  if (args.Given("jsonl")) {
    return AnswerLines(context, [&](const Json& line) { return Answer(context, tokenizer, line); });
  }
  return args.On("decode") ? Decode(context, tokenizer) : Encode(context, tokenizer);
}

}  // namespace kvasir::cli
