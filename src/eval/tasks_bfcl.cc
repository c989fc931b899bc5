// The Berkeley Function Calling Leaderboard's single-turn categories, in their published JSON
// lines: bfcl/BFCL_v3_<category>.json and bfcl/possible_answer/BFCL_v3_<category>.json.
#include "eval/calls.h"
#include "eval/published.h"
#include "eval/task_list.h"

namespace kvasir::eval {
namespace {

class Bfcl final : public PublishedTask {
 public:
  explicit Bfcl(std::string_view category)
      : PublishedTask(fmt::format("bfcl_{}", category), "bfcl", "calls",
                      fmt::format("bfcl/BFCL_v3_{}.json", category)),
        answers_(fmt::format("bfcl/possible_answer/BFCL_v3_{}.json", category)) {
    facts_.default_length = 4096;
  }
  double Score(const Sample&, const Turn& turn, std::string_view text) const override {
    const Json expected = Json::parse(turn.answers[0], nullptr, false);
    return CallsMatch(ParseCalls(text), expected) ? 1 : 0;
  }
  Result<std::optional<int64_t>> Size(Workshop& workshop, int64_t length) const override {
    KV_ASSIGN_OR_RETURN(const auto n, PublishedTask::Size(workshop, length));
    KV_ASSIGN_OR_RETURN(const auto* answers, workshop.Records(Path(workshop)));
    for (const Record& answer : *answers) {
      KV_RETURN_IF_ERROR(answer.Objects("ground_truth"));
    }
    if (std::ssize(*answers) != n) {
      return Fail("{} has {} lines, {} has {}", file_, n.value_or(0), answers_, answers->size());
    }
    return n;
  }
  Result<Sample> Make(Workshop& workshop, const Request& request) const override {
    KV_ASSIGN_OR_RETURN(Sample sample, PublishedTask::Make(workshop, request));
    KV_ASSIGN_OR_RETURN(const auto* answers, workshop.Records(Path(workshop)));
    const Record& answer = (*answers)[static_cast<size_t>(request.index)];
    KV_ASSIGN_OR_RETURN(const std::string id, answer.Text("id"));
    if (sample.meta["id"] != id) {
      return Fail("{}: line {} answers '{}', the question is '{}'", answers_, request.index + 1, id,
                  sample.meta["id"].get<std::string>());
    }
    sample.turns[0].answers = {answer.json()["ground_truth"].dump()};
    return sample;
  }

 protected:
  Result<Sample> FromRecord(const Record& record) const override {
    Sample sample;
    KV_ASSIGN_OR_RETURN(const std::string id, record.Text("id"));
    sample.meta["id"] = id;
    KV_ASSIGN_OR_RETURN(const auto functions, record.Objects("function"));
    sample.context =
        "You are given a question and a set of possible functions. Answer with the function calls "
        "that serve the question and nothing else, as [name(argument=value, …), …].\n\nThe "
        "functions in JSON:\n";
    for (const Record& function : functions) sample.context += function.json().dump() + "\n";
    const Json& question = record.json().contains("question") ? record.json()["question"] : Json();
    const bool whole = question.is_array() && !question.empty() && question[0].is_array();
    if (!whole) return record.Wrong("question", "list of turns of messages");
    Turn turn;
    for (const Json& message : question[0]) {
      const bool said =
          message.is_object() && message.contains("content") && message["content"].is_string();
      if (!said) return record.Wrong("question", "list of messages with 'content'");
      turn.question += "\n" + message["content"].get<std::string>();
    }
    sample.max_new = 128;
    sample.turns.push_back(std::move(turn));
    return sample;
  }

 private:
  std::string Path(const Workshop& workshop) const {
    return workshop.sources().data + "/" + answers_;
  }

  const std::string answers_;
};

}  // namespace

void AddBfclTasks(TaskList& tasks) {
  for (const char* category : {"simple", "multiple", "parallel", "parallel_multiple"}) {
    tasks.push_back(std::make_unique<Bfcl>(category));
  }
}

}  // namespace kvasir::eval
