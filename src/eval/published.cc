#include "eval/published.h"

#include <algorithm>

#include "eval/prompt.h"

namespace kvasir::eval {

PublishedTask::PublishedTask(std::string name, std::string family, std::string metric,
                             std::string file)
    : file_(std::move(file)) {
  facts_.name = std::move(name);
  facts_.family = std::move(family);
  facts_.metric = std::move(metric);
  facts_.summary = fmt::format("--data FOLDER/{}", file_);
}

// All records are looked at before the first is run: a bad line is known at once.
Result<std::optional<int64_t>> PublishedTask::Size(Workshop& workshop, int64_t) const {
  if (workshop.sources().data.empty()) {
    return Fail("its data is not shipped: --data FOLDER says where {} is", file_);
  }
  KV_ASSIGN_OR_RETURN(const auto* records, workshop.Records(workshop.sources().data + "/" + file_));
  for (const Record& record : *records) KV_RETURN_IF_ERROR(FromRecord(record));
  return std::ssize(*records);
}

Result<Sample> PublishedTask::Make(Workshop& workshop, const Request& request) const {
  KV_ASSIGN_OR_RETURN(const auto* records, workshop.Records(workshop.sources().data + "/" + file_));
  KV_ASSIGN_OR_RETURN(Sample sample, FromRecord((*records)[static_cast<size_t>(request.index)]));
  KV_ASSIGN_OR_RETURN(const std::string before, Before(workshop));
  sample.context = before + sample.context;
  if (sample.wrap == Wrap::kChat) sample.wrap = workshop.sources().wrap;
  // What the template and the answer's first words take.
  Sample frame = sample;
  frame.context.clear();
  int64_t n_frame = 0;
  for (const Turn& turn : sample.turns) {
    frame.turns = {turn};
    frame.turns[0].question.clear();
    frame.turns[0].evidence.clear();
    KV_ASSIGN_OR_RETURN(const int64_t n, workshop.PromptTokens(frame));
    n_frame = sample.history ? n_frame + n + 64 : std::max(n_frame, n);
  }
  TruncateMiddle(workshop.model(), request.length - sample.max_new - n_frame - 2, sample);
  return sample;
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
