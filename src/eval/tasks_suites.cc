// InfiniteBench (arXiv 2402.13718), SCBench (arXiv 2412.10319) and GSM8K (arXiv 2110.14168) in
// their published JSON lines.
#include <algorithm>
#include <filesystem>

#include "eval/published.h"
#include "eval/scoring.h"
#include "eval/task_list.h"
#include "eval/text_scores.h"

namespace kvasir::eval {
namespace {

enum class Rule : uint8_t {
  kFirstDigits,
  kWord,
  kFirstNumber,
  kLastNumber,
  kChoice,
  kF1,
  kContains,
  kUpper,
  kAll
};

std::string_view RuleName(Rule rule) {
  constexpr std::string_view kNames[] = {"first_digits", "contains_word",  "first_number",
                                         "last_number",  "choice",         "f1",
                                         "contains",     "contains_upper", "string_match_all"};
  return kNames[static_cast<size_t>(rule)];
}

double ScoreBy(Rule rule, std::string_view text, Answers answers) {
  double best = 0;
  const auto any = [&](double (*score)(std::string_view, std::string_view)) {
    for (const std::string& gold : answers) best = std::max(best, score(text, gold));
    return best;
  };
  switch (rule) {
    case Rule::kFirstDigits:
      return FirstDigits(text, answers);
    case Rule::kWord:
      return ContainsWord(text, answers);
    case Rule::kFirstNumber:
      return any(&FirstNumber);
    case Rule::kLastNumber:
      return any(&LastNumber);
    case Rule::kChoice:
      return any(&ChoiceLetter);
    case Rule::kF1:
      return any(&QaF1);
    case Rule::kContains:
      return any([](std::string_view t, std::string_view gold) {
        return t.find(gold) != std::string_view::npos ? 1.0 : 0.0;
      });
    case Rule::kUpper:
      return ContainsUpper(text, answers);
    case Rule::kAll:
      return StringMatchAll(text, answers);
  }
  return 0;
}

// The letter of the right option: answers may be the letter or the option's text.
Status UseLetters(const Record& record, Turn& turn) {
  KV_ASSIGN_OR_RETURN(const std::vector<std::string> options, record.Texts("options"));
  if (options.size() > 4) return record.Wrong("options", "list of at most four");
  for (size_t i = 0; i < options.size(); ++i) {
    const std::string letter(1, static_cast<char>('A' + i));
    turn.question += fmt::format("\n{}. {}", letter, options[i]);
    for (std::string& answer : turn.answers) {
      if (answer == options[i]) answer = letter;
    }
  }
  return {};
}

struct InfiniteTask {
  std::string_view name;
  Rule rule;
  int max_new;
  std::string_view before, prefix;
};

constexpr InfiniteTask kInfinite[] = {
    {"passkey", Rule::kFirstDigits, 6,
     "There is an important info hidden inside a lot of irrelevant text. Find it and memorize it. "
     "I will quiz you about the important information there.\n\n",
     "The pass key is"},
    {"number_string", Rule::kFirstDigits, 12,
     "There is an important info hidden inside a lot of irrelevant text. Find it and memorize it. "
     "I will quiz you about the important information there.\n\n",
     "The sequence of digits is"},
    {"kv_retrieval", Rule::kWord, 50,
     "Extract the value corresponding to the specified key in the JSON object below.\n\n", ""},
    {"math_find", Rule::kFirstNumber, 3, "", ""},
    {"code_run", Rule::kLastNumber, 5, "", ""},
    {"longbook_qa_eng", Rule::kF1, 40,
     "Read the book below and answer a question, as concisely as possible.\n\n", "Answer:"},
    {"longbook_choice_eng", Rule::kChoice, 40, "Read the book and answer the question.\n\n",
     "The letter of the correct answer is"}};

class InfiniteBench final : public PublishedTask {
 public:
  explicit InfiniteBench(const InfiniteTask& task)
      : PublishedTask(fmt::format("infinitebench_{}", task.name), "infinitebench",
                      std::string(RuleName(task.rule)),
                      fmt::format("infinitebench/{}.jsonl", task.name)),
        task_(task) {}
  double Score(const Sample&, const Turn& turn, std::string_view text) const override {
    return ScoreBy(task_.rule, text, turn.answers);
  }

 protected:
  Result<Sample> FromRecord(const Record& record) const override {
    Sample sample;
    KV_ASSIGN_OR_RETURN(const std::string context, record.Text("context"));
    sample.context = std::string(task_.before) + context + "\n\n";
    Turn turn;
    KV_ASSIGN_OR_RETURN(turn.question, record.Text("input"));
    KV_ASSIGN_OR_RETURN(turn.answers, record.Texts("answer"));
    if (turn.answers.empty()) return record.Wrong("answer", "answer");
    if (task_.rule == Rule::kChoice) KV_RETURN_IF_ERROR(UseLetters(record, turn));
    turn.answer_prefix = task_.prefix;
    sample.max_new = task_.max_new;
    sample.turns.push_back(std::move(turn));
    return sample;
  }

