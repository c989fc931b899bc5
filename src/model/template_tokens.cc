#include "model/template_tokens.h"

#include <utility>

#include "model/tokenizer/tokenizer.h"

namespace kvasir {
namespace {

std::string KeyOf(std::string_view token) { return fmt::format("kvasir.template.{}", token); }

}  // namespace

Status SetTemplateTokens(const JsonReader& tokenizer_config, Metadata& metadata) {
  for (const std::string_view token : {"bos_token", "eos_token", "pad_token", "unk_token"}) {
    if (tokenizer_config.IsNull(token)) metadata.Set(KeyOf(token), std::string());
    const Json* found = tokenizer_config.Find(token);
    if (found == nullptr) continue;
    // A text, or an added token as an object.
    const Json* text =
        found->is_object() && found->contains("content") ? &(*found)["content"] : found;
    if (!text->is_string()) {
      return Fail("{}: '{}' must be a text, or an object with the text content",
                  tokenizer_config.where(), token);
    }
    metadata.Set(KeyOf(token), text->get<std::string>());
  }
  return {};
}

TemplateTokens ReadTemplateTokens(const Metadata& metadata, const Tokenizer& tokenizer) {
  const auto token = [&](std::string_view name, int32_t id) -> std::optional<std::string> {
    const auto text = metadata.String(KeyOf(name));
    if (text) return text->empty() ? std::nullopt : std::optional(std::string(*text));
    return id < 0 ? std::nullopt : std::optional(tokenizer.Piece(id));
  };
  return {token("bos_token", tokenizer.bos()), token("eos_token", tokenizer.eos()),
          token("pad_token", tokenizer.pad()), token("unk_token", tokenizer.unk())};
}

}  // namespace kvasir
