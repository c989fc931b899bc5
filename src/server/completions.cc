#include "server/completions.h"

#include <algorithm>

#include "server/structured.h"

namespace kvasir::server {
namespace {

constexpr size_t kMostPrompts = 256;

bool IsTokenList(const Json& value) {
  return value.is_array() && !value.empty() &&
         std::all_of(value.begin(), value.end(),
                     [](const Json& id) { return id.is_number_integer(); });
}

// OpenAI's first form of log-probabilities: parallel arrays.
class LogprobLists {
 public:
  explicit LogprobLists(const LoadedModel& model) : model_(model) {}

  void Add(const TokenRecord& token, bool known, int64_t offset) {
    tokens_.push_back(TokenText(token.bytes));
    logprobs_.push_back(known ? Json(token.logprob) : Json());
    offsets_.push_back(offset);
    Json top = known ? Json::object() : Json();
    for (const auto& [id, logprob] : token.top)
      top[TokenText(model_.tokenizer().Piece(id))] = logprob;
    // The token itself is always among them, as OpenAI has it.
    if (known) top[TokenText(token.bytes)] = token.logprob;
    top_.push_back(std::move(top));
  }
  Json Take() {
    return {{"tokens", std::move(tokens_)},
            {"token_logprobs", std::move(logprobs_)},
            {"top_logprobs", std::move(top_)},
            {"text_offset", std::move(offsets_)}};
  }

 private:
  // "bytes:\xe2\x82" for a part of a character, as OpenAI writes it: two such tokens stay two.
  static std::string TokenText(const std::string& bytes) {
    if (IsValidUtf8(bytes)) return bytes;
    std::string text = "bytes:";
    for (const char c : bytes) text += fmt::format("\\x{:02x}", static_cast<uint8_t>(c));
    return text;
  }
  const LoadedModel& model_;
  Json tokens_ = Json::array(), logprobs_ = Json::array(), top_ = Json::array(),
       offsets_ = Json::array();
};

int64_t CountChars(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; });
}

class CompletionDialect final : public Dialect {
 public:
  CompletionDialect(const LoadedModel& model, ReplyFacts facts, const CompletionCall& call)
      : model_(model),
        facts_(std::move(facts)),
        echoes_(call.echoes),
        n_answers_(call.requests[0].n_answers),
        logprobs_(call.requests[0].top_logprobs >= 0),
        offsets_(call.requests.size() * n_answers_) {}

  Json Whole(std::span<const Choice> choices) override {
    Json list = Json::array();
    for (const Choice& choice : choices) {
      const std::string& echo = echoes_[choice.index / n_answers_];
      list.push_back({{"text", echo + choice.text},
                      {"index", choice.index},
                      {"logprobs", Logprobs(choice.index,
                                            choices[choice.index / n_answers_ * n_answers_].prompt,
                                            choice.tokens)},
                      {"finish_reason", choice.outcome.finish}});
      if (facts_.options.return_tokens) list.back()["tokens"] = choice.ids;
    }
    Json body = Envelope(std::move(list));
    body["usage"] = UsageJson(choices);
    body["timings"] = TimingsJson(choices[0].outcome);
    body["kv"] = KvJson(choices[0].outcome);
    return body;
  }

  void Start(EventStream& out, size_t) override {
    for (size_t i = 0; i < offsets_.size() && !logprobs_; ++i) {
      const std::string& echo = echoes_[i / n_answers_];
      if (!echo.empty()) out.Data(Chunk(static_cast<int>(i), echo, nullptr, nullptr));
    }
  }

  void Progress(EventStream& out, const BatchEvent& event) override {
    Json chunk = Chunk(event.answer, "", nullptr, nullptr);
    chunk["prompt_progress"] = ProgressJson(event);
    out.Data(chunk);
  }

  void Piece(EventStream& out, const Choice& choice, const BatchEvent& event) override {
    if (event.kind != BatchEvent::Kind::kPromptRead) {
      Json chunk =
          Chunk(choice.index, event.text, Logprobs(choice.index, {}, event.tokens), nullptr);
      AddExtras(chunk, facts_.options, event);
      out.Data(chunk);
      return;
    }
    // It is told once, by the first answer to the prompt.
    for (int i = choice.index; i < choice.index + n_answers_; ++i) {
      out.Data(Chunk(i, echoes_[i / n_answers_], Logprobs(i, event.tokens, {}), nullptr));
    }
  }

  void Last(EventStream& out, const Choice& choice) override {
    Json chunk = Chunk(choice.index, "", nullptr, choice.outcome.finish);
    if (!choice.ids.empty()) chunk["choices"][0]["tokens"] = choice.ids;
    chunk["timings"] = TimingsJson(choice.outcome);
    chunk["kv"] = KvJson(choice.outcome);
    out.Data(chunk);
  }

  void Finish(EventStream& out, std::span<const Choice> choices) override {
    if (facts_.options.include_usage) {
      Json chunk = Envelope(Json::array());
      chunk["usage"] = UsageJson(choices);
      out.Data(chunk);
    }
    out.Done();
  }

