#include "server/prompts.h"

#include <algorithm>

namespace kvasir::server {
namespace {

bool IsTokenList(const Json& value) {
  return value.is_array() && !value.empty() &&
         std::all_of(value.begin(), value.end(),
                     [](const Json& id) { return id.is_number_integer(); });
}

}  // namespace

ApiResult<void> CheckLength(std::string_view text, const BatchEngine& engine) {
  if (static_cast<int64_t>(text.size()) <= engine.most_text_bytes()) return {};
  return Refuse({.message = fmt::format("this model's maximum context length is {} tokens, which "
                                        "are {} bytes at most, and the text has {} bytes",
                                        engine.ctx(), engine.most_text_bytes(), text.size()),
                 .code = "context_length_exceeded"});
}

ApiResult<std::vector<Prompt>> ReadPrompts(const Json* prompts, std::string_view name,
                                           const BatchEngine& engine, size_t most) {
  const auto fails = [&](std::string_view what) {
    return Refuse({.message = fmt::format("'{}': {}", name, what), .param = std::string(name)});
  };
  if (prompts == nullptr) return fails("missing");
  const LoadedModel& model = engine.model();
  const Json one = prompts->is_string() || IsTokenList(*prompts) ? Json::array({*prompts}) : Json();
  const Json& list = one.is_null() ? *prompts : one;
  if (!list.is_array() || list.empty() || list.size() > most) {
    return fails(
        fmt::format("expected a text, token ids, or an array of at most {} of those", most));
  }
  std::vector<Prompt> all;
  for (const Json& item : list) {
    Prompt& prompt = all.emplace_back();
    if (item.is_string()) {
      prompt.text = item.get<std::string>();
      if (const auto fits = CheckLength(*prompt.text, engine); !fits) return Refuse(fits.error());
      prompt.ids = model.Tokenize(*prompt.text, true);
    } else if (IsTokenList(item)) {
      for (const Json& id : item) {
        const auto value = id.get<int64_t>();
        prompt.ids.push_back(value < 0 || value > INT32_MAX ? -1 : static_cast<int32_t>(value));
      }
    } else {
      return fails("expected a text, an array of texts, token ids or an array of those");
    }
    if (prompt.ids.empty()) return fails("an empty text has no tokens to go on from");
    for (const int32_t id : prompt.ids) {
      if (id < 0 || id >= model.config().n_vocab) {
        return fails(
            fmt::format("a token id is not in the vocabulary (0..{})", model.config().n_vocab - 1));
      }
    }
  }
  return all;
}

}  // namespace kvasir::server
