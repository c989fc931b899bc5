// SCBench (arXiv 2412.10319) in its published JSON lines: several questions about one context.
#include <algorithm>

#include "eval/answer_rules.h"
#include "eval/function_match.h"
#include "eval/published.h"
#include "eval/task_list.h"

namespace kvasir::eval {
namespace {

enum class Judge : uint8_t { kRule, kFunction };  // by a rule; the function that was asked for

struct SubTask {
  std::string_view name;  // the turn's "task", where a file mixes two
  Judge judge;
  Rule rule;
  int max_new;
};

struct SharedContextTask {
  std::string_view name, metric;
  std::string_view before;         // the context
  std::vector<SubTask> sub_tasks;  // one; or two, and each turn says which it is
};

constexpr std::string_view kFindFunction =
    "Below is the code of a repository. Find the function that is described after it, and repeat "
    "it exactly, in a code block wrapped by ```.\n\n";

SharedContextTask Plain(std::string_view name, Rule rule, int max_new) {
  return {name, RuleName(rule), "", {{"", Judge::kRule, rule, max_new}}};
}

std::vector<SharedContextTask> Tasks() {
  const auto function = [](std::string_view name) {
    return SubTask{name, Judge::kFunction, {}, 1024};
  };
  return {Plain("scbench_kv", Rule::kContains, 150),
          Plain("scbench_prefix_suffix", Rule::kContains, 150),
          Plain("scbench_vt", Rule::kAll, 30),
          {"scbench_repoqa", "function_match", kFindFunction, {function("")}},
          Plain("scbench_qa_eng", Rule::kUpper, 40),
          Plain("scbench_qa_chn", Rule::kF1Zh, 40),
          Plain("scbench_choice_eng", Rule::kChoice, 40),
          Plain("scbench_many_shot", Rule::kUpper, 10),
          Plain("scbench_mf", Rule::kFirstNumber, 5),
          Plain("scbench_summary", Rule::kSummary, 200),
          {"scbench_summary_with_needles",
           "rouge_l_sum + first_digits",
           "",
           {{"scbench_summary", Judge::kRule, Rule::kSummary, 800},
            {"scbench_passkey", Judge::kRule, Rule::kFirstDigits, 15}}},
          {"scbench_repoqa_and_kv",
           "function_match + contains",
           "",
           {function("scbench_repoqa"), {"scbench_kv", Judge::kRule, Rule::kContains, 80}}}};
}

// Turns are one conversation with the right answers as history; with --query-agnostic each question
// is asked of the context alone ("same context, different query").
class ScBench final : public PublishedTask {
 public:
  explicit ScBench(SharedContextTask task)
      : PublishedTask(std::string(task.name), "scbench", std::string(task.metric),
                      fmt::format("scbench/{}.jsonl", task.name)),
        task_(std::move(task)) {}

  Result<Sample> Make(Workshop& workshop, const Request& request) const override {
    KV_ASSIGN_OR_RETURN(Sample sample, PublishedTask::Make(workshop, request));
    if (AsksForFunctions()) KV_RETURN_IF_ERROR(AddFunctions(workshop, sample));
    return sample;
  }

  double Score(const Sample& sample, const Turn& turn, std::string_view text) const override {
    const SubTask& sub_task = SubTaskOf(turn);
    return sub_task.judge == Judge::kFunction ? FunctionFound(text, turn.answers[0], sample.choices)
                                              : ScoreBy(sub_task.rule, text, turn.answers);
  }

 protected:
  Result<Sample> FromRecord(const Record& record) const override {
    Sample sample;
    KV_ASSIGN_OR_RETURN(const std::string context,
                        record.Text(record.Has("context") ? "context" : "input"));
    sample.context = std::string(task_.before) + context + "\n\n";
    sample.max_new = 0;
    sample.history = true;
    if (AsksForFunctions()) {
      KV_ASSIGN_OR_RETURN(sample.meta["repo"], record.Text("repo"));
      KV_ASSIGN_OR_RETURN(sample.meta["lang"], record.Text("lang"));
    }
    KV_ASSIGN_OR_RETURN(const std::vector<Record> turns, record.Objects("multi_turns"));
    if (turns.empty()) return record.Wrong("multi_turns", "list with a question");
    for (const Record& each : turns) {
      KV_ASSIGN_OR_RETURN(Turn turn, TurnOf(each));
      sample.max_new = std::max(sample.max_new, turn.max_new);
      sample.turns.push_back(std::move(turn));
    }
    return sample;
  }

 private:
  bool AsksForFunctions() const { return task_.sub_tasks[0].judge == Judge::kFunction; }

  const SubTask& SubTaskOf(const Turn& turn) const {
    const bool second = task_.sub_tasks.size() > 1 && turn.meta["task"] == task_.sub_tasks[1].name;
    return task_.sub_tasks[second ? 1 : 0];
  }

  Result<Turn> TurnOf(const Record& record) const {
    Turn turn;
    KV_ASSIGN_OR_RETURN(turn.question, record.Text("input"));
    KV_ASSIGN_OR_RETURN(turn.answers, record.Texts("answer"));
    if (turn.answers.empty()) return record.Wrong("answer", "answer");
    if (task_.sub_tasks.size() > 1) {
      KV_ASSIGN_OR_RETURN(const std::string name, record.Text("task"));
      const bool known = std::any_of(task_.sub_tasks.begin(), task_.sub_tasks.end(),
                                     [&](const SubTask& each) { return each.name == name; });
      if (!known) return record.Wrong("task", "task that this file mixes");
      turn.meta["task"] = name;
    }
    const SubTask& sub_task = SubTaskOf(turn);
    if (sub_task.rule == Rule::kChoice) KV_RETURN_IF_ERROR(UseLetters(record, turn));
    turn.max_new = sub_task.max_new;
    return turn;
  }

  // An answer has to be nearer to its function than to all others that the file asks for in the
  // same repository.
  Status AddFunctions(Workshop& workshop, Sample& sample) const {
    KV_ASSIGN_OR_RETURN(const auto* records, RecordsOf(workshop));
    for (const Record& record : *records) {
      KV_ASSIGN_OR_RETURN(const Sample other, FromRecord(record));
      if (other.meta["repo"] != sample.meta["repo"]) continue;
      for (const Turn& turn : other.turns) {
        if (SubTaskOf(turn).judge == Judge::kFunction) sample.choices.push_back(turn.answers[0]);
      }
    }
    return {};
  }

  const SharedContextTask task_;
};

}  // namespace

void AddScBenchTasks(TaskList& tasks) {
  for (SharedContextTask& task : Tasks())
    tasks.push_back(std::make_unique<ScBench>(std::move(task)));
}

}  // namespace kvasir::eval
