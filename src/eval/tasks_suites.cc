// InfiniteBench (arXiv 2402.13718) and GSM8K (arXiv 2110.14168) in their published JSON lines.
#include <algorithm>
#include <filesystem>

#include "eval/answer_rules.h"
#include "eval/published.h"
#include "eval/task_list.h"
#include "eval/text_scores.h"

namespace kvasir::eval {
namespace {

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
  tasks.push_back(std::make_unique<Gsm8k>());
}

}  // namespace kvasir::eval
