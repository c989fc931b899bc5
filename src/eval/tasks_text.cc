// Fidelity without labels: a text is read up to a place and compressed; the rest is teacher-forced,
// under the spec and under `full`.
#include <algorithm>

#include "eval/task_list.h"
#include "eval/words.h"

namespace kvasir::eval {
namespace {

struct TextKind {
  std::string_view name, metric, summary;
  int64_t default_length;
  // Tokens of the sample that are the prompt, and tokens from one sample's start to the next.
  int64_t (*n_prefix)(int64_t length);
  int64_t (*stride)(int64_t length);
};

constexpr int64_t kContinued = 127;  // as the board has it: 2000 tokens, then 127
constexpr int64_t kStreamStart = 64;

constexpr TextKind kKinds[] = {
    {"kl", "kl_mean", "distance to `full` over 127 tokens after a prompt, and their perplexity",
     2127, [](int64_t length) { return length - kContinued; },
     [](int64_t length) { return length; }},
    {"attention", "attention_error",
     "relative error of the layers' attention outputs against `full`, on the samples of kl", 2127,
     [](int64_t length) { return length - kContinued; }, [](int64_t length) { return length; }},
    {"ppl_strided", "kl_mean",
     "perplexity in windows of --length, half a window apart, the last half counts", 2048,
     [](int64_t length) { return length - length / 2; }, [](int64_t length) { return length / 2; }},
    {"ppl_sliding", "kl_mean",
     "perplexity of a text generated token by token after its first 64 tokens", 1024,
     [](int64_t) { return kStreamStart; }, [](int64_t length) { return length; }}};

class TextTask final : public Task {
 public:
  explicit TextTask(const TextKind& kind) : kind_(kind) {
    facts_.name = kind.name;
    facts_.family = "fidelity";
    facts_.metric = kind.metric;
    facts_.summary = kind.summary;
    facts_.stand_in = "generated prose";
    facts_.answering = Answering::kText;
    facts_.scope = Scope::kAll;
    facts_.fixed_scope = true;
    facts_.default_length = kind.default_length;
  }
  const TaskFacts& facts() const override { return facts_; }
  std::string StandIn(const Sources& sources) const override {
    return sources.file.empty() ? facts_.stand_in : "";
  }
  double Score(const Sample&, const Turn&, std::string_view) const override { return 0; }
  // As many as the text holds.
  Result<std::optional<int64_t>> Size(Workshop& workshop, int64_t length) const override {
    if (workshop.sources().file.empty()) return std::nullopt;
    KV_ASSIGN_OR_RETURN(const auto ids, workshop.TextTokens(length, 0));
    const int64_t spare = std::ssize(ids) + std::ssize(workshop.Bos()) - length;
    return spare < 0 ? 1 : spare / kind_.stride(length) + 1;
  }

  Result<Sample> Make(Workshop& workshop, const Request& request) const override {
    const int64_t length = request.length, n_prefix = kind_.n_prefix(length);
    if (n_prefix < 8 || n_prefix >= length) {
      return Fail("length {}: too short for this task", length);
    }
    const int64_t first = request.index * kind_.stride(length);
    KV_ASSIGN_OR_RETURN(const std::span<const int32_t> ids,
                        workshop.TextTokens(first + length, request.seed));
    Sample sample;
    sample.ids = workshop.Bos();
    const int64_t n = length - std::ssize(sample.ids);
    if (first + n > std::ssize(ids)) {
      return Fail("{} has {} tokens, too few for sample {} of {} tokens", workshop.sources().file,
                  ids.size(), request.index, length);
    }
    const auto part = ids.subspan(static_cast<size_t>(first), static_cast<size_t>(n));
    sample.ids.insert(sample.ids.end(), part.begin(), part.end());
    sample.n_prefix = n_prefix;
    sample.meta = {{"first_token", first}, {"prefix", n_prefix}};
    return sample;
  }

 private:
  const TextKind kind_;
  TaskFacts facts_;
};

}  // namespace

void AddTextTasks(TaskList& tasks) {
  for (const TextKind& kind : kKinds) tasks.push_back(std::make_unique<TextTask>(kind));
}

}  // namespace kvasir::eval