 private:
  Json Envelope(Json choices) const {
    return {{"id", facts_.id},
            {"object", "text_completion"},
            {"created", facts_.created},
            {"model", facts_.model},
            {"system_fingerprint", facts_.fingerprint},
            {"choices", std::move(choices)}};
  }
  Json Chunk(int index, const std::string& text, Json logprobs, Json finish) const {
    return Envelope(Json::array({{{"text", text},
                                  {"index", index},
                                  {"logprobs", std::move(logprobs)},
                                  {"finish_reason", std::move(finish)}}}));
  }
  Json Logprobs(int index, std::span<const TokenRecord> prompt,
                std::span<const TokenRecord> tokens) {
    if (!logprobs_) return nullptr;
    LogprobLists lists(model_);
    int64_t& offset = offsets_[index];  // in characters of the text
    const auto add = [&](const TokenRecord& token, bool known) {
      lists.Add(token, known, offset);
      offset += CountChars(token.bytes);
    };
    for (size_t i = 0; i < prompt.size(); ++i) add(prompt[i], i > 0);
    for (const TokenRecord& token : tokens) add(token, true);
    return lists.Take();
  }

  const LoadedModel& model_;
  const ReplyFacts facts_;
  const std::vector<std::string> echoes_;
  const int n_answers_;
  const bool logprobs_;
  std::vector<int64_t> offsets_;  // by choice
};

}  // namespace

ApiResult<std::vector<std::vector<int32_t>>> ReadPrompts(const Json* prompts, std::string_view name,
                                                         const LoadedModel& model) {
  const auto fails = [&](std::string_view what) {
    return Refuse({.message = fmt::format("'{}': {}", name, what), .param = std::string(name)});
  };
  if (prompts == nullptr) return fails("missing");
  const auto tokens_of = [](const Json& list) {
    std::vector<int32_t> ids;
    for (const Json& id : list) {
      const auto value = id.get<int64_t>();
      ids.push_back(value < 0 || value > INT32_MAX ? -1 : static_cast<int32_t>(value));
    }
    return ids;
  };
  std::vector<std::vector<int32_t>> all;
  if (prompts->is_string()) {
    all.push_back(model.Tokenize(prompts->get<std::string>(), true));
  } else if (IsTokenList(*prompts)) {
    all.push_back(tokens_of(*prompts));
  } else if (prompts->is_array() && !prompts->empty() && prompts->size() <= kMostPrompts) {
    for (const Json& prompt : *prompts) {
      if (prompt.is_string()) {
        all.push_back(model.Tokenize(prompt.get<std::string>(), true));
      } else if (IsTokenList(prompt)) {
        all.push_back(tokens_of(prompt));
      } else {
        return fails("expected a text, an array of texts, token ids or an array of those");
      }
    }
  } else {
    return fails(fmt::format("expected a text, token ids, or an array of at most {} of those",
                             kMostPrompts));
  }
  for (const std::vector<int32_t>& ids : all) {
    if (ids.empty()) return fails("an empty text has no tokens to go on from");
    for (const int32_t id : ids) {
      if (id < 0 || id >= model.config().n_vocab) {
        return fails(
            fmt::format("a token id is not in the vocabulary (0..{})", model.config().n_vocab - 1));
      }
    }
  }
  return all;
}

ApiResult<CompletionCall> ReadCompletion(const Json& body, const BatchEngine& engine) {
  CompletionCall call;
  Fields fields(body);
  BatchRequest common;
  ReadGeneration(fields, LimitsOf(engine), 16, common, call.reply);
  const bool echo = fields.Flag("echo").value_or(false);
  if (const Json* logprobs = fields.Get("logprobs"); logprobs != nullptr && *logprobs != false) {
    // A number here; true is what clients of the chat endpoint send.
    common.top_logprobs =
        *logprobs == true ? 0 : static_cast<int>(fields.Integer("logprobs", 0, 20).value_or(0));
    common.prompt_logprobs = echo;
  }
  if (!fields.Text("suffix").value_or("").empty()) {
    fields.Fail("suffix", "filling in before a suffix is not supported");
  }
  if (fields.Integer("best_of", 1, 128).value_or(common.n_answers) > common.n_answers) {
    fields.Fail("best_of", "more answers than are returned are not supported");
  }
  if (fields.error()) return Refuse(*fields.error());
  auto form = ReadTextForm(body, engine.model());
  if (!form) return Refuse(form.error());
  common.constraint = std::move(*form);
  auto prompts = ReadPrompts(fields.Get("prompt"), "prompt", engine.model());
  if (!prompts) return Refuse(prompts.error());
  for (std::vector<int32_t>& prompt : *prompts) {
    call.echoes.push_back(echo ? engine.model().Detokenize(prompt) : "");
    call.requests.push_back(common);
    call.requests.back().prompt = std::move(prompt);
  }
  return call;
}

std::unique_ptr<Dialect> MakeCompletionDialect(const LoadedModel& model, ReplyFacts facts,
                                               const CompletionCall& call) {
  return std::make_unique<CompletionDialect>(model, std::move(facts), call);
}

}  // namespace kvasir::server
