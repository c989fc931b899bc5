#include "eval/published.h"

#include <algorithm>

#include "eval/prompt.h"
#include "eval/words.h"

namespace kvasir::eval {

PublishedTask::PublishedTask(std::string name, std::string family, std::string metric,
                             std::string file)
    : file_(std::move(file)) {
  facts_.name = std::move(name);
  facts_.family = std::move(family);
  facts_.metric = std::move(metric);
  facts_.summary = fmt::format("--data FOLDER/{}", file_);
}

Result<const std::vector<Record>*> PublishedTask::RecordsOf(Workshop& workshop) const {
  return workshop.Records(workshop.sources().data + "/" + file_);
}

// All records are looked at before the first is run: a bad line is known at once.
Result<std::optional<int64_t>> PublishedTask::Size(Workshop& workshop, int64_t) const {
  if (workshop.sources().data.empty()) {
    return Fail("its data is not shipped: --data FOLDER says where {} is", file_);
  }
  KV_ASSIGN_OR_RETURN(const auto* records, RecordsOf(workshop));
  for (const Record& record : *records) KV_RETURN_IF_ERROR(FromRecord(record));
  return std::ssize(*records);
}

Result<Sample> PublishedTask::Make(Workshop& workshop, const Request& request) const {
  KV_ASSIGN_OR_RETURN(const auto* records, RecordsOf(workshop));
  KV_ASSIGN_OR_RETURN(Sample sample, FromRecord((*records)[static_cast<size_t>(request.index)]));
  KV_ASSIGN_OR_RETURN(const std::string before, Before(workshop));
  sample.context = before + sample.context;
  if (sample.wrap == Wrap::kChat) sample.wrap = workshop.sources().wrap;
  KV_ASSIGN_OR_RETURN(const int64_t n_around, TokensAround(workshop, sample));
  TruncateMiddle(workshop.model(), request.length - sample.max_new - n_around - 2, sample);
  return sample;
}

// What the template and the answer's first words take; of a conversation also its questions and
// answers, of which the last is the model's own.
Result<int64_t> PublishedTask::TokensAround(Workshop& workshop, const Sample& sample) const {
  const auto n_tokens = [&](const std::string& text) {
    return std::ssize(workshop.model().Tokenize(text, false));
  };
  Sample frame = sample;
  frame.context.clear();
  int64_t n_around = 0, longest_question = 0;
  for (size_t i = 0; i < sample.turns.size(); ++i) {
    const Turn& turn = sample.turns[i];
    frame.turns = {turn};
    frame.turns[0].question.clear();
    frame.turns[0].evidence.clear();
    KV_ASSIGN_OR_RETURN(const int64_t n, workshop.PromptTokens(frame));
    if (!sample.history) {
      n_around = std::max(n_around, n);
      continue;
    }
    const int64_t n_question = n_tokens(turn.question);
    longest_question = std::max(longest_question, n_question);
    n_around += n + n_question;
    if (i + 1 < sample.turns.size()) n_around += n_tokens(Join(turn.answers, ", ")) + 2;
  }
  return n_around - longest_question;  // TruncateMiddle counts that one
}

void TruncateMiddle(const Model& model, int64_t room, Sample& sample) {
  std::string question;  // of several, the longest has to find room
  for (const Turn& turn : sample.turns) {
    if (turn.question.size() > question.size()) question = turn.question;
  }
  const std::string all = sample.context + question;
  const std::vector<int32_t> ids = model.Tokenize(all, false);
  if (std::ssize(ids) <= room || room < 2) return;
  const auto half = static_cast<size_t>(room / 2);
  const auto tokens = std::span<const int32_t>(ids);
  std::string text = model.Detokenize(tokens.first(half)) + model.Detokenize(tokens.last(half));
  sample.meta["truncated_from"] = ids.size();
  // The end of the text is the question, unless it is longer than the half that stays.
  if (text.ends_with(question)) text.resize(text.size() - question.size());
  sample.context = std::move(text);
}

}  // namespace kvasir::eval
