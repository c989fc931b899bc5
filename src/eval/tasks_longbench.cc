// LongBench and LongBench-E (arXiv 2308.14508) in their published JSON lines.
#include <algorithm>

#include "eval/published.h"
#include "eval/rouge.h"
#include "eval/task_list.h"
#include "eval/text_scores.h"

namespace kvasir::eval {
namespace {

enum class Metric : uint8_t {
  kF1,
  kF1Zh,
  kRouge,
  kRougeZh,
  kClass,
  kCount,
  kRetrieval,
  kRetrievalZh,
  kEdit
};

constexpr std::string_view MetricName(Metric metric) {
  constexpr std::string_view kNames[] = {
      "f1",    "f1_zh_char", "rouge_l",      "rouge_l_zh_char", "classification",
      "count", "retrieval",  "retrieval_zh", "edit_similarity"};
  return kNames[static_cast<size_t>(metric)];
}

struct LongBenchTask {
  std::string_view name;
  Metric metric;
  int max_new;
  bool in_e;                       // LongBench-E has it too
  bool chat;                       // in the chat template
  bool a_line;                     // the answer is the first line
  std::string_view before, after;  // around the context; {} in `after` is the input
};

constexpr std::string_view kQaBefore =
    "Answer the question based on the given text. Only give me the answer and do not output any "
    "other words.\n\nText: ";
constexpr std::string_view kQaAfter =
    "\n\nAnswer the question based on the given text. Only give me the answer and do not output "
    "any other words.\n\nQuestion: {}\nAnswer:";
constexpr std::string_view kSummaryBefore = "Write a summary of the following text.\n\nText:\n";
constexpr std::string_view kSummaryAfter = "\n\nNow write the summary.\n\nSummary:";

constexpr LongBenchTask kTasks[] = {
    {"narrativeqa", Metric::kF1, 128, false, true, false, kQaBefore, kQaAfter},
    {"qasper", Metric::kF1, 128, true, true, false, kQaBefore, kQaAfter},
    {"multifieldqa_en", Metric::kF1, 64, true, true, false, kQaBefore, kQaAfter},
    {"multifieldqa_zh", Metric::kF1Zh, 64, false, true, false, kQaBefore, kQaAfter},
    {"hotpotqa", Metric::kF1, 32, true, true, false, kQaBefore, kQaAfter},
    {"2wikimqa", Metric::kF1, 32, true, true, false, kQaBefore, kQaAfter},
    {"musique", Metric::kF1, 32, false, true, false, kQaBefore, kQaAfter},
    {"dureader", Metric::kRougeZh, 128, false, true, false,
     "Answer the question based on the Chinese articles given.\n\nArticles: ",
     "\n\nAnswer the question based on the articles above, in Chinese.\n\nQuestion: {}\nAnswer:"},
    {"gov_report", Metric::kRouge, 512, true, true, false, kSummaryBefore, kSummaryAfter},
    {"qmsum", Metric::kRouge, 512, false, true, false,
     "Below is the transcript of a meeting and a question about it. Answer in one or more "
     "sentences.\n\nTranscript:\n",
     "\n\nNow answer the question about the transcript in one or more sentences.\n\nQuestion: "
     "{}\nAnswer:"},
    {"multi_news", Metric::kRouge, 512, true, true, false, kSummaryBefore, kSummaryAfter},
    {"vcsum", Metric::kRougeZh, 512, false, true, false,
     "Below is the record of a meeting in Chinese. Write a summary of it in Chinese.\n\nMeeting:\n",
     "\n\nNow write the summary of the meeting.\n\nSummary:"},
    {"trec", Metric::kClass, 64, true, false, true,
     "Determine the type of the question below. Here are some examples.\n\n", "\n{}"},
    {"triviaqa", Metric::kF1, 32, true, false, true,
     "Answer the question based on the given passage. Only give me the answer and do not output "
     "any other words. Here are some examples.\n\n",
     "\n\n{}"},
    {"samsum", Metric::kRouge, 128, true, false, true,
     "Summarize the dialogue into a few short sentences. Here are some examples.\n\n", "\n\n{}"},
    {"lsht", Metric::kClass, 64, false, false, true,
     "Determine the category of the news below. Here are some examples.\n\n", "\n{}"},
    {"passage_count", Metric::kCount, 32, true, true, false,
     "Some of the paragraphs below may be the same. Determine how many different paragraphs there "
     "are.\n\n",
     "\n\nHow many different paragraphs are there? Output only the number.\n\nThe final answer "
     "is: "},
    {"passage_retrieval_en", Metric::kRetrieval, 32, true, true, false,
     "Here are 30 paragraphs and an abstract. Determine which paragraph the abstract is from.\n\n",
     "\n\nThe following is an abstract.\n\n{}\n\nEnter the number of the paragraph that the "
     "abstract is from, as \"Paragraph 1\", \"Paragraph 2\".\n\nThe answer is: "},
    {"passage_retrieval_zh", Metric::kRetrievalZh, 32, false, true, false,
     "Here are several paragraphs and an abstract. Determine which paragraph the abstract is "
     "from.\n\n",
     "\n\nThe following is an abstract.\n\n{}\n\nThe answer is: "},
    {"lcc", Metric::kEdit, 64, true, false, false, "Please complete the code given below.\n",
     "Next line of code:\n"},
    {"repobench-p", Metric::kEdit, 64, true, false, false,
     "Please complete the code given below.\n", "{}Next line of code:\n"}};

class LongBench final : public PublishedTask {
 public:
  LongBench(const LongBenchTask& task, bool e)
      : PublishedTask(fmt::format("longbench{}_{}", e ? "_e" : "", task.name),
                      e ? "longbench_e" : "longbench", std::string(MetricName(task.metric)),
                      fmt::format("longbench/{}{}.jsonl", task.name, e ? "_e" : "")),
        task_(task) {
    if (task.metric == Metric::kF1Zh || task.metric == Metric::kRougeZh) {
      facts_.stand_in = "single characters for a segmenter's words in the score";
    }
  }

