#include "server/completions.h"

#include <algorithm>

#include "server/structured.h"

namespace kvasir::server {
namespace {

constexpr size_t kMostPrompts = 256;
constexpr int kMostAnswers = 128;     // to one prompt, as `n`
constexpr int64_t kMostInAll = 1024;  // answers of one request: each holds its prompt

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
        n_returned_(call.n_returned),
        logprobs_(call.logprobs),
        offsets_(call.requests.size() * n_answers_) {}

  Json Whole(std::span<const Choice> choices) override {
    Json list = Json::array();
    for (size_t first = 0; first < choices.size(); first += n_answers_) {
      for (const Choice* choice : Best(choices.subspan(first, n_answers_))) {
        const Echo& echo = echoes_[first / n_answers_];
        list.push_back(
            {{"text", echo.text + choice->text},
             {"index", list.size()},
             {"logprobs", Logprobs(choice->index, choices[first].prompt, choice->tokens)},
             {"finish_reason", choice->outcome.finish}});
        if (facts_.options.return_tokens) list.back()["tokens"] = choice->ids;
      }
    }
    Json body = Envelope(std::move(list));
    body["usage"] = UsageJson(choices);
    body["timings"] = TimingsJson(choices[0].outcome);
    body["kv"] = KvJson(choices[0].outcome);
    return body;
  }

  void Start(EventStream& out, size_t) override {
    for (size_t i = 0; i < offsets_.size() && !logprobs_; ++i) {
      const std::string& echo = echoes_[i / n_answers_].text;
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
      out.Data(Chunk(i, echoes_[i / n_answers_].text, Logprobs(i, event.tokens, {}), nullptr));
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
  // Those that are returned of the answers to one prompt: all, or the likeliest by the mean of
  // their tokens, as OpenAI's best_of has it.
  std::vector<const Choice*> Best(std::span<const Choice> answers) const {
    std::vector<std::pair<double, const Choice*>> ranked;
    for (const Choice& answer : answers) {
      double sum = 0;
      for (const TokenRecord& token : answer.tokens) sum += token.logprob;
      ranked.emplace_back(sum / static_cast<double>(std::max<size_t>(1, answer.tokens.size())),
                          &answer);
    }
    if (n_returned_ < n_answers_) {
      std::stable_sort(ranked.begin(), ranked.end(),
                       [](const auto& a, const auto& b) { return a.first > b.first; });
    }
    std::vector<const Choice*> best;
    for (int i = 0; i < n_returned_; ++i) best.push_back(ranked[i].second);
    return best;
  }

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
    const auto add = [&](const TokenRecord& token, bool known, bool in_text) {
      lists.Add(token, known, offset);
      if (in_text) offset += CountChars(token.bytes);
    };
    const size_t n_added = echoes_[index / n_answers_].n_added;
    for (size_t i = 0; i < prompt.size(); ++i) add(prompt[i], i > 0, i >= n_added);
    for (const TokenRecord& token : tokens) add(token, true, true);
    return lists.Take();
  }

  const LoadedModel& model_;
  const ReplyFacts facts_;
  const std::vector<Echo> echoes_;
  const int n_answers_, n_returned_;  // to each prompt
  const bool logprobs_;
  std::vector<int64_t> offsets_;  // by choice
};

}  // namespace

namespace {

// How many answers to each prompt are made, and returned.
void ReadBestOf(Fields& fields, BatchRequest& request, CompletionCall& call) {
  call.n_returned = request.n_answers;
  const auto best_of = fields.Integer("best_of", 1, kMostAnswers);
  if (!best_of || *best_of == call.n_returned) return;
  if (*best_of < call.n_returned) {
    return fields.Fail("best_of", "expected no fewer than 'n' answers, of which the best are told");
  }
  if (call.reply.stream) {
    return fields.Fail("best_of",
                       "which answers are the best is known at their end; leave "
                       "'stream' or 'best_of' out");
  }
  request.n_answers = static_cast<int>(*best_of);
  request.top_logprobs = std::max(request.top_logprobs, 0);  // they are ranked by them
}

}  // namespace

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
    call.logprobs = true;
  }
  if (!fields.Text("suffix").value_or("").empty()) {
    fields.Fail("suffix", "filling in before a suffix is not supported");
  }
  ReadBestOf(fields, common, call);
  const bool same_seed = ReadSeed(fields).has_value();
  if (fields.error()) return Refuse(*fields.error());
  auto form = ReadTextForm(body, engine.model());
  if (!form) return Refuse(form.error());
  common.constraint = std::move(*form);
  auto prompts = ReadPrompts(fields.Get("prompt"), "prompt", engine, kMostPrompts);
  if (!prompts) return Refuse(prompts.error());
  const auto n_in_all = static_cast<int64_t>(prompts->size()) * common.n_answers;
  if (n_in_all > kMostInAll) {
    return RefuseField("n", fmt::format("{} answers to all prompts: {} at most in one request",
                                        n_in_all, kMostInAll));
  }
  for (Prompt& prompt : *prompts) {
    Echo& shown = call.echoes.emplace_back();
    if (echo) shown.text = prompt.text ? *prompt.text : engine.model().Detokenize(prompt.ids);
    if (echo && prompt.text) shown.n_added = engine.model().tokenizer().prefix_ids().size();
    call.requests.push_back(common);
    call.requests.back().prompt = std::move(prompt.ids);
    // Copies of a prompt are sent to get answers that differ.
    if (!same_seed) call.requests.back().sampling.seed = RandomSeed();
  }
  return call;
}

std::unique_ptr<Dialect> MakeCompletionDialect(const LoadedModel& model, ReplyFacts facts,
                                               const CompletionCall& call) {
  return std::make_unique<CompletionDialect>(model, std::move(facts), call);
}

}  // namespace kvasir::server