 private:
  const InfiniteTask task_;
};

struct SharedContextTask {
  std::string_view name;
  Rule rule;
  int max_new;
};

constexpr SharedContextTask kShared[] = {{"scbench_kv", Rule::kContains, 150},
                                         {"scbench_prefix_suffix", Rule::kContains, 150},
                                         {"scbench_vt", Rule::kAll, 30},
                                         {"scbench_qa_eng", Rule::kUpper, 40},
                                         {"scbench_choice_eng", Rule::kChoice, 40},
                                         {"scbench_many_shot", Rule::kUpper, 10},
                                         {"scbench_mf", Rule::kFirstNumber, 5}};

// Turns are one conversation with the right answers as history; with --query-agnostic each question
// is asked of the context alone ("same context, different query").
class ScBench final : public PublishedTask {
 public:
  explicit ScBench(const SharedContextTask& task)
      : PublishedTask(std::string(task.name), "scbench", std::string(RuleName(task.rule)),
                      fmt::format("scbench/{}.jsonl", task.name)),
        task_(task) {}
  double Score(const Sample&, const Turn& turn, std::string_view text) const override {
    return ScoreBy(task_.rule, text, turn.answers);
  }

 protected:
  Result<Sample> FromRecord(const Record& record) const override {
    Sample sample;
    KV_ASSIGN_OR_RETURN(const std::string context, record.Text("context"));
    sample.context = context + "\n\n";
    sample.max_new = task_.max_new;
    sample.history = true;
    KV_ASSIGN_OR_RETURN(const std::vector<Record> turns, record.Objects("multi_turns"));
    if (turns.empty()) return record.Wrong("multi_turns", "list with a question");
    for (const Record& each : turns) {
      Turn turn;
      KV_ASSIGN_OR_RETURN(turn.question, each.Text("input"));
      KV_ASSIGN_OR_RETURN(turn.answers, each.Texts("answer"));
      if (turn.answers.empty()) return each.Wrong("answer", "answer");
      if (task_.rule == Rule::kChoice) KV_RETURN_IF_ERROR(UseLetters(each, turn));
      sample.turns.push_back(std::move(turn));
    }
    return sample;
  }

 private:
  const SharedContextTask task_;
};

// Five worked examples of gsm8k/train.jsonl, where it is there, then the question.
class Gsm8k final : public PublishedTask {
 public:
  Gsm8k() : PublishedTask("gsm8k", "reasoning", "flexible_extract", "gsm8k/test.jsonl") {
    facts_.default_length = 2048;
  }
  double Score(const Sample&, const Turn& turn, std::string_view text) const override {
    // What comes behind another "Question:" is no longer the answer.
    return GsmFlexible(text.substr(0, text.find("Question:")), turn.answers[0]);
  }

 protected:
  Result<Sample> FromRecord(const Record& record) const override {
    Sample sample;
    Turn turn;
    KV_ASSIGN_OR_RETURN(const std::string question, record.Text("question"));
    KV_ASSIGN_OR_RETURN(const std::string answer, record.Text("answer"));
    if (answer.find("#### ") == std::string::npos) return record.Wrong("answer", "text with ####");
    turn.question = fmt::format("Question: {}", question);
    turn.answer_prefix = "Answer:";
    turn.answers = {answer.substr(answer.rfind("#### ") + 5)};
    sample.max_new = 256;
    sample.turns.push_back(std::move(turn));
    return sample;
  }
  Result<std::string> Before(Workshop& workshop) const override {
    const std::string path = workshop.sources().data + "/gsm8k/train.jsonl";
    std::error_code error;
    if (!std::filesystem::exists(path, error)) return std::string();
    KV_ASSIGN_OR_RETURN(const auto* records, workshop.Records(path));
    std::string text;
    for (size_t i = 0; i < std::min<size_t>(5, records->size()); ++i) {
      KV_ASSIGN_OR_RETURN(const std::string question, (*records)[i].Text("question"));
      KV_ASSIGN_OR_RETURN(const std::string answer, (*records)[i].Text("answer"));
      text += fmt::format("Question: {}\nAnswer: {}\n\n", question, answer);
    }
    return text;
  }
};

}  // namespace

void AddSuiteTasks(TaskList& tasks) {
  for (const InfiniteTask& task : kInfinite) tasks.push_back(std::make_unique<InfiniteBench>(task));
  for (const SharedContextTask& task : kShared) tasks.push_back(std::make_unique<ScBench>(task));
  tasks.push_back(std::make_unique<Gsm8k>());
}

}  // namespace kvasir::eval