  double Score(const Sample& sample, const Turn& turn, std::string_view text) const override {
    const std::string_view answer = task_.a_line ? FirstLine(text) : text;
    double best = 0;
    for (const std::string& gold : turn.answers) {
      best = std::max(best, ScoreOne(sample, answer, gold));
    }
    return best;
  }

 protected:
  Result<Sample> FromRecord(const Record& record) const override {
    Sample sample;
    KV_ASSIGN_OR_RETURN(const std::string context, record.Text("context"));
    KV_ASSIGN_OR_RETURN(const std::string input, record.Text("input"));
    Turn turn;
    KV_ASSIGN_OR_RETURN(turn.answers, record.Texts("answers"));
    if (turn.answers.empty()) return record.Wrong("answers", "list with an answer");
    sample.context = std::string(task_.before) + context;
    turn.question = task_.after;
    const size_t at = turn.question.find("{}");
    if (at != std::string::npos) turn.question.replace(at, 2, input);
    if (task_.metric == Metric::kClass) {
      KV_ASSIGN_OR_RETURN(const auto classes, record.Texts("all_classes"));
      sample.meta["classes"] = classes;
    }
    if (record.Has("length") && record.json()["length"].is_number()) {
      const auto n_words = record.json()["length"].get<int64_t>();
      sample.meta["words"] = n_words;
      sample.meta["bucket"] = n_words < 4000 ? "0-4k" : n_words < 8000 ? "4-8k" : "8k+";
    }
    sample.max_new = task_.max_new;
    sample.newline_stops = task_.name == "samsum";
    sample.wrap = task_.chat ? Wrap::kChat : Wrap::kNone;
    sample.turns.push_back(std::move(turn));
    return sample;
  }

 private:
  double ScoreOne(const Sample& sample, std::string_view text, const std::string& gold) const {
    switch (task_.metric) {
      case Metric::kF1:
        return QaF1(text, gold);
      case Metric::kF1Zh:
        return QaF1ZhChar(text, gold);
      case Metric::kRouge:
        return RougeL(text, gold);
      case Metric::kRougeZh:
        return RougeLZhChar(text, gold);
      case Metric::kClass:
        return Classification(text, gold, sample.meta["classes"].get<std::vector<std::string>>());
      case Metric::kCount:
        return CountScore(text, gold);
      case Metric::kRetrieval:
        return Retrieval(text, gold);
      case Metric::kRetrievalZh:
        return Retrieval(text, gold, true);
      case Metric::kEdit:
        return EditSimilarity(text, gold);
    }
    return 0;
  }

  const LongBenchTask task_;
};

}  // namespace

void AddLongBenchTasks(TaskList& tasks) {
  for (const LongBenchTask& task : kTasks)
    tasks.push_back(std::make_unique<LongBench>(task, false));
  for (const LongBenchTask& task : kTasks) {
    if (task.in_e) tasks.push_back(std::make_unique<LongBench>(task, true));
  }
}

}  // namespace kvasir::eval
